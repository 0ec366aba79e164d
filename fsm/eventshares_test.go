// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// A node that causes security events without end flushes only its own: what
// others did, and what was refused to guessers, can still be read.
func TestOneActorCannotFlushSecurityEvents(t *testing.T) {
	defer func(old [2]retention) { retentions = old }(retentions)
	retentions = [2]retention{{count: 80, bytes: 1 << 20, age: 400 * dayMS}, {count: 50, bytes: 1 << 20, age: 30 * dayMS}}
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	victim := w.register(3)
	w.do("set_external_id", &protocol.SetExternalID{NodeID: victim, ExternalID: "alice@example.com"}, admin)
	w.internal(KindAuditNote, AuditNote{Term: 1, Notes: map[string]uint64{"create_network admin_token_invalid 203.0.113.9": 7}})
	trust := &protocol.Trust{NodeID: a, PeerID: b}
	for range 200 {
		w.do("report_trust", trust, as(a))
		w.do("revoke_trust", trust, as(a))
	}
	// Its neighbours at the same address share a part.
	for seed := range 40 {
		id := w.register(100 + seed)
		w.do("report_trust", &protocol.Trust{NodeID: id, PeerID: b}, as(id))
	}
	for range 200 { // nor do notes flush anything
		w.internal(KindAuditNote, AuditNote{Term: 1, Notes: map[string]uint64{"x": 1}})
	}
	kept := map[string]int{}
	for _, e := range w.m.Root().Events(protocol.ClassSecurity, 0, 1000) {
		kept[e.Action]++
	}
	if kept[protocol.EventExternalIDSet] != 1 || kept[protocol.EventAuditNote] != 80/actorPart {
		t.Errorf("security events left: %v", kept)
	}
	if trusts := kept[protocol.EventTrustCreated] + kept[protocol.EventTrustRevoked]; trusts != 80/sourcePart {
		t.Errorf("%d security events of one source, want %d", trusts, 80/sourcePart)
	}
	for _, class := range classes {
		c := w.m.Root().Chain(class)
		if head, err := protocol.VerifyChain(c.Anchor, w.m.Root().Events(class, 0, 1000)); err != nil || head != c.Head {
			t.Errorf("the chain of class %s does not verify: %v", class, err)
		}
	}
	copied, err := clone(w.m)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := indexes(&copied.Root().view), indexes(&w.m.Root().view); got != want {
		t.Errorf("a restored state counts otherwise:\n%s\nwant\n%s", got, want)
	}
}
