// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func TestRotateKey(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	rotate := func(id uint32, seed int) *protocol.RotateKey {
		return &protocol.RotateKey{NodeID: id, NewPublicKey: testKey(seed).String()}
	}
	w.refused("rotate_key", rotate(a, 3), nobody, protocol.CodeSignatureRequired, "rotate_key requires a valid signature")
	w.refused("rotate_key", rotate(99, 3), nobody, protocol.CodeSignatureRequired, "rotate_key requires a valid signature")
	w.refused("rotate_key", &protocol.RotateKey{NodeID: a}, as(a), protocol.CodeInvalid, "rotate_key requires new_public_key")
	w.refused("rotate_key", &protocol.RotateKey{NodeID: a, NewPublicKey: "AAAA"}, as(a), protocol.CodeInvalid, "invalid new_public_key: invalid public key size: 3")
	w.refused("rotate_key", rotate(a, 3), badEncoding, protocol.CodeSignatureInvalid, "invalid signature encoding: illegal base64 data at input byte 0")
	w.refused("rotate_key", rotate(a, 3), forged, protocol.CodeSignatureInvalid, "signature verification failed")
	w.refused("rotate_key", rotate(a, 3), as(b), protocol.CodeSignatureInvalid, "signature verification failed")
	w.refused("rotate_key", rotate(a, 2), as(a), protocol.CodeAlreadyExists, "new_public_key already belongs to another node; use a fresh key")

	old := w.call("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{"x"}}, as(a))
	w.tick(24 * hour)
	r := w.do("rotate_key", rotate(a, 3), as(a)).(*protocol.RotateKeyReply)
	if r.PublicKey != testKey(3).String() || r.Address != "0:0000.0000.0001" || w.lookup(a).PublicKey != r.PublicKey {
		t.Errorf("reply %+v", r)
	}
	// What was signed before counts no longer, although its envelope was already on its way.
	if r := w.apply(envelope(old))[0]; r.Err == nil || r.Err.Code != protocol.CodeSignatureInvalid {
		t.Errorf("the old key still counts: %v", r.Err)
	}
	info := w.do("get_key_info", &protocol.NodeRequest{NodeID: a}, nil).(*protocol.GetKeyInfoReply)
	if info.RotateCount != 1 || info.RotatedAt != utc(w.now) || info.CreatedAt != utc(startTime) || *info.KeyAgeDays != 0 || info.ExpiresAt != "" {
		t.Errorf("info %+v", info)
	}
	if w.lastEvent(protocol.EventKeyRotated) != "node:1 node_id=1" || w.m.Root().nodes.lastSeen(a) != utc(w.now) {
		t.Error(w.lastEvent(protocol.EventKeyRotated))
	}
	if id := w.register(3); id != a {
		t.Errorf("the new key leads to node %d", id)
	}
	if id := w.register(1); id == a {
		t.Error("the old key still leads to the node")
	}
	w.do("rotate_key", rotate(a, 3), as(a)) // to itself
	w.tick(49 * hour)
	w.register(3)
	if info := w.do("get_key_info", &protocol.NodeRequest{NodeID: a}, nil).(*protocol.GetKeyInfoReply); *info.KeyAgeDays != 2 {
		t.Errorf("age %d", *info.KeyAgeDays)
	}
}

func TestSetKeyExpiry(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	w.network("plain", b, "open", false)
	w.network("ent", a, "open", true)
	set := func(id uint32, at string) *protocol.SetKeyExpiry {
		return &protocol.SetKeyExpiry{NodeID: id, ExpiresAt: at}
	}
	// Format before existence before authentication before the gate.
	if _, e := w.try("set_key_expiry", set(99, "tomorrow"), nobody); e == nil || !strings.HasPrefix(e.Text, "invalid expires_at: ") {
		t.Errorf("tomorrow: %v", e)
	}
	w.refused("set_key_expiry", set(99, utc(w.now-aSecond)), nobody, protocol.CodeInvalid, "expires_at must be in the future")
	w.refused("set_key_expiry", set(99, utc(w.now+3651*24*hour)), nobody, protocol.CodeInvalid, "invalid expires_at: cannot exceed 10 years")
	w.refused("set_key_expiry", set(99, utc(w.now+hour)), nobody, protocol.CodeNotFound, "node 99: node not found")
	w.refused("set_key_expiry", set(b, utc(w.now+hour)), nobody, protocol.CodeSignatureRequired, "signature required for authenticated node")
	gate := "enterprise feature: key expiry requires enterprise network membership"
	w.refused("set_key_expiry", set(b, utc(w.now+hour)), as(b), protocol.CodeEnterpriseRequired, gate)
	w.refused("set_key_expiry", set(b, ""), admin, protocol.CodeEnterpriseRequired, gate)

	r := w.do("set_key_expiry", set(a, "2027-02-01T10:00:00.5+02:00"), as(a)).(*protocol.SetKeyExpiryReply)
	if r.ExpiresAt != "2027-02-01T10:00:00+02:00" {
		t.Errorf("reply %+v", r)
	}
	if got := w.lastEvent(protocol.EventKeyExpirySet); got != "node:1 node_id=1 expires_at=2027-02-01T08:00:00Z" {
		t.Errorf("event %q", got)
	}
	w.do("set_key_expiry", set(a, "2027-03-01T08:00:00Z"), as(a))
	if got := w.lastEvent(protocol.EventKeyExpirySet); got != "node:1 node_id=1 expires_at=2027-03-01T08:00:00Z old_expires_at=2027-02-01T08:00:00Z" {
		t.Errorf("event %q", got)
	}
	if info := w.do("get_key_info", &protocol.NodeRequest{NodeID: a}, nil).(*protocol.GetKeyInfoReply); info.ExpiresAt != "2027-03-01T08:00:00Z" {
		t.Errorf("info %+v", info)
	}
	// Nothing but the command itself clears it.
	w.do("rotate_key", &protocol.RotateKey{NodeID: a, NewPublicKey: testKey(3).String()}, as(a))
	w.goOffline(a)
	w.register(3)
	w.do("deregister", &protocol.NodeRequest{NodeID: a}, as(a))
	w.register(3)
	if info := w.do("get_key_info", &protocol.NodeRequest{NodeID: a}, nil).(*protocol.GetKeyInfoReply); info.ExpiresAt != "2027-03-01T08:00:00Z" {
		t.Errorf("the expiry was shed: %+v", info)
	}
	w.register(2)
	w.join(2, a)
	if r := w.do("set_key_expiry", set(a, "never"), as(a)).(*protocol.SetKeyExpiryReply); r.ExpiresAt != "" {
		t.Errorf("reply %+v", r)
	}
	if got := w.lastEvent(protocol.EventKeyExpiryCleared); got != "node:1 node_id=1 old_expires_at=2027-03-01T08:00:00Z" {
		t.Errorf("event %q", got)
	}
	before := w.m.Root().meta.eventSeq
	w.do("set_key_expiry", set(a, ""), as(a))
	if w.m.Root().meta.eventSeq != before {
		t.Error("clearing what is clear is an event")
	}
}
