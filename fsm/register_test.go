// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func (w *world) registerAs(r *protocol.Register) *protocol.RegisterReply {
	w.t.Helper()
	if r.Endpoint == "" {
		r.Endpoint = "198.51.100.1:4000"
	}
	return w.do("register", r, nil).(*protocol.RegisterReply)
}

func TestRegisterModes(t *testing.T) {
	w := newWorld(t)
	key := testKey(1).String()
	first := w.registerAs(&protocol.Register{PublicKey: key, Owner: "a@example.org", LANAddrs: []string{"10.0.0.1:1", "", "10.0.0.2:1"}})
	if first.NodeID != 1 || first.Address != "0:0000.0000.0001" || first.PublicKey != key || first.ObservedAddr != "198.51.100.1:4000" || first.ProtocolVersion != 1 {
		t.Errorf("reply %+v", first)
	}
	if got := w.lastEvent(protocol.EventNodeRegistered); got != "anonymous node_id=1 mode=new_node" {
		t.Errorf("event %q", got)
	}

	t.Run("unchanged is not audited", func(t *testing.T) {
		w.registerAs(&protocol.Register{PublicKey: key, Owner: "a@example.org", LANAddrs: []string{"10.0.0.1:1", "10.0.0.2:1"}})
		if n := w.countEvents(protocol.EventNodeReRegistered); n != 0 {
			t.Errorf("%d events", n)
		}
	})
	t.Run("existing", func(t *testing.T) {
		// Another spelling of the same key is the same key.
		again := w.registerAs(&protocol.Register{PublicKey: key[:20] + "\n" + key[20:], RegisterFacts: protocol.RegisterFacts{Endpoint: "198.51.100.2:9", Proven: true}})
		if again.NodeID != 1 || again.PublicKey != key[:20]+"\n"+key[20:] {
			t.Errorf("reply %+v", again)
		}
		if got := w.lastEvent(protocol.EventNodeReRegistered); got != "node:1 node_id=1 mode=existing_identity" {
			t.Errorf("event %q", got)
		}
		n := w.m.Root().nodes.live(1)
		if n.endpoint != "198.51.100.2:9" || n.lan != nil || n.owner != "a@example.org" {
			t.Errorf("record %+v", n)
		}
	})
	t.Run("the owner stays", func(t *testing.T) {
		w.registerAs(&protocol.Register{PublicKey: key, Owner: "b@example.org", RegisterFacts: protocol.RegisterFacts{Proven: true}})
		if o := w.m.Root().nodes.live(1).owner; o != "a@example.org" {
			t.Errorf("owner %q", o)
		}
	})
	t.Run("an owner is no credential", func(t *testing.T) {
		if r := w.registerAs(&protocol.Register{PublicKey: testKey(2).String(), Owner: "a@example.org"}); r.NodeID != 2 {
			t.Errorf("node %d", r.NodeID)
		}
	})
	t.Run("reclaimed after silence, whole", func(t *testing.T) {
		w.do("set_tags", &protocol.SetTags{NodeID: 1, Tags: []string{"web"}}, as(1))
		w.do("set_visibility", &protocol.SetVisibility{NodeID: 1, Public: true}, as(1))
		net := w.network("lab", 2, "open", false)
		w.join(net, 1)
		w.goOffline(1)
		w.gone(1)
		if r := w.registerAs(&protocol.Register{PublicKey: key, RegisterFacts: protocol.RegisterFacts{Proven: true}}); r.NodeID != 1 {
			t.Fatalf("node %d", r.NodeID)
		}
		got := w.lookup(1)
		if !got.Public || !slices.Equal(got.Tags, []string{"web"}) || !slices.Equal(got.Networks, []uint16{0, net}) {
			t.Errorf("lookup %+v", got)
		}
		if got := w.lastEvent(protocol.EventNodeReRegistered); got != "node:1 node_id=1 mode=reclaimed_identity" {
			t.Errorf("event %q", got)
		}
	})
	t.Run("reclaimed after deregistering, bare", func(t *testing.T) {
		w.do("deregister", &protocol.NodeRequest{NodeID: 1}, as(1))
		w.gone(1)
		if r := w.registerAs(&protocol.Register{PublicKey: key, RegisterFacts: protocol.RegisterFacts{Proven: true}}); r.NodeID != 1 {
			t.Fatalf("node %d", r.NodeID)
		}
		got := w.lookup(1)
		if got.Public || got.Tags != nil || !slices.Equal(got.Networks, []uint16{0}) {
			t.Errorf("lookup %+v", got)
		}
	})
}

func TestRegisterHostname(t *testing.T) {
	w := newWorld(t)
	reg := func(seed int, host string) *protocol.RegisterReply {
		return w.registerAs(&protocol.Register{PublicKey: testKey(seed).String(), Hostname: host, RegisterFacts: protocol.RegisterFacts{ExternalID: "id@idp"}})
	}
	if r := reg(1, "alpha"); r.Hostname != "alpha" || r.ExternalID != "id@idp" {
		t.Errorf("reply %+v", r)
	}
	if r := reg(2, "alpha"); r.Hostname != "" || r.HostnameError != `hostname "alpha" already in use` || w.lookup(2).Hostname != "" {
		t.Errorf("a taken name: %+v", r)
	}
	// An invalid name is not an error and affects nothing else.
	for host, text := range map[string]string{
		"Bad_Name":  "hostname must be lowercase alphanumeric with hyphens, start/end with alphanumeric",
		"localhost": `hostname "localhost" is reserved`,
	} {
		if r := reg(3, host); r.HostnameError != text || r.Hostname != "" || r.ExternalID != "id@idp" || w.lookup(3).ExternalID != "id@idp" {
			t.Errorf("%s: %+v", host, r)
		}
	}
	if r := reg(1, "beta"); r.Hostname != "beta" || w.lookup(1).Hostname != "beta" {
		t.Errorf("a second name: %+v", r)
	}
	if r := reg(2, "alpha"); r.Hostname != "alpha" {
		t.Errorf("a name given up: %+v", r)
	}
	if r := reg(1, ""); r.Hostname != "" || w.lookup(1).Hostname != "beta" {
		t.Errorf("no name given: %+v", r)
	}
	// An offline node holds its name until it is released.
	w.goOffline(1)
	if r := reg(2, "beta"); r.Hostname != "" {
		t.Errorf("took the name of an offline node: %+v", r)
	}
}

// A node that wants signed registrations gets no others: not those of who only
// knows its key, and not those of its owner's new key.
func TestSignedRegister(t *testing.T) {
	w := newWorld(t)
	plain := &protocol.Register{PublicKey: testKey(1).String(), RegisterFacts: protocol.RegisterFacts{Endpoint: "203.0.113.9:1", Proven: true}, Owner: "a@x"}
	signed := &protocol.Register{PublicKey: testKey(1).String(), RegisterFacts: protocol.RegisterFacts{Endpoint: "198.51.100.2:2", Proven: true, SignedRequest: true}, Owner: "a@x"}
	a := w.registerAs(signed).NodeID
	refused := func(r *protocol.Register) {
		t.Helper()
		w.refused("register", r, nil, protocol.CodeSignatureRequired, "node 1 is registered by signed requests of its key only (require_signed_register): "+
			"send a signed_request, or have an administrator end this with set_signed_register")
	}
	require := func(on bool, by who) {
		t.Helper()
		r := w.do("set_signed_register", &protocol.SetSignedRegister{NodeID: a, Required: on}, by).(*protocol.SetSignedRegisterReply)
		if r.Required != on || r.NodeID != a {
			t.Errorf("%+v", r)
		}
	}
	b := w.register(2)
	w.refused("set_signed_register", &protocol.SetSignedRegister{NodeID: a, Required: true}, as(b), protocol.CodeSignatureInvalid, "signature verification failed")
	w.registerAs(plain)
	require(true, as(a))
	if got := w.lastEvent(protocol.EventSignedRegister); got != "node:1 node_id=1 enabled=true" {
		t.Error(got)
	}
	refused(plain)
	refused(&protocol.Register{PublicKey: testKey(3).String(), Owner: "a@x", RegisterFacts: protocol.RegisterFacts{OwnerReclaim: true, Proven: true, SignedRequest: true}})
	if r := w.registerAs(signed); r.NodeID != a {
		t.Errorf("%+v", r)
	}
	w.goOffline(a)
	refused(plain)
	w.refused("set_signed_register", &protocol.SetSignedRegister{NodeID: a}, as(a), protocol.CodeNotFound, "node 1: node not found")
	require(false, admin) // who cannot sign any more needs help while offline
	w.registerAs(plain)
	require(true, as(a))
	w.do("deregister", &protocol.NodeRequest{NodeID: a}, as(a))
	refused(plain)
	w.registerAs(signed)
	if err := w.m.Restore(bytes.NewReader(snapshotOf(t, w.m))); err != nil {
		t.Fatal(err)
	}
	refused(plain)
}

func TestRegisterOwnerReclaim(t *testing.T) {
	w := newWorld(t)
	reg := func(seed int, owner string) *protocol.RegisterReply {
		return w.registerAs(&protocol.Register{PublicKey: testKey(seed).String(), Owner: owner, RegisterFacts: protocol.RegisterFacts{OwnerReclaim: true}})
	}
	id := reg(1, "o").NodeID
	net := w.network("lab", id, "open", true)
	w.do("set_key_expiry", &protocol.SetKeyExpiry{NodeID: id, ExpiresAt: utc(w.now + 48*hour)}, as(id))
	old := as(id)
	stale := w.call("heartbeat", &protocol.NodeRequest{NodeID: id}, old)

	if r := reg(2, "o"); r.NodeID != id {
		t.Fatalf("a new key of the owner got node %d", r.NodeID)
	}
	if got := w.lastEvent(protocol.EventNodeReRegistered); got != "anonymous node_id=1 mode=owner_key_update" {
		t.Errorf("event %q", got)
	}
	if r := w.apply(envelope(stale))[0]; r.Err == nil || r.Err.Code != protocol.CodeSignatureInvalid {
		t.Errorf("a signature by the replaced key still counts: %v", r.Err)
	}
	if got := w.lookup(id); !slices.Equal(got.Networks, []uint16{0, net}) || got.PublicKey != testKey(2).String() {
		t.Errorf("lookup %+v", got)
	}
	if reg(1, "").NodeID == id {
		t.Error("the replaced key still leads to the node")
	}

	w.goOffline(id)
	if r := reg(3, "o"); r.NodeID != id {
		t.Fatalf("the owner of an offline node got node %d", r.NodeID)
	}
	if got := w.lastEvent(protocol.EventNodeReRegistered); got != "anonymous node_id=1 mode=owner_reclaim" {
		t.Errorf("event %q", got)
	}
	if got := w.lookup(id).Networks; !slices.Equal(got, []uint16{0}) {
		t.Errorf("networks %v", got)
	}
	info := w.do("get_key_info", &protocol.NodeRequest{NodeID: id}, nil).(*protocol.GetKeyInfoReply)
	if info.ExpiresAt == "" || info.RotateCount != 0 || info.CreatedAt != utc(w.now) {
		t.Errorf("key info %+v", info)
	}
	if reg(2, "").NodeID == id {
		t.Error("the key before still leads to the node")
	}
	// Owners do not run into one another, whatever they are called.
	if got := reg(4, "o,"); got.NodeID == id {
		t.Error("another owner got the node")
	}
}

func TestRegisterRefusals(t *testing.T) {
	w := newWorld(t)
	w.refused("register", &protocol.Register{}, nil, protocol.CodeInvalid, "registration requires public_key")
	w.refused("register", &protocol.Register{PublicKey: "AAAA"}, nil, protocol.CodeInvalid, "invalid public key: invalid public key size: 3")
	// A wrong signature is refused at the front door, an absent one is not.
	if e := w.m.Root().Check(w.call("register", &protocol.Register{PublicKey: testKey(1).String()}, forged)); e == nil || e.Text != "signature verification failed" {
		t.Errorf("a wrong signature: %v", e)
	}
	if e := w.m.Root().Check(w.call("register", &protocol.Register{PublicKey: testKey(1).String()}, nobody)); e != nil {
		t.Errorf("no signature: %v", e)
	}
	w.m.x.meta.nextNode = 0
	w.tick(0)
	w.refused("register", &protocol.Register{PublicKey: testKey(1).String()}, nil, protocol.CodeLimitReached, "node ID space exhausted")
}

func TestLastNodeID(t *testing.T) {
	w := newWorld(t)
	w.m.x.meta.nextNode = 1<<32 - 1
	if id := w.register(1); id != 1<<32-1 {
		t.Fatalf("node %d", id)
	}
	w.refused("register", &protocol.Register{PublicKey: testKey(2).String()}, nil, protocol.CodeLimitReached, "node ID space exhausted")
	w.beat(1<<32 - 1)
	if got := w.lookup(1<<32 - 1).Address; got != "0:0000.FFFF.FFFF" {
		t.Errorf("address %s", got)
	}
}

func TestDeregister(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	w.do("set_hostname", &protocol.SetHostname{NodeID: a, Hostname: "alpha"}, as(a))
	net := w.network("lab", a, "open", true)
	w.join(net, b)
	alone := w.network("alone", a, "open", false)
	w.do("set_key_expiry", &protocol.SetKeyExpiry{NodeID: a, ExpiresAt: utc(w.now + 48*hour)}, as(a))
	w.do("report_trust", &protocol.Trust{NodeID: a, PeerID: b}, as(a))

	body := &protocol.NodeRequest{NodeID: a}
	w.refused("deregister", body, nobody, protocol.CodeSignatureRequired, "signature required for authenticated node")
	w.refused("deregister", body, forged, protocol.CodeSignatureInvalid, "signature verification failed")
	w.refused("deregister", body, as(b), protocol.CodeSignatureInvalid, "signature verification failed")
	w.do("deregister", body, as(a))
	w.gone(a)
	if got := w.lastEvent(protocol.EventNodeDeregistered); got != "node:1 node_id=1 networks=3" {
		t.Errorf("event %q", got)
	}
	if got := w.lastEvent(protocol.EventOwnerLost); got != fmt.Sprintf("node:1 network_id=%d former_owner=1", net) || w.countEvents(protocol.EventOwnerLost) != 1 {
		t.Errorf("event %q", got)
	}
	if n := w.m.Root().networkSize(alone); n != 0 {
		t.Errorf("%d members left", n)
	}
	// Again, and for nodes that never were: success without authentication.
	for _, id := range []uint32{a, 0, 4_000_000_000} {
		w.do("deregister", &protocol.NodeRequest{NodeID: id}, nobody)
	}
	// The name is free, trust is over, the id stays with the key, and so does the expiry.
	w.do("set_hostname", &protocol.SetHostname{NodeID: b, Hostname: "alpha"}, as(b))
	if id := w.register(1); id != a {
		t.Errorf("the key got node %d", id)
	}
	if w.do("check_trust", &protocol.Trust{NodeID: a, PeerID: b}, nil).(*protocol.CheckTrustReply).Trusted {
		t.Error("trust in a node that left is left")
	}
	info := w.do("get_key_info", body, nil).(*protocol.GetKeyInfoReply)
	if info.ExpiresAt != utc(w.now+48*hour) || info.RotateCount != 0 || info.RotatedAt != "" {
		t.Errorf("key info %+v", info)
	}
}

func TestDeregisterOffline(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	net := w.network("lab", b, "open", false)
	w.join(net, a)
	w.goOffline(a)
	w.goOffline(b)
	// A stranger is answered as if there were nothing to do, and nothing is done.
	w.do("deregister", &protocol.NodeRequest{NodeID: a}, nobody)
	w.do("deregister", &protocol.NodeRequest{NodeID: a}, forged)
	if n := w.m.Root().networkSize(net); n != 2 {
		t.Fatalf("%d members", n)
	}
	w.do("deregister", &protocol.NodeRequest{NodeID: a}, as(a))
	w.do("deregister", &protocol.NodeRequest{NodeID: b}, admin)
	if n := w.m.Root().networkSize(net); n != 0 {
		t.Errorf("%d members left", n)
	}
}
