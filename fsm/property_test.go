// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
	"pgregory.net/rapid"
)

// Any log, cut into any entries, with a snapshot and a restore anywhere: two
// machines come to the same digest and the same answers, and everything that
// is derived from the state is what a restore derives.
func TestAnyLogIsDeterministic(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := worldAt(rt, uint32(rapid.IntRange(int(LevelMin), int(LevelMax)).Draw(rt, "level")))
		a := w.m
		b, err := clone(a)
		if err != nil {
			rt.Fatal(err)
		}
		g := &generator{t: rt, root: a.Root(), time: w.now}
		model := &onceModel{first: map[onceKey]Result{}}
		index := w.index
		for range rapid.IntRange(5, 40).Draw(rt, "entries") {
			index++
			entry := g.entry()
			data := AppendEntry(nil, entry)
			kept := a.Root()
			keptDigest := fromScratch(kept)
			ra, errA := a.Apply(index, 1, data)
			rb, errB := b.Apply(index, 1, data)
			if errA != nil || errB != nil {
				rt.Fatal(errA, errB)
			}
			for i := range ra {
				if !sameResult(ra[i], rb[i]) {
					rt.Fatalf("command %d of entry %d: %+v and %+v", i, index, ra[i], rb[i])
				}
				model.check(rt, &entry.Envelopes[i], ra[i])
			}
			ca, cb := a.Root(), b.Root()
			if ca.Digest() != cb.Digest() {
				rt.Fatalf("digests differ after entry %d:\n%s", index, differing(ca, cb))
			}
			if fromScratch(ca) != ca.Digest() {
				rt.Fatalf("the digest is not that of the records after entry %d", index)
			}
			checkGovernance(rt, &ca.view)
			checkTotals(rt, &ca.view)
			checkSinks(rt, &ca.view)
			if fromScratch(kept) != keptDigest {
				rt.Fatalf("entry %d changed a published root", index)
			}
			if rapid.IntRange(0, 7).Draw(rt, "restore") == 0 {
				if b, err = clone(b); err != nil {
					rt.Fatal(err)
				}
				if r := b.Root(); r.Index() != index || r.Term() != 1 || r.Digest() != ca.Digest() {
					rt.Fatalf("a restore changed index, term or digest")
				}
				if what := differing(raised(ca), raised(b.Root())); what != "" {
					rt.Fatalf("a restore forgets what a higher level would remember:\n%s", what)
				}
				if ia, ib := indexes(&ca.view), indexes(&b.Root().view); ia != ib {
					rt.Fatalf("indexes differ after a restore:\n%s\nand\n%s", ia, ib)
				}
			}
			g.root = ca
		}
		checkChains(rt, a.Root())
	})
}

func sameResult(a, b Result) bool {
	if (a.Err == nil) != (b.Err == nil) || a.Err != nil && *a.Err != *b.Err {
		return false
	}
	return a.Index == b.Index && a.Replayed == b.Replayed && bytes.Equal(a.JSON(), b.JSON())
}

func checkChains(t *rapid.T, r *Root) {
	for _, class := range []protocol.EventClass{protocol.ClassSecurity, protocol.ClassActivity} {
		c := r.Chain(class)
		if head, err := protocol.VerifyChain(c.Anchor, r.Events(class, 0, 1<<30)); err != nil || head != c.Head {
			t.Fatalf("chain of %s: %v", class, err)
		}
	}
}

// onceModel says that a minted id is carried out at most once while it is
// remembered or settled: a second decision may only repeat the first.
type onceModel struct {
	first map[onceKey]Result
}

type onceKey struct {
	session SessionID
	seq     uint64
}

func (m *onceModel) check(t *rapid.T, c *Envelope, r Result) {
	row := protocol.ByCode(c.Code)
	if c.Session == (SessionID{}) || c.RequestID != "" || row != nil && row.Soft {
		return
	}
	key := onceKey{c.Session, c.Seq}
	first, known := m.first[key]
	switch {
	case r.Replayed && !known:
		t.Fatalf("%v was never decided and is replayed", key)
	case r.Replayed && (!bytes.Equal(first.JSON(), r.JSON()) || first.Index != r.Index):
		t.Fatalf("%v got another answer", key)
	case !r.Replayed && (r.Err == nil || r.Err.Outcome != protocol.OutcomeNotApplied):
		m.first[key] = r
	}
}

// Whatever the dry run lets through on a root, Apply carries out on it, and
// what it refuses, Apply refuses in the same words.
func TestDryRunAndApplyAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := worldAt(rt, uint32(rapid.IntRange(int(LevelMin), int(LevelMax)).Draw(rt, "level")))
		g := &generator{t: rt, root: w.m.Root(), time: w.now}
		index := w.index
		for range rapid.IntRange(5, 60).Draw(rt, "commands") {
			index++
			env := g.row()
			row := protocol.ByCode(env.Code)
			var body protocol.Body
			c := logged{Envelope: env}
			if decoded, e := w.m.x.readBody(row, &c); e == nil {
				body = decoded
			} else {
				continue
			}
			root := w.m.Root()
			dry := root.Check(&Call{Row: row, Body: body, Actor: env.Actor})
			rs, err := w.m.Apply(index, 1, AppendEntry(nil, &Entry{Time: root.Now(), Envelopes: []Envelope{env}}))
			if err != nil {
				rt.Fatal(err)
			}
			got := rs[0].Err
			// Two refusals are noted in the log, for which they have to get there.
			noted := got != nil && (got.Code == protocol.CodeKeyExpired || row.Name == "register" && got.Code == protocol.CodeSignatureRequired)
			if dry == nil && got != nil && !noted || dry != nil && (got == nil || *got != *dry) {
				rt.Fatalf("%s: the dry run says %v, apply %v", row.Name, dry, got)
			}
			checkGovernance(rt, &w.m.Root().view)
			checkTotals(rt, &w.m.Root().view)
			checkSinks(rt, &w.m.Root().view)
			if got != nil && !noted && w.m.Root().Digest() != root.Digest() {
				rt.Fatalf("%s: a refusal changed the state", row.Name)
			}
			if rapid.IntRange(0, 9).Draw(rt, "step") == 0 {
				index++
				g.time += int64(rapid.IntRange(0, int(5*minute)).Draw(rt, "pause"))
				sweep := g.internal()
				if _, err := w.m.Apply(index, 1, AppendEntry(nil, &Entry{Time: g.time, Envelopes: []Envelope{sweep}})); err != nil {
					rt.Fatal(err)
				}
			}
			g.root = w.m.Root()
		}
	})
}

// raised is a root as it would be recorded at the newest level.
func raised(r *Root) *Root {
	out := *r
	out.meta.level = LevelMax
	return &out
}

// differing lists the records that only one of two roots has.
func differing(a, b *Root) string {
	records := map[string]int{}
	for root, way := range map[*Root]int{a: 1, b: -1} {
		_ = root.eachRecord(func(rec []byte) error {
			records[string(rec)] += way
			return nil
		})
	}
	var out bytes.Buffer
	for rec, way := range records {
		if way != 0 {
			fmt.Fprintf(&out, "%+d %q\n", way, rec)
		}
	}
	return out.String()
}
