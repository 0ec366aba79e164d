// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"slices"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// What a verifier of accounts has signed about nodes. The front door has
// verified its signatures; what depends on time and state is decided here.

// maxRecoveryAhead is how far ahead a recovery may end, in seconds: as long its
// nonce is remembered.
const maxRecoveryAhead = 30 * 60

func rejected(format string, args ...any) *protocol.Error {
	return protocol.Refusef(protocol.CodeIdentityRejected, format, args...)
}

// missingSignature refuses a request that carries none, in the words that newer
// clients know from these commands.
func missingSignature(c *invocation) *protocol.Error {
	if e := c.sigError; e != nil && e.Code == protocol.CodeSignatureRequired && c.actor.Token == "" {
		return protocol.Refusef(protocol.CodeSignatureRequired, "missing signature")
	}
	return nil
}

func decideSubmitBadge(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SubmitBadge)
	if e := missingSignature(c); e != nil {
		return nil, e
	}
	n := v.nodes.live(r.NodeID)
	if n == nil {
		return nil, noNode(r.NodeID)
	}
	if e := v.signed(c, n); e != nil {
		return nil, e
	}
	if e := r.Problem(); e != nil {
		return nil, afterRole(e)
	}
	b, ok := protocol.ParseBadge(r.Badge)
	switch {
	case !ok:
		return nil, rejected("badge verification failed: malformed badge")
	case b.NodeID != n.id:
		return nil, rejected("badge verification failed: it is for node %d, not for node %d", b.NodeID, n.id)
	case b.Exp != 0 && v.meta.now/1000 > b.Exp:
		return nil, rejected("badge verification failed: it has expired")
	}
	reply := &protocol.SubmitBadgeReply{Type: "submit_badge_ok", NodeID: n.id, Provider: b.Provider}
	if s := n.rare(); s.badge == r.Badge && s.badgeSig == r.BadgeSig {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		x.edit(n, func(n *node) {
			n.change(func(s *standing) {
				s.badge, s.badgeSig, s.badgeProvider, s.verified = r.Badge, r.BadgeSig, b.Provider, x.meta.now
			})
		})
		x.begin(protocol.EventBadgeSubmitted).node(n.id).str("provider", b.Provider).end()
		return reply
	}, nil
}

// decideEnrollRecovery lets an earlier enrolment be replaced, as whoever holds
// the key may. Its owner has to hear of that: the event says so.
func decideEnrollRecovery(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.EnrollRecovery)
	if e := r.Problem(); e != nil {
		return nil, e
	}
	s, ok := protocol.ParseEnrollment(r.Enrollment)
	switch {
	case !ok:
		return nil, rejected("enrollment verification failed: malformed enrollment")
	case s.NodeID != r.NodeID:
		return nil, rejected("enrollment node_id mismatch: statement=%d request=%d", s.NodeID, r.NodeID)
	}
	if e := missingSignature(c); e != nil {
		return nil, e
	}
	n := v.nodes.live(r.NodeID)
	if n == nil {
		return nil, noNode(r.NodeID)
	}
	if e := v.signed(c, n); e != nil {
		return nil, e
	}
	reply := &protocol.EnrollRecoveryReply{Type: "enroll_recovery_ok", NodeID: n.id}
	before := n.rare()
	if before.commitment == s.Commitment && before.recoveryProvider == s.Provider {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		x.edit(n, func(n *node) {
			n.change(func(to *standing) { to.commitment, to.recoveryProvider = s.Commitment, s.Provider })
		})
		w := x.begin(protocol.EventRecoveryEnrolled).node(n.id).str("provider", s.Provider)
		if before.commitment != "" {
			w.bool("replaced", true).str("old_provider", before.recoveryProvider)
		}
		w.end()
		return reply
	}, nil
}

// decideRecover gives a node another key. It needs no live node: a node whose
// key is lost has fallen silent, and may have been taken out by who found it.
func decideRecover(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.RecoverIdentity)
	if e := r.Problem(); e != nil {
		return nil, e
	}
	s, key, e := readRecovery(v, r)
	if e != nil {
		return nil, e
	}
	n, _ := v.nodes.records.Get(r.NodeID)
	switch {
	case n == nil || n.rare().commitment == "":
		return nil, rejected("node %d is not enrolled for recovery", r.NodeID)
	case n.rare().commitment != s.Commitment:
		return nil, rejected("recovery identity does not match the enrolled identity")
	}
	reply := &protocol.RotateKeyReply{Type: "recover_identity_ok", NodeID: n.id, Address: address(0, n.id), PublicKey: r.NewPublicKey}
	if slices.ContainsFunc(n.rare().nonces, func(u usedNonce) bool { return u.text == s.Nonce && u.ends >= v.meta.now/1000 }) {
		if n.key == key && !n.has(flagKeyless) {
			return c.unchanged(reply) // sent again, because its reply was lost
		}
		return nil, rejected("recovery authorization already used")
	}
	if e := freeKey(v, n, key); e != nil {
		return nil, e
	}
	return func(x *txn) any {
		x.edit(n, func(n *node) { n.recover(key, s, x.meta.now) })
		if n.live() {
			x.markSeen(n.id)
		}
		x.begin(protocol.EventNodeRecovered).node(n.id).str("provider", n.rare().recoveryProvider).end()
		return reply
	}, nil
}

// readRecovery checks a recovery as far as it is not about the node.
func readRecovery(v *view, r *protocol.RecoverIdentity) (s protocol.RecoveryStatement, key protocol.PublicKey, e *protocol.Error) {
	s, ok := protocol.ParseRecovery(r.Recovery)
	key, err := protocol.ParsePublicKey(r.NewPublicKey)
	named, badName := protocol.ParsePublicKey(s.NewKey)
	now := v.meta.now / 1000
	switch {
	case err != nil:
		e = protocol.Errorf(protocol.CodeInvalid, "invalid new_public_key: %v", err)
	case !ok:
		e = rejected("recovery verification failed: malformed recovery")
	case now > s.Exp:
		e = rejected("recovery verification failed: it has expired")
	case s.NodeID != r.NodeID:
		e = rejected("recovery node_id mismatch: statement=%d request=%d", s.NodeID, r.NodeID)
	case badName != nil || named != key:
		e = rejected("recovery is not bound to this new key")
	case s.Exp > now+maxRecoveryAhead:
		e = rejected("recovery authorization expiry too far in the future (max 30m0s)")
	}
	return s, key, e
}

// recover replaces the key. Nothing that the former key has proved counts for
// the new one, and the former one hears nothing any more.
func (n *node) recover(key protocol.PublicKey, s protocol.RecoveryStatement, now int64) {
	n.replaceKey(key, now)
	n.set(flagKeyless, false)
	n.change(func(to *standing) {
		to.former = protocol.PublicKey{}
		to.badge, to.badgeSig, to.badgeProvider, to.verified = "", "", "", 0
		kept := []usedNonce{{s.Nonce, s.Exp}}
		for _, u := range to.nonces {
			if u.ends >= now/1000 {
				kept = append(kept, u)
			}
		}
		to.nonces = kept
	})
}

// badge shows what a verifier has said of the node.
func (n *node) badge() (b protocol.ShownBadge) {
	if s := n.rare(); s.badge != "" {
		b = protocol.ShownBadge{Badge: s.badge, BadgeSig: s.badgeSig, Provider: s.badgeProvider, At: utc(s.verified)}
	}
	return b
}
