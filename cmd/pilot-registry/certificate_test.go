// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// filesInUse is a certificate in files that a listener uses.
type filesInUse struct {
	*certificates
	t         *testing.T
	cert, key string
	secure    *tls.Config
}

func useFiles(t *testing.T) *filesInUse {
	t.Helper()
	dir := t.TempDir()
	f := &filesInUse{certificates: newCertificates(), t: t, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	f.renew(inUseFrom)
	var err error
	if f.secure, err = f.tlsFor("wire", wireTLSFiles, dir, f.cert, f.key); err != nil {
		t.Fatal(err)
	}
	return f
}

var (
	inUseFrom   = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	renewedFrom = inUseFrom.Add(24 * time.Hour)
)

func (f *filesInUse) write(cert, key []byte) {
	f.t.Helper()
	for path, text := range map[string][]byte{f.cert: cert, f.key: key} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *filesInUse) renew(from time.Time) {
	f.t.Helper()
	cert, key, err := server.SelfSigned(from)
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(cert, key)
}

// serves checks what is served, and shown, after the files were read again.
func (f *filesInUse) serves(what string, from time.Time, failed error, fails bool) {
	f.t.Helper()
	if (failed != nil) != fails || (f.problems()["wire"] != nil) != fails {
		f.t.Errorf("%s: %v; problem %v", what, failed, f.problems()["wire"])
	}
	want := from.Add(server.SelfSignedValidity)
	cert, err := f.secure.GetCertificate(nil)
	if err != nil || !cert.Leaf.NotAfter.Equal(want) || !f.ends()["wire"].Equal(want) {
		f.t.Errorf("%s: a certificate until %v, shown as %v, want %v (%v)", what, cert.Leaf.NotAfter, f.ends()["wire"], want, err)
	}
}

// reloaded reads the files again, as SIGHUP does, and checks what is served.
func (f *filesInUse) reloaded(what string, from time.Time, fails bool) {
	f.t.Helper()
	f.serves(what, from, f.reload(hclog.NewNullLogger()), fails)
}

// looked reads the files again if they have changed, and checks what is served.
func (f *filesInUse) looked(what string, from time.Time, fails bool) {
	f.t.Helper()
	f.serves(what, from, f.readAgain(hclog.NewNullLogger(), (*certificate).changed), fails)
}

// A listener shows the certificate that was in its files when they were read
// last. A bad one changes nothing.
func TestCertificatesInFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	f := useFiles(t)
	f.reloaded("unchanged", inUseFrom, false)
	f.renew(renewedFrom)
	f.reloaded("renewed", renewedFrom, false)
	f.write([]byte("half a file"), nil)
	f.reloaded("damaged", renewedFrom, true)
	f.renew(inUseFrom)
	f.looked("repaired", inUseFrom, false)
	f.write(nil, []byte("another key"))
	f.looked("half replaced", inUseFrom, true)
	if err := f.readAgain(hclog.NewNullLogger(), (*certificate).changed); err != nil {
		t.Errorf("what was told is told again: %v", err)
	}
	f.renew(renewedFrom)
	f.looked("replaced", renewedFrom, false)
}

// The cluster's own certificate is in no files, and is not read again.
func TestTheClustersCertificateIsNotReadAgain(t *testing.T) {
	t.Parallel()
	f := useFiles(t)
	home := t.TempDir()
	if _, err := initCluster(t.Context(), home, "127.0.0.1:9100", "", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := f.tlsFor("ops", wireTLSSelf, home, "", ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(keyringFile(home)); err != nil {
		t.Fatal(err)
	}
	f.renew(renewedFrom)
	f.reloaded("with that of the cluster", renewedFrom, false)
	if f.ends()["ops"].IsZero() {
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
