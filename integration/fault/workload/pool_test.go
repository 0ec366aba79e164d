// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
)

// keys is a pool of one key at a time, numbered from 1.
type keys struct {
	t      *testing.T
	c      *Client
	pool   *pool[int]
	made   int
	refuse bool
}

func newKeys(t *testing.T, budget int) *keys {
	t.Helper()
	rec, err := history.NewRecorder("")
	if err != nil {
		t.Fatal(err)
	}
	env := &Env{Recorder: rec, Members: func() []Member { return nil }}
	if err := env.setDefaults(); err != nil {
		t.Fatal(err)
	}
	k := &keys{t: t, c: NewClient(env, "c")}
	k.pool = newPool(1, budget, func(context.Context, *Client) (int, bool) {
		if k.refuse {
			return 0, false
		}
		k.made++
		return k.made, true
	})
	if err := k.pool.fill(context.Background(), k.c); err != nil {
		t.Fatal(err)
	}
	return k
}

// want takes a key and fails when it is another one.
func (k *keys) want(value int, why string) *slot[int] {
	k.t.Helper()
	s, ok := k.pool.take(context.Background(), k.c)
	if !ok || s.value != value {
		k.t.Fatalf("%s: got %+v, %t, want key %d", why, s, ok, value)
	}
	return s
}

func TestAKeyIsLeftWhenItsBudgetIsSpent(t *testing.T) {
	k := newKeys(t, 10)
	for range 9 { // making it counted as the first
		k.want(1, "before the budget is spent")
	}
	k.want(2, "behind the budget")
}

func TestAKeyIsLeftWithManyOpenQuestions(t *testing.T) {
	k := newKeys(t, maxOps)
	s := k.want(1, "fresh")
	for range maxUnknown {
		k.want(1, "with few open questions")
		k.pool.note(s, history.Op{Command: "set_tags", Outcome: history.Unknown})
		k.pool.note(s, history.Op{Command: "lookup", Outcome: history.Unknown}) // a read leaves nothing open
		k.pool.note(s, history.Op{Command: "set_tags", Outcome: history.OK})
	}
	k.want(2, "with many open questions")
}

func TestAKeyIsLeftWhenItsNodeIsGone(t *testing.T) {
	k := newKeys(t, maxOps)
	s := k.want(1, "fresh")
	k.pool.note(s, history.Op{Command: "resolve_hostname", Key: "names/1", Outcome: history.Fail, Code: "not_found"})
	k.pool.note(s, history.Op{Command: "lookup", Key: "key/1", Outcome: history.Fail, Code: "not_found"})
	k.want(1, "nothing is wrong with it")
	k.pool.note(s, history.Op{Command: "lookup", Key: "node/1", Outcome: history.Fail, Code: "not_found"})
	k.want(2, "its node is gone")
}

func TestAnOldKeyIsLeft(t *testing.T) {
	k := newKeys(t, maxOps)
	s := k.want(1, "fresh")
	s.born = time.Now().Add(-2 * maxAge)
	k.refuse = true
	if _, ok := k.pool.take(context.Background(), k.c); ok {
		t.Fatal("an old key is kept when there is no fresh one")
	}
	k.refuse = false
	fresh := k.want(2, "old")
	if got := k.pool.recent(); len(got) != 2 {
		t.Errorf("keys %v are read at the end, want both", got)
	}
	fresh.born = time.Now().Add(-2 * finalAge)
	if got := k.pool.recent(); len(got) != 1 || got[0] != 1 {
		t.Errorf("keys %v are read at the end, want the one that is not too old", got)
	}
}

// Two clients of one name, as in two periods of a run, never make the same
// value or request id.
func TestClientsAreTold(t *testing.T) {
	env := &Env{Seed: 1}
	if err := env.setDefaults(); err != nil {
		t.Fatal(err)
	}
	a, b := NewClient(env, "c"), NewClient(env, "c")
	if a.name == b.name || a.unique() == b.unique() || a.process.Client() == b.process.Client() {
		t.Errorf("%s and %s: %s and %s", a.name, b.name, a.unique(), b.unique())
	}
	if one, two := env.newKey(), env.newKey(); one.Equal(two) {
		t.Error("a key was made twice")
	}
	again := &Env{Seed: 1}
	if err := again.setDefaults(); err != nil {
		t.Fatal(err)
	}
	if c := NewClient(again, "c"); c.rng.Uint64() != a.rng.Uint64() {
		t.Error("the same seed makes other choices")
	}
}
