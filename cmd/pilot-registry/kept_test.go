// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/cmd/internal/contexts"
)

// make1 runs init in a new data directory.
func make1(t *testing.T, args ...string) (dir, said string, err error) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	dir = filepath.Join(t.TempDir(), "member")
	root := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append([]string{"init", "--data-dir", dir}, args...))
	err = root.ExecuteContext(t.Context())
	return dir, out.String(), err
}

// What init was told, run finds: once is enough.
func TestRunFindsWhatInitWasTold(t *testing.T) {
	dir, said, err := make1(t, "--peer-advertise", "m1.example.net:9100", "--wire-listen", ":9443", "--raft-stable-for", "3s", "--rate-limits-exempt", "10.0.0.0/8,192.0.2.0/24")
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if !strings.HasSuffix(said, "\n  pilot-registry run --data-dir "+dir+"\n") {
		t.Errorf("init ends with:\n%s", said)
	}
	c, err := load(t, "", "--data-dir", dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.startable(); err != nil || c.Peer.Advertise != "m1.example.net:9100" || c.Wire.Listen != ":9443" || c.Raft.StableFor.String() != "3s" ||
		len(c.Rate.Exempt) != 2 || len(c.warnings()) != 0 {
		t.Errorf("%v %+v %q", err, c, c.warnings())
	}
	for listen, want := range map[string]string{"[::]:9443": "m1.example.net:9443", "0.0.0.0:9443": "m1.example.net:9443", ":9443": "m1.example.net:9443", "192.0.2.7:9443": "192.0.2.7:9443"} {
		if got := c.wireAdvertise(listen); got != want {
			t.Errorf("clients of a listener at %s are told %s, want %s", listen, got, want)
		}
	}
	path, err := contexts.Path()
	if err != nil {
		t.Fatal(err)
	}
	kept, err := contexts.Load(path)
	if err != nil || len(kept.Contexts["registry"].Addrs) != 1 || kept.Contexts["registry"].Addrs[0] != "m1.example.net:9443" {
		t.Errorf("%v %+v", err, kept)
	}
	// A file of --config wins, and that it does is told.
	c, err = load(t, "peer:\n  advertise: m9.example.net:9100\n", "--data-dir", dir)
	if err != nil || c.Peer.Advertise != "m9.example.net:9100" || len(c.warnings()) != 1 || !strings.Contains(c.warnings()[0], "config.yaml: peer.advertise is overridden with m9.example.net:9100") {
		t.Errorf("%v %q", err, c.warnings())
	}
}

// What run would refuse, init and join refuse before they make anything.
func TestInitRefusesWhatRunRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, `peer.advertise: peer advertise address ":9100" names no host`},
		{[]string{"--peer-advertise", "m5.example.net"}, "is not host:port"},
		{[]string{"--peer-advertise", "m5.example.net:9100", "--wire-tls", "files", "--wire-tls-cert", "no.pem", "--wire-tls-key", "no.key"}, "wire.tls_cert: "},
		{[]string{"--peer-advertise", "m5.example.net:9100", "--wire-advertise", "[::]:9000"}, "wire.advertise: "},
		{[]string{"--peer-advertise", "m5.example.net:9100", "--log-level", "loud"}, "log.level: "},
	} {
		dir, said, err := make1(t, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("init %v: %v, want %s\n%s", c.args, err, c.want, said)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("init %v left something behind: %v", c.args, err)
		}
		root := newRoot()
		root.SetArgs(append([]string{"join", "--data-dir", dir, "--token", "t"}, c.args...))
		if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("join %v: %v, want %s", c.args, err, c.want)
		}
		root = newRoot()
		root.SetArgs(append([]string{"run", "--data-dir", dir}, c.args...))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := root.ExecuteContext(ctx); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("run %v: %v, want %s", c.args, err, c.want)
		}
		root = newRoot()
		root.SetArgs(append([]string{"config", "validate", "--data-dir", dir}, c.args...))
		if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("config validate %v: %v, want %s", c.args, err, c.want)
		}
	}
}
