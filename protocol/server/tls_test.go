// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol/server"
)

func selfSigned(t testing.TB) (tls.Certificate, *x509.Certificate, []byte, []byte) {
	t.Helper()
	certPEM, keyPEM, err := server.SelfSigned(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return cert, leaf, certPEM, keyPEM
}

// TestSelfSigned compares with docs/protocol/README.md#connections.
func TestSelfSigned(t *testing.T) {
	t.Parallel()
	cert, leaf, _, _ := selfSigned(t)
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		t.Errorf("key %T", leaf.PublicKey)
	}
	if got := leaf.Subject.String(); got != "O=Pilot Protocol" {
		t.Errorf("subject %q", got)
	}
	if got := leaf.NotAfter.Sub(leaf.NotBefore); got != 10*365*24*time.Hour {
		t.Errorf("valid for %v", got)
	}
	if leaf.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment ||
		len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("usage %v %v", leaf.KeyUsage, leaf.ExtKeyUsage)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		if err := leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if err := leaf.VerifyHostname("m1.example.net"); err == nil {
		t.Error("good for any name")
	}
	certPEM, keyPEM, err := server.SelfSigned(time.Now(), "m1.example.net", "192.0.2.7", "localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	named, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"m1.example.net", "192.0.2.7", "localhost", "::1"} {
		if err := named.Leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if got := len(named.Leaf.DNSNames) + len(named.Leaf.IPAddresses); got != 5 {
		t.Errorf("names %v %v: one is there twice", named.Leaf.DNSNames, named.Leaf.IPAddresses)
	}
	_, second, _, _ := selfSigned(t)
	if leaf.SerialNumber.Cmp(second.SerialNumber) == 0 || leaf.SerialNumber.BitLen() > 128 {
		t.Errorf("serials %v and %v", leaf.SerialNumber, second.SerialNumber)
	}
	pin, err := server.Pin(cert)
	if err != nil || !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(pin) {
		t.Errorf("pin %q, %v", pin, err)
	}
	if _, err := server.Pin(tls.Certificate{}); err == nil {
		t.Error("a pin of nothing")
	}
}

func TestPinVector(t *testing.T) {
	t.Parallel()
	want := "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // SHA-256 of "abc", FIPS 180-2
	if got := server.PinDER([]byte("abc")); got != want {
		t.Errorf("got %s", got)
	}
	block, _ := pem.Decode([]byte("-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n"))
	if got := server.PinDER(block.Bytes); got != want || len(mustHex(t, got)) != 32 {
		t.Errorf("got %s", got)
	}
}

func mustHex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTLSWithFiles(t *testing.T) {
	t.Parallel()
	_, leaf, certPEM, keyPEM := selfSigned(t)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, data := range map[string][]byte{certFile: certPEM, keyFile: keyPEM} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := server.LoadCertificate(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	_, addr := start(t, server.Config{TLS: server.TLSConfig(cert)})
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	nc, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	p := wrap(t, nc)
	for i := range 3 {
		if got := p.ask(padded(65536 - i)); got.NodeID != 7 {
			t.Fatalf("%+v", got)
		}
	}
	if server.PinDER(nc.ConnectionState().PeerCertificates[0].Raw) != server.PinDER(leaf.Raw) {
		t.Error("another certificate was presented")
	}
	p.write(header(1 << 30))
	p.wantClosed()

	if _, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
	plain := dial(t, addr)
	plain.write([]byte("\x00\x00\x00\x05")) // as much as the server looks at
	plain.write([]byte("{"))
	if b, _ := io.ReadAll(plain.nc); string(b) != "\x15\x03\x01\x00\x02\x02\x46" {
		t.Errorf("plain text was answered with %x", b)
	}
	if _, err := server.LoadCertificate(filepath.Join(dir, "none"), keyFile); err == nil {
		t.Error("a missing file was accepted")
	}
}

func TestTLSNeedsACertificate(t *testing.T) {
	t.Parallel()
	if _, err := server.New(server.Config{Backend: &backend{}, TLS: &tls.Config{}}); err == nil {
		t.Error("TLS without certificate was accepted")
	}
}

func TestTLSHandshakeHasADeadline(t *testing.T) {
	cert, _, _, _ := selfSigned(t)
	synctest.Test(t, func(t *testing.T) {
		pipes := newPipes()
		startOn(t, server.Config{TLS: server.TLSConfig(cert)}, pipes)
		p := pipes.dial(t, "10.0.0.1:1")
		time.Sleep(31 * time.Second)
		p.wantClosed()
	})
}
