// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// worker writes through one member first and through the others when that one
// fails, and keeps what was acknowledged.
type worker struct {
	c  *client.Client
	id *client.Identity

	scored     int64             // acknowledged +1 on the worker's own score
	lastTag    string            // last acknowledged tag
	registered map[uint32]string // acknowledged ids and their keys
	acked      *atomic.Int64
}

func newWorker(t *testing.T, addrs []string, first int, acked *atomic.Int64) *worker {
	t.Helper()
	id, err := client.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	rotated := append(append([]string{}, addrs[first:]...), addrs[:first]...)
	c, err := client.Open(client.Options{Addrs: rotated, Identity: id, Timeout: 2 * time.Second, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &worker{c: c, id: id, registered: map[uint32]string{}, acked: acked}
}

// run writes until stop, failing on any error: with request ids and fail-over
// the SDK has to turn every leader change into one success.
func (w *worker) run(ctx context.Context, stop <-chan struct{}, name string) error {
	r, err := w.c.Register(ctx, protocol.Register{PublicKey: w.id.PublicKey().String(), ListenAddr: ":4000"})
	if err != nil {
		return fmt.Errorf("%s: register: %w", name, err)
	}
	w.id.SetNodeID(r.NodeID)
	w.registered[r.NodeID] = w.id.PublicKey().String()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return nil
		default:
		}
		switch i % 3 {
		case 0:
			_, err = w.c.UpdatePoloScore(ctx, r.NodeID, 1)
			w.scored++
		case 1:
			w.lastTag = fmt.Sprintf("t%d", i)
			_, err = w.c.SetTags(ctx, r.NodeID, []string{w.lastTag})
		case 2:
			err = w.registerAnother(ctx)
		}
		if err != nil {
			return fmt.Errorf("%s: write %d: %w", name, i, err)
		}
		w.acked.Add(1)
	}
}

func (w *worker) registerAnother(ctx context.Context) error {
	id, err := client.NewIdentity()
	if err != nil {
		return err
	}
	key := id.PublicKey().String()
	r, err := w.c.Register(ctx, protocol.Register{PublicKey: key, ListenAddr: ":4001"})
	if err != nil {
		return err
	}
	if other, twice := w.registered[r.NodeID]; twice {
		return fmt.Errorf("node id %d was given to %s and again to %s", r.NodeID, other, key)
	}
	w.registered[r.NodeID] = key
	return nil
}

// verify reads everything back through one client.
func (w *worker) verify(ctx context.Context, t *testing.T, c *client.Client, owners map[uint32]string) {
	t.Helper()
	score, err := c.GetPoloScore(ctx, w.id.NodeID())
	if err != nil || score.PoloScore != w.scored {
		t.Errorf("node %d: score %+v, error %v; %d additions were acknowledged", w.id.NodeID(), score, err, w.scored)
	}
	node, err := c.Lookup(ctx, w.id.NodeID())
	if err != nil || w.lastTag != "" && (len(node.Tags) != 1 || node.Tags[0] != w.lastTag) {
		t.Errorf("node %d: %+v, error %v; the last acknowledged tag is %s", w.id.NodeID(), node, err, w.lastTag)
	}
	for id, key := range w.registered {
		if other, twice := owners[id]; twice {
			t.Errorf("node id %d was given to %s and %s", id, other, key)
		}
		owners[id] = key
		if got, err := c.Lookup(ctx, id); err != nil || got.PublicKey != key {
			t.Errorf("node %d: %+v, error %v; acknowledged for key %s", id, got, err, key)
		}
	}
}

// Three kills and one pause of the leader under load: nothing acknowledged is
// missing, nothing is doubled, no id is given twice.
func TestLeaderKilledUnderLoad(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	addrs := c.Addrs()
	stop := make(chan struct{})
	var acked atomic.Int64
	var workers []*worker
	var wg sync.WaitGroup
	failures := make(chan error, 24)
	for i := range 24 {
		w := newWorker(t, addrs, i%len(addrs), &acked)
		workers = append(workers, w)
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := w.run(ctx, stop, fmt.Sprintf("worker %d", i)); err != nil {
				failures <- err
			}
		}()
	}
	start := time.Now()
	for _, fault := range []string{"kill", "kill", "pause", "kill"} {
		awaitWrites(ctx, t, &acked, 1500)
		hurtLeader(ctx, t, c, fault)
	}
	awaitWrites(ctx, t, &acked, 1500)
	close(stop)
	wg.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
	}
	took := time.Since(start)
	t.Logf("%d writes acknowledged in %s (%.0f/s)", acked.Load(), took.Round(time.Millisecond), float64(acked.Load())/took.Seconds())
	if rate := float64(acked.Load()) / took.Seconds(); rate < 200 {
		t.Errorf("only %.0f writes/s were made, too few to mean anything", rate)
	}
	verifyAll(ctx, t, c, workers)
}

// verifyAll checks that what the workers were acknowledged is there, once, and
// that the members agree.
func verifyAll(ctx context.Context, t *testing.T, c *harness.Cluster, workers []*worker) {
	t.Helper()
	reader, err := client.Open(client.Options{Addrs: c.Addrs(), Shuffle: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	owners := map[uint32]string{}
	for _, w := range workers {
		w.verify(ctx, t, reader, owners)
	}
	awaitEqualDigests(ctx, t, c)
}

// awaitWrites waits until n more writes have been acknowledged.
func awaitWrites(ctx context.Context, t *testing.T, acked *atomic.Int64, n int64) {
	t.Helper()
	for want := acked.Load() + n; acked.Load() < want; {
		select {
		case <-ctx.Done():
			t.Fatalf("writes do not go on: %d of %d acknowledged", acked.Load(), want)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// hurtLeader kills the leader and waits for it to come back, or pauses it
// until another member leads.
func hurtLeader(ctx context.Context, t *testing.T, c *harness.Cluster, fault string) {
	t.Helper()
	r, err := c.Await(ctx, func(r harness.Ready) bool { _, ok := r.LeaderNode(); return ok && allUp(r) })
	if err != nil {
		t.Fatal(err)
	}
	leader, _ := r.LeaderNode()
	signal := syscall.SIGKILL
	if fault == "pause" {
		signal = syscall.SIGSTOP
	}
	if err := syscall.Kill(leader.PID, signal); err != nil {
		t.Fatal(err)
	}
	if fault == "pause" {
		defer func() {
			if err := syscall.Kill(leader.PID, syscall.SIGCONT); err != nil {
				t.Error(err)
			}
		}()
	}
	if _, err = c.Await(ctx, func(r harness.Ready) bool {
		return r.Leader != leader.ID && (fault == "pause" || allUp(r) && pidOf(r, leader.ID) != leader.PID)
	}); err != nil {
		t.Fatalf("after %s of %s: %v", fault, leader.ID, err)
	}
}

func allUp(r harness.Ready) bool {
	for _, n := range r.Nodes {
		if n.PID == 0 {
			return false
		}
	}
	return true
}

func pidOf(r harness.Ready, id string) int {
	for _, n := range r.Nodes {
		if n.ID == id {
			return n.PID
		}
	}
	return 0
}

// awaitEqualDigests waits until all members have shown the same digest at one
// index, and fails when two show different ones.
func awaitEqualDigests(ctx context.Context, t *testing.T, c *harness.Cluster) {
	t.Helper()
	seen := map[uint64]map[string]string{} // index → member → digest
	for {
		r, err := c.Ready()
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range r.Nodes {
			s, err := n.Status()
			if err != nil {
				continue
			}
			at := seen[s.AppliedIndex]
			if at == nil {
				at = map[string]string{}
				seen[s.AppliedIndex] = at
			}
			at[n.ID] = s.Digest
			for other, digest := range at {
				if digest != s.Digest {
					t.Fatalf("at index %d member %s has digest %s, member %s has %s", s.AppliedIndex, n.ID, s.Digest, other, digest)
				}
			}
			if len(at) == len(r.Nodes) {
				return
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the members never showed one index together: %v", seen)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
