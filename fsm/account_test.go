// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func badgeFor(id uint32) *protocol.SubmitBadge {
	return &protocol.SubmitBadge{NodeID: id, Badge: fmt.Sprintf("pilotbadge:v1:%d:github:1786000000:0:bdg-v1:octo", id), BadgeSig: "c2ln"}
}

func enrolmentOf(id uint32, commitment string) *protocol.EnrollRecovery {
	return &protocol.EnrollRecovery{NodeID: id, Enrollment: fmt.Sprintf("pilotenroll:v1:%d:github:%s:1786000000:bdg-v1", id, commitment), EnrollmentSig: "c2ln"}
}

func recoveryOf(id uint32, key protocol.PublicKey, commitment string, ends int64, nonce string) *protocol.RecoverIdentity {
	return &protocol.RecoverIdentity{NodeID: id, NewPublicKey: key.String(), RecoverySig: "c2ln",
		Recovery: fmt.Sprintf("pilotrecover:v1:%d:%s:%s:%d:%s:rec-v1", id, key, commitment, ends, nonce)}
}

// recovery is one that is right at this moment.
func (w *world) recovery(id uint32, key int) *protocol.RecoverIdentity {
	return recoveryOf(id, testKey(key), "c0ffee", w.now/1000+600, fmt.Sprint("nonce", key))
}

func TestBadgeIsShownAndEndsWithARecovery(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	net := w.network("lab", a, "open", false)
	w.do("submit_badge", badgeFor(a), as(a))
	if got := w.lastEvent(protocol.EventBadgeSubmitted); got != "node:1 node_id=1 provider=github" {
		t.Errorf("event %q", got)
	}
	shown := func() (lookup, list bool) {
		l := w.lookup(a)
		n := w.do("list_nodes", &protocol.ListNodes{NetworkID: net}, nil).(*protocol.ListNodesReply).Nodes[0]
		if l.Verified && (l.Badge != badgeFor(a).Badge || l.BadgeSig != "c2ln" || l.VerificationProvider != "github" || l.VerifiedAt != utc(w.now)) {
			t.Errorf("lookup %+v", l)
		}
		return l.Verified, n.Verified && n.Badge == l.Badge
	}
	if l, n := shown(); !l || !n {
		t.Errorf("shown in lookup %t, in list_nodes %t", l, n)
	}
	w.do("rotate_key", &protocol.RotateKey{NodeID: a, NewPublicKey: testKey(9).String()}, as(a))
	if l, _ := shown(); !l {
		t.Error("a rotation takes the badge away")
	}
	w.do("enroll_recovery", enrolmentOf(a, "c0ffee"), as(a))
	w.do("recover_identity", w.recovery(a, 2), nil)
	if l, n := shown(); l || n {
		t.Error("a recovery leaves the badge")
	}
	w.refused("submit_badge", badgeFor(a+1), as(a), protocol.CodeNotFound, "node 2: node not found")
	other := badgeFor(a + 1)
	other.NodeID = a
	w.refused("submit_badge", other, as(a), protocol.CodeIdentityRejected, "badge verification failed: it is for node 2, not for node 1")
	w.refused("submit_badge", badgeFor(a), nobody, protocol.CodeSignatureRequired, "missing signature")
	w.refused("submit_badge", badgeFor(99), nobody, protocol.CodeSignatureRequired, "missing signature")
	w.refused("enroll_recovery", enrolmentOf(a, "c0ffee"), nobody, protocol.CodeSignatureRequired, "missing signature")
	old := badgeFor(a)
	old.Badge = fmt.Sprintf("pilotbadge:v1:%d:github:1786000000:%d:bdg-v1:", a, w.now/1000-1)
	w.refused("submit_badge", old, as(a), protocol.CodeIdentityRejected, "badge verification failed: it has expired")
}

// An owner who lost the key gets the node back with all that it is, also when it
// has fallen silent or was taken out; the former key is worth nothing.
func TestOwnerGetsTheNodeBack(t *testing.T) {
	for name, lost := range map[string]func(*world, uint32){
		"live":         func(*world, uint32) {},
		"silent":       func(w *world, id uint32) { w.goOffline(id) },
		"deregistered": func(w *world, id uint32) { w.do("deregister", &protocol.NodeRequest{NodeID: id}, as(id)) },
	} {
		w := newWorld(t)
		a := w.register(1)
		net := w.network("lab", a, "open", true)
		w.do("enroll_recovery", enrolmentOf(a, "c0ffee"), as(a))
		former := envelope(w.call("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{"x"}}, as(a)))
		lost(w, a)
		w.do("recover_identity", w.recovery(a, 2), nil)
		if got := w.lastEvent(protocol.EventNodeRecovered); got != "anonymous node_id=1 provider=github" {
			t.Errorf("%s: event %q", name, got)
		}
		if r := w.apply(former)[0]; r.Err == nil {
			t.Errorf("%s: the former key still signs: %s", name, r.JSON())
		}
		r := w.do("register", &protocol.Register{PublicKey: testKey(2).String(), RegisterFacts: protocol.RegisterFacts{Endpoint: "198.51.100.1:2", Proven: true}}, nil).(*protocol.RegisterReply)
		if r.NodeID != a {
			t.Errorf("%s: the new key is node %d, not %d", name, r.NodeID, a)
		}
		if name != "deregistered" && w.m.Root().roleOf(net, a) != roleOwner {
			t.Errorf("%s: the role is lost", name)
		}
		if l := w.lookup(a); l.KeyGeneration == 0 && name != "deregistered" {
			t.Errorf("%s: key generation %d", name, l.KeyGeneration)
		}
		// It can be done again, with another authorization.
		w.do("recover_identity", w.recovery(a, 3), nil)
	}
}

func TestRecoveryCountsOnce(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	w.do("enroll_recovery", enrolmentOf(a, "c0ffee"), as(a))
	first := w.recovery(a, 5)
	w.do("recover_identity", first, nil)
	same, _ := w.m.Root().Decide(w.call("recover_identity", first, nil))
	if same == nil {
		t.Error("the same once more, because the reply was lost, is not answered")
	}
	w.do("recover_identity", w.recovery(a, 6), nil)
	w.refused("recover_identity", first, nil, protocol.CodeIdentityRejected, "recovery authorization already used")
	if err := func() error { m, err := clone(w.m); w.m = m; return err }(); err != nil {
		t.Fatal(err)
	}
	w.refused("recover_identity", first, nil, protocol.CodeIdentityRejected, "recovery authorization already used")
	w.tick(11 * minute)
	w.refused("recover_identity", first, nil, protocol.CodeIdentityRejected, "recovery verification failed: it has expired")
	last := w.recovery(a, 7)
	w.do("recover_identity", last, nil)
	doc := w.m.Root().ReplicationDocument().(*ReplicationDoc).Nodes[fmt.Sprint(a)]
	if used, _ := protocol.ParseRecovery(last.Recovery); doc.RecoveryConsumedNonce != used.Nonce || doc.RecoveryConsumedExp != used.Exp {
		t.Errorf("the document names nonce %q until %d, not %+v: who takes over from it lets the recovery count twice", doc.RecoveryConsumedNonce, doc.RecoveryConsumedExp, used)
	}
	if n, _ := w.m.Root().nodes.records.Get(a); len(n.rare().nonces) != 1 {
		t.Errorf("%d nonces are remembered, want the one that could be sent again", len(n.rare().nonces))
	}
	if n, _ := w.m.Root().nodes.records.Get(b); n.standing != nil {
		t.Error("another node has a standing")
	}
}

func TestRecoveryIsRefused(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	no := func(r *protocol.RecoverIdentity, text string) {
		t.Helper()
		w.refused("recover_identity", r, nil, protocol.CodeIdentityRejected, text)
	}
	no(w.recovery(a, 5), "node 1 is not enrolled for recovery")
	no(w.recovery(77, 5), "node 77 is not enrolled for recovery")
	w.do("enroll_recovery", enrolmentOf(a, "other"), as(a))
	no(w.recovery(a, 5), "recovery identity does not match the enrolled identity")
	w.do("enroll_recovery", enrolmentOf(a, "c0ffee"), as(a))
	if got := w.lastEvent(protocol.EventRecoveryEnrolled); got != "node:1 node_id=1 provider=github replaced=true old_provider=github" {
		t.Errorf("an enrolment that replaces another: %q", got)
	}
	wrong := w.recovery(a, 5)
	wrong.NodeID = b
	no(wrong, "recovery node_id mismatch: statement=1 request=2")
	wrong = w.recovery(a, 5)
	wrong.NewPublicKey = testKey(6).String()
	no(wrong, "recovery is not bound to this new key")
	no(recoveryOf(a, testKey(5), "c0ffee", w.now/1000+1801, "n"), "recovery authorization expiry too far in the future (max 30m0s)")
	no(recoveryOf(a, testKey(5), "c0ffee", w.now/1000-1, "n"), "recovery verification failed: it has expired")
	w.refused("recover_identity", w.recovery(a, 2), nil, protocol.CodeAlreadyExists, "new_public_key already belongs to another node; use a fresh key")
	other := enrolmentOf(b, "c0ffee")
	other.NodeID = a
	w.refused("enroll_recovery", other, as(a), protocol.CodeIdentityRejected, "enrollment node_id mismatch: statement=2 request=1")
	w.refused("enroll_recovery", enrolmentOf(a, "c"), forged, protocol.CodeSignatureInvalid, "signature verification failed")
}
