// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

func TestMain(m *testing.M) {
	code := m.Run()
	lab.RemoveBinaries()
	os.Exit(code)
}

// newLab starts a cluster that ends with the test.
func newLab(t *testing.T, o lab.Options) (*lab.Lab, context.Context) {
	t.Helper()
	if _, err := lab.Binary(lab.Build{}); err != nil { // building takes no time of the cluster's
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(cancel)
	dir, err := os.MkdirTemp("", "pilot-lab-")
	if err != nil {
		t.Fatal(err)
	}
	o.Dir = dir
	start := time.Now()
	l, err := lab.New(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up after %s in %s", time.Since(start), dir)
	t.Cleanup(func() {
		l.Close()
		for _, e := range l.UnexpectedExits() {
			t.Errorf("unexpected: %s\n%s", e, e.Last)
		}
		if t.Failed() {
			t.Logf("logs are in %s", dir)
			return
		}
		os.RemoveAll(dir)
	})
	return l, ctx
}

func register(ctx context.Context, t *testing.T, l *lab.Lab, site int) {
	t.Helper()
	id, err := client.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Open(client.Options{Addrs: l.SiteAddrs(site), Identity: id, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Register(ctx, protocol.Register{PublicKey: id.PublicKey().String(), ListenAddr: ":4000"}); err != nil {
		t.Fatal(err)
	}
}

// TestAClusterIsHurtAndHeals walks once through what a lab can do: kill, cut
// off, journal, notice and replace.
func TestAClusterIsHurtAndHeals(t *testing.T) {
	l, ctx := newLab(t, lab.Options{NonVoters: 1})
	register(ctx, t, l, 0)
	leader, err := l.AwaitLeader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Kill(leader); err != nil {
		t.Fatal(err)
	}
	next, err := l.AwaitLeader(ctx, leader)
	if err != nil {
		t.Fatal(err)
	}
	register(ctx, t, l, 1)
	if err := l.Start(leader); err != nil {
		t.Fatal(err)
	}
	if err := l.AwaitShape(ctx); err != nil {
		t.Fatal(err)
	}
	for _, slot := range l.Slots() {
		if slot != next.Slot {
			l.Between(next.Slot, slot, func(p *lab.Policy) { p.Block = true })
			l.Between(slot, next.Slot, func(p *lab.Policy) { p.Block = true })
		}
	}
	if _, err := l.AwaitLeader(ctx, next); err != nil {
		t.Fatal(err)
	}
	register(ctx, t, l, 0)
	l.HealNetwork()
	if _, _, err := l.AwaitEqualDigests(ctx); err != nil {
		t.Fatal(err)
	}
	l.Abandon(next, "the test gives it up")
	if err := l.RestoreShape(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.AwaitShape(ctx); err != nil {
		t.Fatal(err)
	}
	if n := len(l.Everyone()); n != 5 {
		t.Errorf("there were %d members, want 4 and a replacement", n)
	}
	j, err := l.Journal(leader)
	if err != nil || len(j.Entries) < 5 {
		t.Errorf("the journal has %d entries, error %v", len(j.Entries), err)
	}
	if r := l.Reached(); r["apply.before"] == 0 || r["store.logs.before"] == 0 {
		t.Errorf("points reached: %v", r)
	}
	if len(l.Reigns()) < 2 {
		t.Errorf("reigns: %v", l.Reigns())
	}
	if a, err := l.Alarms(); err != nil || len(a) > 0 {
		t.Errorf("alarms %v, error %v", a, err)
	}
	if found := l.Leaks(ctx, lab.DefaultBounds); found != nil {
		t.Error(found)
	}
}

// TestAPowerCutOfAllMembersLosesNothing: what was acknowledged was synced, and
// the members start again on what is left.
func TestAPowerCutOfAllMembersLosesNothing(t *testing.T) {
	if why := lab.NoDisks(); why != "" {
		t.Skip("members cannot have disks of their own: " + why)
	}
	l, ctx := newLab(t, lab.Options{Disks: true})
	id, err := client.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Open(client.Options{Addrs: l.SiteAddrs(0), Identity: id, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var nodes []uint32
	for range 20 {
		fresh, err := client.NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Register(ctx, protocol.Register{PublicKey: fresh.PublicKey().String(), ListenAddr: ":4000"})
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, r.NodeID)
	}
	for _, step := range []func(*lab.Member) error{l.PowerOff, l.PowerOn, func(m *lab.Member) error { return l.Start(m) }} {
		for _, m := range l.Members() {
			if err := step(m); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.AwaitShape(ctx); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if _, err := c.Lookup(ctx, n); err != nil {
			t.Errorf("node %d: %v", n, err)
		}
	}
}
