// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

// Tokens do not travel in clear text by default: where other machines can reach
// the ops listener it uses TLS.
func TestOpsUsesTLSWhereOthersReachIt(t *testing.T) {
	dir := t.TempDir()
	if _, err := initCluster(t.Context(), dir, "127.0.0.1:9100", "", ""); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		listen, mode string
		want         bool
	}{
		{"127.0.0.1:9080", opsTLSAuto, false}, {"localhost:9080", opsTLSAuto, false}, {":9080", opsTLSAuto, true}, {"0.0.0.0:9080", opsTLSAuto, true},
		{"192.0.2.1:9080", opsTLSAuto, true}, {"m1.example.net:9080", opsTLSAuto, true},
		{"127.0.0.1:9080", wireTLSSelf, true}, {":9080", wireTLSOff, false},
	} {
		cfg := defaultConfig()
		cfg.DataDir, cfg.Ops.Listen, cfg.Ops.TLS = dir, c.listen, c.mode
		secure, err := cfg.opsTLS(newCertificates())
		if err != nil || (secure != nil) != c.want {
			t.Errorf("%s with ops.tls %s: TLS is %t, want %t (%v)", c.listen, c.mode, secure != nil, c.want, err)
		}
	}
}
