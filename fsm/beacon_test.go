// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func (w *world) announce(source string, id uint32, addr string, by who) *protocol.Error {
	w.t.Helper()
	c := from(source, w.call("beacon_register", &protocol.BeaconRegister{BeaconID: id, Addr: addr}, by))
	dry, r := w.m.Root().Check(c), w.apply(envelope(c))[0]
	if (dry == nil) != (r.Err == nil) {
		w.t.Fatalf("the dry run says %v, apply says %v", dry, r.Err)
	}
	return r.Err
}

func (w *world) beaconList() protocol.Rendered {
	w.t.Helper()
	r, e := w.m.Root().Read(w.call("beacon_list", &protocol.BeaconList{}, nil))
	if e != nil {
		w.t.Fatal(e)
	}
	return r.Reply.(protocol.Rendered)
}

// A stranger announces as many beacons as it can, under the longest names: the
// operator's own still find a place, and every client can read the list.
func TestStrangerCannotTakeTheBeaconService(t *testing.T) {
	w := newWorld(t)
	for flood, source := range []string{"203.0.113.9:1", "[2001:db8:1:2::3]:1", "198.51.100.1:1"} {
		for i := range uint32(5000) {
			e := w.announce(source, uint32(flood+1)<<16+i, fmt.Sprintf("%s-%d:65535", strings.Repeat("x", 240), i), nil)
			if e != nil && e.Code != protocol.CodeLimitReached {
				t.Fatal(e)
			}
			if e != nil && i < 10 {
				t.Errorf("%s is refused after %d: %v", source, i, e)
			}
		}
	}
	for i := range uint32(5) {
		if e := w.announce("192.0.2.1:1", 1+i, "beacon.example.net:9001", nil); e != nil {
			t.Errorf("a genuine beacon: %v", e)
		}
	}
	if n := len(w.beaconList()); n > 60<<10 {
		t.Errorf("the list takes %d bytes", n)
	}
	w.tick(minute + 1)
	w.sweepAll()
	if b := &w.m.x.beacons.bytes; b.total.Get() != 0 || b.held.Len() != 0 {
		t.Errorf("after a minute %d bytes and %d bearers are left", b.total.Get(), b.held.Len())
	}
}

func TestBeaconAddressIsHostPort(t *testing.T) {
	w := newWorld(t)
	w.refused("beacon_register", &protocol.BeaconRegister{BeaconID: 1, Addr: strings.Repeat("\x01", 250)}, nil, protocol.CodeInvalid,
		"invalid addr: want host:port, with a host name or an IP address (IPv6 in brackets) and a port from 1 to 65535")
}

// What a node announces by its signature nobody else takes over.
func TestSignedBeaconKeepsItsAddress(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	if e := w.announce("192.0.2.1:1", 7, "a:1", as(a)); e != nil {
		t.Fatal(e)
	}
	for name, by := range map[string]who{"a stranger": nil, "another node": as(b)} {
		if e := w.announce("192.0.2.1:1", 7, "evil:1", by); e == nil || e.Code != protocol.CodePermissionDenied {
			t.Errorf("%s: %v", name, e)
		}
	}
	if e := w.announce("198.51.100.1:1", 7, "a:2", as(a)); e != nil {
		t.Errorf("the node itself, from elsewhere: %v", e)
	}
	if e := w.announce("198.51.100.1:1", 7, "a:3", admin); e != nil {
		t.Errorf("an administrator: %v", e)
	}
	w.tick(minute + 1)
	if e := w.announce("192.0.2.1:1", 7, "b:1", nil); e != nil {
		t.Errorf("after a minute of silence: %v", e)
	}
}

// The list is encoded once for all readers, and again when it changes.
func TestBeaconListIsOneCopy(t *testing.T) {
	w := newWorld(t)
	w.announce("192.0.2.1:1", 1, "a:1", nil)
	first := w.beaconList()
	w.tick(30 * aSecond)
	w.announce("192.0.2.1:1", 1, "a:1", nil)
	if again := w.beaconList(); &first[0] != &again[0] {
		t.Error("a refresh makes another copy")
	}
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() { w.announce("192.0.2.1:1", 2, "b:1", nil) }, `[{"addr":"a:1","id":1},{"addr":"b:1","id":2}]`},
		{func() { w.announce("192.0.2.1:1", 2, "b:2", nil) }, `[{"addr":"a:1","id":1},{"addr":"b:2","id":2}]`},
		{func() { w.tick(40 * aSecond); w.announce("192.0.2.1:1", 1, "a:1", nil) }, `[{"addr":"a:1","id":1},{"addr":"b:2","id":2}]`},
		{func() { w.tick(21 * aSecond) }, `[{"addr":"a:1","id":1}]`},
		{func() { w.announce("192.0.2.1:1", 2, "b:2", nil) }, `[{"addr":"a:1","id":1},{"addr":"b:2","id":2}]`},
		{func() { w.tick(3 * minute); w.sweepAll() }, `[]`},
	} {
		step.do()
		if got, want := string(w.beaconList()), `{"beacons":`+step.want+`,"type":"beacon_list_ok"}`; got != want {
			t.Errorf("the list is %s, want %s", got, want)
		}
	}
}

// Anyone who has the bytes of a signed announcement can send them again while they
// count. That must not bring the beacon back to where it was before: not while
// it is there, not when it has gone silent, not after others had its number
// and not after a member has restarted from a snapshot.
func TestReplayedAnnouncementDoesNotMoveABeaconBack(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	at := func(ms int64, addr string, by who) *protocol.Error {
		t.Helper()
		c := from("192.0.2.1:1", w.call("beacon_register", &protocol.BeaconRegister{BeaconID: 7, Addr: addr, BeaconFacts: protocol.BeaconFacts{SignedAt: ms}}, by))
		dry, r := w.m.Root().Check(c), w.apply(envelope(c))[0]
		if (dry == nil) != (r.Err == nil) {
			t.Fatalf("the dry run says %v, apply says %v", dry, r.Err)
		}
		return r.Err
	}
	taken := func(what string, e *protocol.Error) {
		t.Helper()
		if e != nil {
			t.Fatalf("%s: %v", what, e)
		}
	}
	refused := func(what string, e *protocol.Error) {
		t.Helper()
		if e == nil || e.Code != protocol.CodeSignatureExpired {
			t.Errorf("%s: got %v, want %s", what, e, protocol.CodeSignatureExpired)
		}
	}
	first := w.now
	taken("the first", at(first, "old:1", as(a)))
	w.tick(10 * aSecond)
	second := w.now
	taken("the second", at(second, "new:1", as(a)))
	refused("the first again", at(first, "old:1", as(a)))
	refused("another of the same moment", at(second, "old:1", as(a)))
	taken("the second again", at(second, "new:1", as(a)))
	w.tick(minute + 1)
	w.sweepAll()
	if got := string(w.beaconList()); strings.Contains(got, ":1") {
		t.Errorf("a silent beacon is listed: %s", got)
	}
	refused("the first after silence", at(first, "old:1", as(a)))
	if err := w.m.Restore(bytes.NewReader(snapshotOf(t, w.m))); err != nil {
		t.Fatal(err)
	}
	refused("the first after silence and a restart", at(first, "old:1", as(a)))
	taken("a stranger takes the silent beacon", at(0, "other:1", nil))
	w.tick(minute + 1)
	w.sweepAll()
	refused("the first after a stranger", at(first, "old:1", as(a)))
	taken("another node takes the silent beacon", at(w.now, "b:1", as(b)))
	w.tick(minute + 1)
	w.sweepAll()
	refused("the second after another node", at(second, "new:1", as(a)))
	w.tick(5 * minute)
	w.sweepAll()
	if n := w.m.x.beacons.records.Len(); n != 0 || w.m.x.beacons.bytes.total.Get() != 0 {
		t.Errorf("%d beacons are remembered after their announcements have ended, with %d bytes", n, w.m.x.beacons.bytes.total.Get())
	}
	refused("the first, when nobody remembers it", at(first, "old:1", as(a)))
	taken("a new one", at(w.now, "back:1", as(a)))
}
