// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

func certificate(t testing.TB, host string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// The fake clock of these tests stands in the year 2000.
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, hex.EncodeToString(sum[:])
}

func tlsMember(addr string, cert tls.Certificate) *member {
	return &member{addr: addr, answer: ok, wrap: func(nc net.Conn) net.Conn {
		return tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{cert}})
	}}
}

func TestTLSTrust(t *testing.T) {
	cert, pin := certificate(t, "a")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	_, otherPin := certificate(t, "a")
	for name, test := range map[string]struct {
		opts client.Options
		addr string
		want error
	}{
		"pin":             {client.Options{Pin: pin}, "a:1", nil},
		"pin, upper case": {client.Options{Pin: strings.ToUpper(pin)}, "a:1", nil},
		"pin, any name":   {client.Options{Pin: pin}, "b:1", nil},
		"other pin":       {client.Options{Pin: otherPin}, "a:1", client.ErrPinMismatch},
		"CA":              {client.Options{CAFile: ca}, "a:1", nil},
		"CA, other name":  {client.Options{CAFile: ca}, "b:1", client.ErrUntrusted},
		"system roots":    {client.Options{TLS: &tls.Config{}}, "a:1", client.ErrUntrusted},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(tlsMember("a:1", cert), tlsMember("b:1", cert))
				test.opts.Addrs = []string{test.addr}
				cl := c.client(t, test.opts)
				from := time.Now()
				_, err := cl.SetPoloScore(t.Context(), 1, 1)
				if !errors.Is(err, test.want) {
					t.Fatalf("got %v, want %v", err, test.want)
				}
				if err != nil {
					wantError(t, err, client.CodeUntrusted, protocol.OutcomeNotApplied)
					if time.Since(from) != 0 || len(c.dials()) != 1 {
						t.Errorf("tried %d times, for %v", len(c.dials()), time.Since(from))
					}
				}
			})
		})
	}
}

// A member with the wrong certificate is passed over while another is right.
func TestWrongPinFailsOver(t *testing.T) {
	wrong, _ := certificate(t, "a")
	right, pin := certificate(t, "b")
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(tlsMember("a:1", wrong), tlsMember("b:1", right))
		cl := c.client(t, client.Options{Pin: pin})
		if _, err := cl.Lookup(t.Context(), 1); err != nil || cl.Addr() != "b:1" {
			t.Errorf("%v at %s", err, cl.Addr())
		}
	})
}

func TestOptionsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]client.Options{
		"no address":      {},
		"blank address":   {Addrs: []string{" "}},
		"short pin":       {Addrs: []string{"a"}, Pin: "abcd"},
		"pin not hex":     {Addrs: []string{"a"}, Pin: strings.Repeat("z", 64)},
		"pin and CA":      {Addrs: []string{"a"}, Pin: strings.Repeat("a", 64), CAFile: "x"},
		"missing CA":      {Addrs: []string{"a"}, CAFile: "/does/not/exist"},
		"level":           {Addrs: []string{"a"}, Consistency: "eventual"},
		"no staleness":    {Addrs: []string{"a"}, Consistency: protocol.Bounded},
		"CA without cert": {Addrs: []string{"a"}, CAFile: os.DevNull},
	} {
		if _, err := client.Open(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	cl, err := client.Open(client.Options{Addrs: []string{"host"}})
	if err != nil || cl.Addr() != "host:9000" {
		t.Errorf("%v, %v", cl.Addr(), err)
	}
	cl, err = client.Open(client.Options{Addrs: []string{"::1"}})
	if err != nil || cl.Addr() != "[::1]:9000" {
		t.Errorf("%v, %v", cl.Addr(), err)
	}
}

// A TLS server answers plain bytes with an alert, and the client says so.
func TestPlainClientOfATLSServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl, err := client.Open(client.Options{Addrs: []string{"a:1"}, Dialer: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				far.Read(make([]byte, 4096))
				far.Write([]byte{0x15, 3, 1, 0, 2, 2, 70})
			}()
			return near, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = cl.SetPoloScore(t.Context(), 1, 1)
		wantError(t, err, client.CodeUntrusted, protocol.OutcomeNotApplied)
		if !strings.Contains(err.Error(), "speaks TLS") {
			t.Error(err)
		}
	})
}
