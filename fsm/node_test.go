// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// signatureTable checks docs/protocol/authentication.md#challenges and, for commands that take it, the admin token.
func signatureTable(t *testing.T, w *world, name string, body protocol.Body, signer, other uint32, takesAdmin bool) {
	t.Helper()
	w.refused(name, body, nobody, protocol.CodeSignatureRequired, "signature required for authenticated node")
	w.refused(name, body, badEncoding, protocol.CodeSignatureInvalid, "invalid signature encoding: illegal base64 data at input byte 0")
	w.refused(name, body, forged, protocol.CodeSignatureInvalid, "signature verification failed")
	w.refused(name, body, as(other), protocol.CodeSignatureInvalid, "signature verification failed")
	wrongGen := func(w *world, c *Call) { as(signer)(w, c); c.Actor.KeyGen++ }
	w.refused(name, body, wrongGen, protocol.CodeSignatureInvalid, "signature verification failed")
	staleToken := func(w *world, c *Call) { admin(w, c); c.Actor.TokenGen++ }
	w.refused(name, body, staleToken, protocol.CodeSignatureRequired, "signature required for authenticated node")
	if takesAdmin {
		both := func(w *world, c *Call) { admin(w, c); forged(w, c) }
		w.do(name, body, both)
		w.do(name, body, admin)
	} else {
		w.refused(name, body, admin, protocol.CodeSignatureRequired, "signature required for authenticated node")
	}
	w.do(name, body, as(signer))
}

func TestSignatures(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	w.do("report_trust", &protocol.Trust{NodeID: a, PeerID: b}, as(a))
	net := w.network("lab", a, "open", true)
	adminToo := map[string]protocol.Body{
		"set_hostname":   &protocol.SetHostname{NodeID: a, Hostname: "alpha"},
		"set_tags":       &protocol.SetTags{NodeID: a, Tags: []string{"x"}},
		"set_task_exec":  &protocol.SetTaskExec{NodeID: a, Enabled: true},
		"set_visibility": &protocol.SetVisibility{NodeID: a, Public: true},
		"set_key_expiry": &protocol.SetKeyExpiry{NodeID: a, ExpiresAt: "never"},
	}
	for name, body := range adminToo {
		signatureTable(t, w, name, body, a, b, true)
	}
	signatureOnly := map[string]protocol.Body{
		"heartbeat":       &protocol.NodeRequest{NodeID: a},
		"punch":           &protocol.Punch{RequesterID: a, NodeA: a, NodeB: b},
		"resolve":         &protocol.Resolve{RequesterID: a, NodeID: b},
		"report_trust":    &protocol.Trust{NodeID: a, PeerID: b},
		"poll_handshakes": &protocol.PollHandshakes{NodeID: a},
	}
	for name, body := range signatureOnly {
		signatureTable(t, w, name, body, a, b, false)
	}
	_ = net
}

func TestUnknownNodes(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	gone := w.register(2)
	w.goOffline(gone)
	w.beat(a)
	score := 1.0
	for _, id := range []uint32{0, 99, gone} {
		missing := fmt.Sprintf("node %d: node not found", id)
		for name, body := range map[string]protocol.Body{
			"lookup": &protocol.NodeRequest{NodeID: id}, "get_key_info": &protocol.NodeRequest{NodeID: id},
			"heartbeat":         &protocol.NodeRequest{NodeID: id},
			"set_hostname":      &protocol.SetHostname{NodeID: id, Hostname: "x"},
			"set_tags":          &protocol.SetTags{NodeID: id},
			"set_task_exec":     &protocol.SetTaskExec{NodeID: id},
			"set_visibility":    &protocol.SetVisibility{NodeID: id},
			"rotate_key":        &protocol.RotateKey{NodeID: id, NewPublicKey: testKey(9).String()},
			"report_trust":      &protocol.Trust{NodeID: id, PeerID: a},
			"revoke_trust":      &protocol.Trust{NodeID: id, PeerID: a},
			"poll_handshakes":   &protocol.PollHandshakes{NodeID: id},
			"request_handshake": &protocol.RequestHandshake{FromNodeID: id, ToNodeID: a},
			"respond_handshake": &protocol.RespondHandshake{NodeID: id, PeerID: a},
			"set_key_expiry":    &protocol.SetKeyExpiry{NodeID: id},
			"punch":             &protocol.Punch{RequesterID: id, NodeA: id, NodeB: a},
		} {
			w.refused(name, body, forged, protocol.CodeNotFound, missing)
		}
		w.refused("report_trust", &protocol.Trust{NodeID: a, PeerID: id}, as(a), protocol.CodeNotFound, missing)
		w.refused("request_handshake", &protocol.RequestHandshake{FromNodeID: a, ToNodeID: id}, as(a), protocol.CodeNotFound, missing)
		w.refused("respond_handshake", &protocol.RespondHandshake{NodeID: a, PeerID: id}, as(a), protocol.CodeNotFound, missing)
		w.refused("resolve", &protocol.Resolve{RequesterID: a, NodeID: id}, as(a), protocol.CodeNotFound, missing)
		w.refused("punch", &protocol.Punch{RequesterID: a, NodeA: id, NodeB: a}, as(a), protocol.CodeNotFound, missing)
		polo := fmt.Sprintf("node %d not found", id)
		w.refused("update_polo_score", &protocol.UpdatePoloScore{NodeID: id, Delta: &score}, nil, protocol.CodeNotFound, polo)
		w.refused("set_polo_score", &protocol.SetPoloScore{NodeID: id, PoloScore: &score}, nil, protocol.CodeNotFound, polo)
		w.refused("get_polo_score", &protocol.NodeRequest{NodeID: id}, nil, protocol.CodeNotFound, polo)
		unregistered, denied, code := fmt.Sprintf("node %d not registered", id), fmt.Sprintf("resolve denied: requester node %d is not registered", id), protocol.CodeNotFound
		if id == 0 { // no node is named
			unregistered, code = "node_id required: the node that this is for", protocol.CodeInvalid
			denied = "resolve denied: requester_id required: the node that asks, whose signature and trust decide"
		}
		w.refused("join_network", &protocol.JoinNetwork{NodeID: id, NetworkID: 1}, nobody, code, unregistered)
		w.refused("leave_network", &protocol.LeaveNetwork{NodeID: id, NetworkID: 1}, nobody, code, unregistered)
		w.refused("create_network", &protocol.CreateNetwork{NodeID: id, Name: "n"}, admin, code, unregistered)
		w.refused("resolve", &protocol.Resolve{RequesterID: id, NodeID: a}, forged, code, denied)
	}
}

func TestKeylessNode(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	w.m.x.edit(w.m.x.nodes.live(a), func(n *node) { n.set(flagKeyless, true); n.key = protocol.PublicKey{} })
	w.tick(0)
	body := &protocol.NodeRequest{NodeID: a}
	w.refused("heartbeat", body, as(a), protocol.CodeSignatureRequired, "node has no public key: signature or admin token required")
	w.do("heartbeat", body, admin)
	w.do("report_trust", &protocol.Trust{NodeID: a, PeerID: b}, admin)
	w.do("request_handshake", &protocol.RequestHandshake{FromNodeID: a, ToNodeID: b}, nobody)
	if got := w.lookup(a); got.PublicKey != "" {
		t.Errorf("lookup %+v", got)
	}
	if _, _, keyless, ok := w.m.Root().NodeKey(a); !keyless || !ok {
		t.Error("the node counts as having a key")
	}
	w.refused("rotate_key", &protocol.RotateKey{NodeID: a, NewPublicKey: testKey(3).String()}, as(a), protocol.CodeSignatureInvalid, "signature verification failed")
}

func TestLookupAndResolve(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.register(1), w.register(2), w.register(3)
	w.registerAs(&protocol.Register{PublicKey: testKey(2).String(), LANAddrs: []string{"10.0.0.2:1"}})
	if got := w.lookup(b); !reflect.DeepEqual(got, &protocol.LookupReply{
		Type: "lookup_ok", NodeID: b, Address: "0:0000.0000.0002", Networks: []uint16{0}, PublicKey: testKey(2).String(), LastSeenUnix: startTime / 1000,
	}) {
		t.Errorf("lookup %+v", got)
	}
	resolve := &protocol.Resolve{RequesterID: a, NodeID: b}
	denied := "resolve denied: node 2 is private (establish mutual trust first)"
	w.refused("resolve", resolve, as(a), protocol.CodePermissionDenied, denied)
	w.refused("resolve", &protocol.Resolve{RequesterID: a, NodeID: a}, as(a), protocol.CodePermissionDenied,
		"resolve denied: node 1 is private (establish mutual trust first)") // no self-exception

	punch := &protocol.Punch{RequesterID: a, NodeA: a, NodeB: b}
	w.refused("punch", punch, as(a), protocol.CodePermissionDenied, "punch denied: node 2 is private (establish mutual trust first)")
	w.refused("punch", &protocol.Punch{RequesterID: c, NodeA: a, NodeB: b}, as(c), protocol.CodePermissionDenied, "punch denied: requester must be participant")

	w.do("report_trust", &protocol.Trust{NodeID: b, PeerID: a}, as(b))
	days := int64(0)
	got := w.do("resolve", resolve, as(a))
	if !reflect.DeepEqual(got, &protocol.ResolveReply{Type: "resolve_ok", NodeID: b, RealAddr: "198.51.100.1:4000", LANAddrs: []string{"10.0.0.2:1"}, KeyAgeDays: &days}) {
		t.Errorf("resolve %+v", got)
	}
	if got := w.do("punch", punch, as(a)).(*protocol.PunchReply); got.NodeAAddr != "198.51.100.1:1" || got.NodeBAddr != "198.51.100.1:4000" {
		t.Errorf("punch %+v", got)
	}
	w.do("revoke_trust", &protocol.Trust{NodeID: a, PeerID: b}, as(a))
	w.refused("resolve", resolve, as(a), protocol.CodePermissionDenied, denied)

	net := w.network("lab", a, "open", false)
	w.join(net, b)
	w.do("resolve", resolve, as(a))
	w.do("leave_network", &protocol.LeaveNetwork{NodeID: b, NetworkID: net}, as(b))
	w.refused("resolve", resolve, as(a), protocol.CodePermissionDenied, denied)

	w.do("set_visibility", &protocol.SetVisibility{NodeID: b, Public: true}, as(b))
	w.do("resolve", resolve, as(a))
	if got := w.lookup(b).RealAddr; got != "198.51.100.1:4000" {
		t.Errorf("a public node's endpoint is %q", got)
	}
	w.registerAs(&protocol.Register{PublicKey: testKey(2).String(), RelayOnly: true, RegisterFacts: protocol.RegisterFacts{Proven: true}, LANAddrs: []string{"10.0.0.2:1"}})
	if got := w.do("resolve", resolve, as(a)).(*protocol.ResolveReply); got.RealAddr != "" || got.LANAddrs != nil || !got.RelayOnly || w.lookup(b).RealAddr != "" {
		t.Errorf("a relay-only node shows %+v", got)
	}
}

func TestHostnames(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	set := func(id uint32, host string) *protocol.SetHostname {
		return &protocol.SetHostname{NodeID: id, Hostname: host}
	}
	w.do("set_hostname", set(a, "alpha"), as(a))
	if got := w.lastEvent(protocol.EventHostnameChanged); got != "node:1 node_id=1 old_hostname= new_hostname=alpha" {
		t.Errorf("event %q", got)
	}
	w.refused("set_hostname", set(b, "alpha"), as(b), protocol.CodeAlreadyExists, `hostname "alpha" already in use by node 1`)
	w.refused("set_hostname", set(b, "Alpha"), as(b), protocol.CodeInvalid,
		"invalid hostname: hostname must be lowercase alphanumeric with hyphens, start/end with alphanumeric")
	w.refused("set_hostname", set(b, "backbone"), as(b), protocol.CodeInvalid, `invalid hostname: hostname "backbone" is reserved`)
	w.refused("set_hostname", set(b, strings.Repeat("a", 64)), as(b), protocol.CodeInvalid, "invalid hostname: hostname too long (max 63 chars)")

	find := func(host string, requester uint32) *protocol.ResolveHostname {
		return &protocol.ResolveHostname{Hostname: host, RequesterID: requester}
	}
	w.refused("resolve_hostname", find("", a), nil, protocol.CodeInvalid, "hostname required")
	w.refused("resolve_hostname", find("no\"pe\n", a), nil, protocol.CodeNotFound, `hostname "no\"pe\x0a" not found`)
	w.refused("resolve_hostname", find("alpha", b), nil, protocol.CodeNotFound, `hostname "alpha" not found`)
	if got := w.do("resolve_hostname", find("alpha", a), nil).(*protocol.ResolveHostnameReply); got.NodeID != a || got.Address != "0:0000.0000.0001" {
		t.Errorf("own name: %+v", got)
	}
	w.do("report_trust", &protocol.Trust{NodeID: a, PeerID: b}, as(a))
	w.do("resolve_hostname", find("alpha", b), nil)

	w.goOffline(a)
	w.beat(b)
	w.refused("resolve_hostname", find("alpha", b), nil, protocol.CodeNotFound, `hostname "alpha" not found`)
	w.refused("set_hostname", set(b, "alpha"), as(b), protocol.CodeAlreadyExists, `hostname "alpha" already in use by node 1`)
	w.do("set_hostname", set(b, ""), as(b))
}

func TestTagsAndFlags(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	got := w.do("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{"#web", "web", "gpu"}}, as(a)).(*protocol.SetTagsReply)
	if !slices.Equal(got.Tags, []string{"web", "gpu"}) || !slices.Equal(w.lookup(a).Tags, []string{"web", "gpu"}) {
		t.Errorf("reply %+v", got)
	}
	if got := w.lastEvent(protocol.EventTagsChanged); got != "node:1 node_id=1 old_tags_count=0 new_tags_count=2" {
		t.Errorf("event %q", got)
	}
	eleven := strings.Split("a b c d e f g h i j k", " ")
	w.refused("set_tags", &protocol.SetTags{NodeID: a, Tags: eleven}, as(a), protocol.CodeInvalid, "too many tags (max 10)")
	w.refused("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{""}}, as(a), protocol.CodeInvalid, "empty tag not allowed")
	w.refused("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{"A"}}, as(a), protocol.CodeInvalid, `tag "A" must be lowercase alphanumeric with hyphens`)
	if got := w.do("set_tags", &protocol.SetTags{NodeID: a}, as(a)).(*protocol.SetTagsReply); got.Tags != nil {
		t.Errorf("reply %+v", got)
	}

	w.do("set_task_exec", &protocol.SetTaskExec{NodeID: a, Enabled: true}, as(a))
	if !w.lookup(a).TaskExec || w.lastEvent(protocol.EventTaskExecChanged) != "node:1 node_id=1 old_enabled=false new_enabled=true" {
		t.Error(w.lastEvent(protocol.EventTaskExecChanged))
	}
	vis := w.do("set_visibility", &protocol.SetVisibility{NodeID: a, Public: true}, admin).(*protocol.SetVisibilityReply)
	if vis.Visibility != "public" || w.lastEvent(protocol.EventVisibilityChanged) != "token:root node_id=1 old_public=false new_public=true" {
		t.Error(vis, w.lastEvent(protocol.EventVisibilityChanged))
	}
}

func TestPoloScore(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	before := w.m.Root().nodes.lastSeen(a)
	w.tick(minute)
	set := func(v float64) (any, *protocol.Error) {
		return w.try("set_polo_score", &protocol.SetPoloScore{NodeID: a, PoloScore: &v}, nil)
	}
	update := func(v float64) int64 {
		t.Helper()
		r := w.do("update_polo_score", &protocol.UpdatePoloScore{NodeID: a, Delta: &v}, nil)
		return r.(*protocol.PoloScoreReply).PoloScore
	}
	if r, e := set(999_999); e != nil || r.(*protocol.PoloScoreReply).PoloScore != 999_999 {
		t.Error(r, e)
	}
	if got := update(500_000); got != 1_000_000 {
		t.Errorf("score %d", got)
	}
	if got := update(-1.9); got != 999_999 {
		t.Errorf("score %d: a fraction is cut towards zero", got)
	}
	if got := w.lastEvent(protocol.EventPoloUpdated); got != "anonymous node_id=1 delta=-1 new_score=999999" {
		t.Errorf("event %q", got)
	}
	for range 2 {
		update(-1_000_000)
	}
	if got := update(-1_000_000); got != -1_000_000 {
		t.Errorf("score %d", got)
	}
	if _, e := set(2_000_000); e == nil || e.Text != "polo score out of range (max 1000000)" {
		t.Error(e)
	}
	w.refused("set_polo_score", &protocol.SetPoloScore{NodeID: a}, nil, protocol.CodeInvalid, "set_polo_score requires polo_score field")
	w.refused("update_polo_score", &protocol.UpdatePoloScore{NodeID: a}, nil, protocol.CodeInvalid, "update_polo_score requires delta field")
	if w.m.Root().nodes.lastSeen(a) != before {
		t.Error("scoring counted as a sign of life")
	}
}
