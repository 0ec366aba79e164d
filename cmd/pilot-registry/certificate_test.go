// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// A listener shows the certificate that was in its files when they were read
// last. A bad one changes nothing, and that of the cluster is never another one.
func TestCertificatesInFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write := func(cert, key []byte) {
		t.Helper()
		for path, text := range map[string][]byte{certFile: cert, keyFile: key} {
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	begins := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	renew := func(from time.Time) {
		t.Helper()
		cert, key, err := server.SelfSigned(from)
		if err != nil {
			t.Fatal(err)
		}
		write(cert, key)
	}
	renew(begins)
	s := newCertificates()
	secure, err := s.tlsFor("wire", wireTLSFiles, dir, certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, from time.Time, fails bool) {
		t.Helper()
		if err := s.reload(hclog.NewNullLogger()); (err != nil) != fails {
			t.Errorf("%s: reload: %v", what, err)
		}
		want := from.Add(server.SelfSignedValidity)
		cert, err := secure.GetCertificate(nil)
		if err != nil || !cert.Leaf.NotAfter.Equal(want) || !s.ends()["wire"].Equal(want) {
			t.Errorf("%s: a certificate until %v, shown as %v, want %v (%v)", what, cert.Leaf.NotAfter, s.ends()["wire"], want, err)
		}
	}
	check("unchanged", begins, false)
	later := begins.Add(24 * time.Hour)
	renew(later)
	check("renewed", later, false)
	write([]byte("half a file"), nil)
	check("damaged", later, true)
	if s.problems()["wire"] == nil {
		t.Error("nobody is told that the files cannot be used")
	}
	look := func(what string, from time.Time, fails bool) {
		t.Helper()
		if err := s.readAgain(hclog.NewNullLogger(), (*certificate).changed); (err != nil) != fails {
			t.Errorf("%s: %v", what, err)
		}
		if want := from.Add(server.SelfSignedValidity); !s.ends()["wire"].Equal(want) || (s.problems()["wire"] != nil) != fails {
			t.Errorf("%s: until %v, want %v; problem %v", what, s.ends()["wire"], want, s.problems()["wire"])
		}
	}
	renew(begins)
	look("repaired", begins, false)
	write(nil, []byte("another key"))
	look("half replaced", begins, true)
	if err := s.readAgain(hclog.NewNullLogger(), (*certificate).changed); err != nil {
		t.Errorf("what was told is told again: %v", err)
	}
	renew(later)
	look("replaced", later, false)

	home := t.TempDir()
	if _, err := initCluster(t.Context(), home, "127.0.0.1:9100", "", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.tlsFor("ops", wireTLSSelf, home, "", ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(keyringFile(home)); err != nil {
		t.Fatal(err)
	}
	renew(later)
	check("with that of the cluster", later, false)
	if s.ends()["ops"].IsZero() {
		t.Error("nobody knows when the cluster's certificate ends")
	}
}

// The wire certificate is good for the hosts that clients are told.
func TestWireHosts(t *testing.T) {
	c := defaultConfig()
	c.Peer.Advertise, c.Ops.Hosts = "m1.example.net:9100", []string{"ops.example.net"}
	hosts, err := c.wireHosts([]string{"m2.example.net", "192.0.2.7", "fd00::1"})
	if got := strings.Join(hosts, " "); err != nil || got != "m1.example.net m1.example.net ops.example.net m2.example.net 192.0.2.7 fd00::1" {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []string{"", "m2.example.net:9000", "a b"} {
		if _, err := c.wireHosts([]string{bad}); err == nil {
			t.Errorf("%q is taken for a host", bad)
		}
	}
}
