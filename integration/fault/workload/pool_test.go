package workload

import (
	"context"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
)

func TestKeysAreLeftInTime(t *testing.T) {
	rec, err := history.NewRecorder("")
	if err != nil {
		t.Fatal(err)
	}
	env := &Env{Recorder: rec, Members: func() []Member { return nil }}
	if err := env.setDefaults(); err != nil {
		t.Fatal(err)
	}
	c := NewClient(env, "c")
	made, refuse := 0, false
	p := newPool(1, 10, func(context.Context, *Client) (int, bool) {
		if refuse {
			return 0, false
		}
		made++
		return made, true
	})
	ctx := context.Background()
	if err := p.fill(ctx, c); err != nil {
		t.Fatal(err)
	}
	take := func() *slot[int] {
		t.Helper()
		s, ok := p.take(ctx, c)
		if !ok {
			t.Fatal("no key")
		}
		return s
	}
	for range 9 {
		if s := take(); s.value != 1 {
			t.Fatalf("key %d before the budget of the first was spent", s.value)
		}
	}
	s := take()
	if s.value != 2 {
		t.Fatal("the budget of a key is not kept")
	}
	unknown := history.Op{Command: "set_tags", Outcome: history.Unknown}
	for range maxUnknown {
		p.note(s, unknown)
		p.note(s, history.Op{Command: "lookup", Outcome: history.Unknown}) // a read leaves nothing open
		p.note(s, history.Op{Command: "set_tags", Outcome: history.OK})
	}
	if s = take(); s.value != 3 {
		t.Fatal("a key with many open questions is kept")
	}
	p.note(s, history.Op{Command: "resolve_hostname", Key: "names/1", Outcome: history.Fail, Code: "not_found"})
	p.note(s, history.Op{Command: "lookup", Key: "key/1", Outcome: history.Fail, Code: "not_found"})
	if s = take(); s.value != 3 {
		t.Fatal("a key is left although nothing is wrong with it")
	}
	p.note(s, history.Op{Command: "lookup", Key: "node/1", Outcome: history.Fail, Code: "not_found"})
	if s = take(); s.value != 4 {
		t.Fatal("a key whose node is gone is kept")
	}
	s.born = time.Now().Add(-2 * maxAge)
	refuse = true
	if _, ok := p.take(ctx, c); ok {
		t.Fatal("an old key is kept when there is no fresh one")
	}
	refuse = false
	if s = take(); s.value != 5 {
		t.Fatal("an old key is kept")
	}
	if got := p.recent(); len(got) != 5 {
		t.Errorf("keys %v are read at the end, want all five", got)
	}
	s.born = time.Now().Add(-2 * finalAge)
	if got := p.recent(); len(got) != 4 {
		t.Errorf("keys %v are read at the end, want those that are not too old", got)
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
	if string(env.newKey()) == string(env.newKey()) {
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
