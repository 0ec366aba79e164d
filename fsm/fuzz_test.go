// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"errors"
	"testing"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// FuzzParseEntry: any bytes are an entry or a clear error, and what is an
// entry survives being written again.
func FuzzParseEntry(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{entryFormat, 0, 0, 0})
	f.Add(AppendEntry(nil, &Entry{Time: startTime, Term: 3, Envelopes: []Envelope{
		{Code: 35, Actor: Actor{Node: 1, KeyGen: 1, Token: "t", TokenGen: 2}, Source: "s", RequestID: "r", Hash: [32]byte{1}, Session: SessionID{1}, Seq: 2, Floor: 1, Body: []byte("{}")},
		{Code: heartbeatCode, Actor: Actor{Node: 1, KeyGen: 1}, Body: []byte(`{"node_id":1}`)},
		{Code: KindTick},
	}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ParseEntry(data)
		if err != nil {
			var halt *HaltError
			if !errors.As(err, &halt) || halt.Reason == "" {
				t.Fatalf("got %v", err)
			}
			return
		}
		again := AppendEntry(nil, e)
		e2, err := ParseEntry(again)
		if err != nil || !bytes.Equal(AppendEntry(nil, e2), again) {
			t.Fatalf("written again it is another: %v", err)
		}
	})
}

// FuzzApply: any bytes give results or a HaltError, never a panic, and leave
// a state whose digest is that of its records.
func FuzzApply(f *testing.F) {
	f.Add([]byte{entryFormat, 0, 0, 0})
	f.Add(AppendEntry(nil, &Entry{Time: startTime, Envelopes: []Envelope{{Code: KindTick}, {Code: 45, Body: []byte(`{"public_key":"AAAA"}`)}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		applyAndCheck(t, fullWorld(t), data)
	})
}

// FuzzApplyCommand reaches deeper: the bytes are the body of one command.
func FuzzApplyCommand(f *testing.F) {
	for i := range protocol.Commands {
		if row := &protocol.Commands[i]; row.Writes() {
			f.Add(uint16(row.Code), uint32(1), uint32(1), uint8(0), []byte(`{"node_id":1,"network_id":1,"public_key":"`+testKey(1).String()+`","delta":1,"tags":["a"],"peer_id":2}`))
		}
	}
	for code := KindTermStart; code <= KindLast; code++ {
		f.Add(uint16(code), uint32(0), uint32(0), uint8(1), []byte(`{"term":1,"from":1,"to":2,"id":"m1","level_max":2,"name":"x","offline":[1],"notes":{"a":1}}`))
	}
	f.Fuzz(func(t *testing.T, code uint16, node, gen uint32, ident uint8, body []byte) {
		env := Envelope{Code: protocol.Code(code), Actor: Actor{Node: node, KeyGen: gen, Token: "root", TokenGen: 1}, Body: body}
		if ident&1 != 0 {
			env.Session, env.Seq, env.Floor = SessionID{1}, uint64(ident), uint64(ident>>4)
		}
		if ident&2 != 0 {
			env.RequestID, env.Hash = "r", [32]byte{1}
		}
		w := fullWorld(t)
		applyAndCheck(t, w, AppendEntry(nil, &Entry{Time: w.now, Term: 1, Envelopes: []Envelope{env, env}}))
	})
}

func applyAndCheck(t *testing.T, w *world, data []byte) {
	before := w.m.Root()
	rs, err := w.m.Apply(w.index+1, 1, data)
	if err != nil {
		var halt *HaltError
		if !errors.As(err, &halt) || w.m.Root() != before {
			t.Fatalf("got %v", err)
		}
		return
	}
	for _, r := range rs {
		if (r.Err == nil) == (r.JSON() == nil) || r.Err != nil && (r.Err.Code == "" || r.Err.Text == "" || r.Err.Outcome == protocol.OutcomeUnknown) {
			t.Fatalf("result %+v", r)
		}
	}
	if root := w.m.Root(); fromScratch(root) != root.Digest() {
		t.Fatal("the digest is not that of the records")
	}
	if _, err := clone(w.m); err != nil {
		t.Fatalf("the state cannot be restored: %v", err)
	}
}

// FuzzRestore: any bytes are refused or give a state that is sound.
func FuzzRestore(f *testing.F) {
	good := snapshotOf(f, fullWorld(f).m)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(snapshotOf(f, New()))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := New()
		before := m.Root()
		if err := m.Restore(bytes.NewReader(data)); err != nil {
			if m.Root() != before {
				t.Fatal("a failed restore changed the state")
			}
			return
		}
		if r := m.Root(); fromScratch(r) != r.Digest() {
			t.Fatal("the digest is not that of the records")
		}
		if _, err := clone(m); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzLoadRecord reaches the decoders that the checksums of a snapshot protect.
func FuzzLoadRecord(f *testing.F) {
	w := fullWorld(f)
	_ = w.m.Root().eachRecord(func(rec []byte) error {
		f.Add(bytes.Clone(rec))
		return nil
	})
	f.Fuzz(func(t *testing.T, rec []byte) {
		if len(rec) == 0 {
			return
		}
		x := newTxn()
		if err := x.load(rec, 0, table.Kind(rec[0]) == kindMeta); err != nil {
			return
		}
		m := New()
		m.adopt(x, 1, 1)
		if r := m.Root(); fromScratch(r) != r.Digest() {
			t.Fatalf("record %x: the digest is not that of the records", rec)
		}
	})
}
