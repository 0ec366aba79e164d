// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func TestEntryRoundTrip(t *testing.T) {
	session := SessionID{1, 2, 3}
	e := &Entry{Time: startTime, Term: 9, Envelopes: []Envelope{
		{Code: protocol.Must("set_tags").Code, Actor: Actor{Node: 7, KeyGen: 2}, Source: "[::1]:9", Session: session, Seq: 8, Floor: 3, Body: []byte(`{"node_id":7}`)},
		{Code: protocol.Must("set_tags").Code, Actor: Actor{Token: "root", TokenGen: 4}, Session: session, Seq: 9, Floor: 3, Body: []byte(`{}`)},
		{Code: protocol.Must("set_tags").Code, RequestID: "abc", Hash: [32]byte{5}, Session: SessionID{9}, Seq: 1, Body: []byte(`{}`)},
		{Code: heartbeatCode, Actor: Actor{Node: 70000, KeyGen: 1}, Body: []byte(`{"node_id":70000}`)},
		{Code: heartbeatCode, Actor: Actor{Node: 70000, KeyGen: 1}, Body: []byte(`{"node_id":70001}`)},
		{Code: heartbeatCode, Actor: Actor{Token: "root", TokenGen: 1}, Body: []byte(`{"node_id":5}`)},
		{Code: KindTick},
	}}
	got, err := ParseEntry(AppendEntry(nil, e))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, e) {
		t.Errorf("got  %+v\nwant %+v", got, e)
	}
}

func TestHeartbeatIsFewBytes(t *testing.T) {
	hb := Envelope{Code: heartbeatCode, Actor: Actor{Node: 900_000, KeyGen: 3}, Source: "203.0.113.9:50000", Body: []byte(`{"node_id":900000}`)}
	one := len(AppendEntry(nil, &Entry{Envelopes: []Envelope{hb}}))
	two := len(AppendEntry(nil, &Entry{Envelopes: []Envelope{hb, hb}}))
	if n := two - one; n > 8 {
		t.Errorf("a heartbeat takes %d bytes of an entry", n)
	}
}

// An entry this version does not understand stops the member: the state stays
// as it was, and later entries are not applied either.
func TestHaltOnUnknownEntries(t *testing.T) {
	tick := Envelope{Code: KindTick}
	good := AppendEntry(nil, &Entry{Time: startTime, Envelopes: []Envelope{tick}})
	unknownFlag := table.AppendUvarint(table.AppendUvarint([]byte{entryFormat, 0, 0, 0, 1}, uint64(KindTick)), flagsKnown+1)
	cases := []struct {
		name, want string
		data       []byte
	}{
		{"empty", "is damaged", nil},
		{"format", "has format 2, which this version does not know; upgrade this member", append([]byte{2}, good[1:]...)},
		{"cut", "is damaged", good[:len(good)-1]},
		{"trailing", "is damaged", append(append([]byte{}, good...), 0)},
		{"flag", "fields that this version does not know; upgrade this member", unknownFlag},
		{"seed", "is damaged: its header", []byte{entryFormat, 0, 0, 15, 1}},
		{"count", "is damaged", table.AppendUvarint([]byte{entryFormat, 0, 0, 0}, 1<<40)},
		{"internal", "holds a command of code 33023 that this version does not know; upgrade this member",
			AppendEntry(nil, &Entry{Envelopes: []Envelope{tick, {Code: InternalBase + 255}}})},
		{"row", "holds a command of code 999 that this version does not know", AppendEntry(nil, &Entry{Envelopes: []Envelope{{Code: 999}}})},
		{"read", "does not know", AppendEntry(nil, &Entry{Envelopes: []Envelope{{Code: protocol.Must("lookup").Code}}})},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			before := w.m.Root()
			_, err := w.m.Apply(1234, 1, c.data)
			var halt *HaltError
			if !errors.As(err, &halt) || halt.Index != 1234 || !strings.HasPrefix(halt.Reason, "entry 1234 ") || !strings.Contains(halt.Reason, c.want) {
				t.Fatalf("got %v, want a HaltError with %q", err, c.want)
			}
			if w.m.Root() != before {
				t.Error("the state was published again")
			}
			if _, err := w.m.Apply(1235, 1, good); !errors.As(err, &halt) || halt.Index != 1234 {
				t.Errorf("a later entry was applied: %v", err)
			}
		})
	}
}

// A level beyond this version halts it, but only if it is really reached: the
// whole entry is left out of the state.
func TestHaltOnUnknownLevel(t *testing.T) {
	w := worldAt(t, 1)
	w.internal(KindMemberHello, MemberRecord{ID: "m1", LevelMin: 1, LevelMax: LevelMax + 1})
	for level := uint32(1); level < LevelMax; level++ {
		w.internal(KindRaiseLevel, RaiseLevel{From: level, To: level + 1, Term: 1})
	}
	w.internalErr(KindRaiseLevel, RaiseLevel{From: LevelMax + 1, To: LevelMax + 2, Term: 1}, protocol.CodeConflict)
	before := w.m.Root()
	data := AppendEntry(nil, &Entry{Time: w.now + 1, Envelopes: []Envelope{
		{Code: protocol.Must("register").Code, Body: []byte(`{"public_key":"` + testKey(1).String() + `","endpoint":"1.2.3.4:5"}`)},
		{Code: KindRaiseLevel, Body: fmt.Appendf(nil, `{"from":%d,"to":%d,"term":1}`, LevelMax, LevelMax+1)},
	}})
	var halt *HaltError
	if _, err := w.m.Apply(50, 1, data); !errors.As(err, &halt) || !strings.Contains(halt.Reason, "upgrade this member") {
		t.Fatalf("got %v", err)
	}
	if w.m.Root() != before || before.NodeCount() != 0 {
		t.Error("the state changed")
	}
}
