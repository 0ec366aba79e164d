// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func (w *world) chains(t *testing.T) {
	t.Helper()
	for _, c := range classes {
		ch := w.m.Root().Chain(c)
		sum, err := protocol.VerifyChain(ch.Anchor, w.m.Root().Events(c, ch.AnchorSeq, 1<<20))
		if err != nil || sum != ch.Head {
			t.Errorf("%s: %v, head %x, want %x", c, err, sum, ch.Head)
		}
	}
}

// alice has two nodes, a membership, a role that waits, a name and events.
func alice(w *world) (nodes []uint32, other uint32, net uint16) {
	a, b, other := w.register(1), w.register(2), w.register(3)
	net = w.network("firm", other, "open", true)
	w.join(net, a)
	w.do("set_external_id", &protocol.SetExternalID{NodeID: a, ExternalID: "Alice@example.com"}, admin)
	w.do("set_external_id", &protocol.SetExternalID{NodeID: b, ExternalID: "alice@example.com"}, admin)
	w.do("set_external_id", &protocol.SetExternalID{NodeID: other, ExternalID: "bob@example.com"}, admin)
	w.do("set_hostname", &protocol.SetHostname{NodeID: a, Hostname: "alices-laptop"}, as(a))
	w.do("set_hostname", &protocol.SetHostname{NodeID: other, Hostname: "bobs-laptop"}, as(other))
	w.do("report_trust", &protocol.Trust{NodeID: a, PeerID: other}, as(a))
	w.preAssign(net, "alice@example.com", roleAdmin)
	return []uint32{a, b}, other, net
}

// recordsOf is all that a snapshot would hold, uncompressed, in small letters.
func recordsOf(t *testing.T, w *world) string {
	t.Helper()
	var b bytes.Buffer
	if err := w.m.Root().eachRecord(func(rec []byte) error {
		b.Write(rec)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return strings.ToLower(b.String())
}

func TestAPersonCanBeShown(t *testing.T) {
	w := newWorld(t)
	nodes, other, net := alice(w)
	r := w.do("person_export", &protocol.PersonRequest{ExternalID: "ALICE@example.com"}, admin).(*protocol.PersonExportReply)
	if len(r.Nodes) != 2 || r.Nodes[0].NodeID != nodes[0] || r.Nodes[0].Hostname != "alices-laptop" || r.Nodes[0].PublicKey == "" ||
		fmt.Sprint(r.Nodes[0].Memberships) != fmt.Sprintf("[{firm %d member}]", net) || fmt.Sprint(r.Nodes[0].Trusts) != fmt.Sprintf("[%d]", other) {
		t.Errorf("nodes %+v", r.Nodes)
	}
	if fmt.Sprint(r.Roles) != fmt.Sprintf("[{alice@example.com %d admin}]", net) {
		t.Errorf("roles %+v", r.Roles)
	}
	log := w.do("get_audit_log", &protocol.GetAuditLog{ExternalID: "ALICE@example.com"}, admin).(*protocol.GetAuditLogReply)
	if len(log.Entries) != 2 {
		t.Errorf("events %+v", log.Entries)
	}
	w.refused("person_export", &protocol.PersonRequest{ExternalID: "alice@example.com"}, nobody, protocol.CodeAdminToken, "invalid admin token")
}

func TestAPersonIsShownPageByPage(t *testing.T) {
	w := newWorld(t)
	nodes, _, _ := alice(w)
	var got []uint32
	roles, cursor := 0, ""
	for range 10 {
		c := w.call("person_export", &protocol.PersonRequest{ExternalID: "alice@example.com"}, admin)
		c.Options.Limit, c.Options.Cursor = 1, cursor
		res, e := w.m.Root().Read(c)
		if e != nil {
			t.Fatal(e)
		}
		r := res.Reply.(*protocol.PersonExportReply)
		for _, n := range r.Nodes {
			got = append(got, n.NodeID)
		}
		roles += len(r.Roles)
		if cursor = r.NextCursor; cursor == "" {
			break
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(nodes) || roles != 1 {
		t.Errorf("got nodes %v and %d roles, want %v and 1", got, roles, nodes)
	}
}

// Who asks to be forgotten is in no record of the state any more, and the
// audit log still proves that nothing was taken out of it.
func TestAForgottenPersonIsNowhere(t *testing.T) {
	w := newWorld(t)
	nodes, other, _ := alice(w)
	w.chains(t)
	if s := recordsOf(t, w); !strings.Contains(s, "alice") {
		t.Fatal("the search finds nobody")
	}
	head := w.m.Root().Chain(protocol.ClassSecurity)
	r := w.do("person_forget", &protocol.PersonRequest{ExternalID: "alice@EXAMPLE.com"}, admin).(*protocol.PersonForgetReply)
	if r.Nodes != 2 || r.Roles != 1 || r.Events < 4 || r.More {
		t.Errorf("reply %+v", r)
	}
	w.chains(t)
	if s := recordsOf(t, w); strings.Contains(s, "alice") {
		t.Errorf("alice is still in the state: %q", s[max(0, strings.Index(s, "alice")-60):strings.Index(s, "alice")+20])
	}
	if s := recordsOf(t, w); !strings.Contains(s, "bob@example.com") || !strings.Contains(s, "bobs-laptop") {
		t.Error("somebody else was forgotten")
	}
	if now := w.m.Root().Chain(protocol.ClassSecurity); now.HeadSeq == head.HeadSeq {
		t.Error("no security event says that somebody was forgotten")
	}
	if got := w.lastEvent(protocol.EventPersonForgotten); strings.Contains(got, "alice") || !strings.Contains(got, "nodes=2") {
		t.Errorf("event %s", got)
	}
	w.refused("lookup", &protocol.NodeRequest{NodeID: nodes[0]}, nobody, protocol.CodeNotFound, "node 1: node not found")
	if w.lookup(other).NodeID != other {
		t.Error("another's node is gone")
	}
	if id := w.register(1); id == nodes[0] || id == nodes[1] {
		t.Error("the key came back to the forgotten node")
	}
	again := w.do("person_forget", &protocol.PersonRequest{ExternalID: "alice@example.com"}, admin).(*protocol.PersonForgetReply)
	if again.Nodes+again.Roles+again.Events != 0 {
		t.Errorf("forgotten twice: %+v", again)
	}
}

// A node that went before is on record with its owner and key: they go too.
func TestAForgottenPersonsFormerNodesGoToo(t *testing.T) {
	w := newWorld(t)
	nodes, _, _ := alice(w)
	w.do("deregister", &protocol.NodeRequest{NodeID: nodes[0]}, as(nodes[0]))
	w.do("person_forget", &protocol.PersonRequest{ExternalID: "alice@example.com"}, admin)
	if n, _ := w.m.Root().nodes.records.Get(nodes[0]); !n.has(flagKeyless) || n.owner != "" || n.key != (protocol.PublicKey{}) {
		t.Errorf("left of the node: %+v", n)
	}
	w.chains(t)
}

// Dead letters are copies of events.
func TestDeadLettersForgetToo(t *testing.T) {
	w := newWorld(t)
	w.do("set_webhook", &protocol.SetWebhook{URL: "https://hook.example.com/"}, admin)
	alice(w)
	if len(w.deadLetters(protocol.SinkNameWebhook)) < 5 {
		t.Fatal("no dead letters")
	}
	for _, c := range classes { // the letters alone are left
		for _, e := range w.m.Root().Events(c, 0, 1000) {
			if e.Action == protocol.EventExternalIDSet || e.Action == protocol.EventHostnameChanged {
				eventTables[classIndex(c)].drop(w.m.x, e.Seq)
			}
		}
	}
	w.do("person_forget", &protocol.PersonRequest{ExternalID: "alice@example.com"}, admin)
	if s := recordsOf(t, w); strings.Contains(s, "alice") {
		t.Error("alice is in a dead letter")
	}
}

// An erased value is hidden: whoever guesses it cannot tell without the salt,
// which is another one in every event and on every attribute.
func TestSaltsAreNotShared(t *testing.T) {
	w := newWorld(t)
	alice(w)
	seen := map[string]bool{}
	for _, c := range classes {
		for _, e := range w.m.Root().Events(c, 0, 1000) {
			for _, a := range e.Attrs {
				if a.Salt == "" {
					continue
				}
				if len(a.Salt) != saltBytes || seen[a.Salt] {
					t.Errorf("event %d %s: salt %x", e.Seq, a.Key, a.Salt)
				}
				seen[a.Salt] = true
			}
		}
	}
	if len(seen) < 5 {
		t.Errorf("%d salts", len(seen))
	}
}

// What somebody wrote to ask for trust waits with whom it was written to.
func TestAForgottenPersonsHandshakesAreNowhere(t *testing.T) {
	w := newWorld(t)
	nodes, other, _ := alice(w)
	third := w.register(4)
	ask := func(from, to uint32, text string) {
		w.do("request_handshake", &protocol.RequestHandshake{FromNodeID: from, ToNodeID: to, Justification: text}, as(from))
	}
	ask(nodes[0], other, "this is Alice, the code is 4711")
	ask(other, nodes[1], "Dear Alice")
	ask(third, other, "somebody else's")
	w.do("respond_handshake", &protocol.RespondHandshake{NodeID: nodes[1], PeerID: other, Accept: true}, as(nodes[1]))
	w.do("deregister", &protocol.NodeRequest{NodeID: nodes[0]}, as(nodes[0]))
	w.do("person_forget", &protocol.PersonRequest{ExternalID: "alice@example.com"}, admin)
	if s := recordsOf(t, w); strings.Contains(s, "alice") || strings.Contains(s, "4711") {
		t.Error("what alice wrote, or was written, is still in the state")
	}
	root := w.m.Root()
	if root.trust.requests.Len() != 1 || root.trust.responses.Len() != 0 {
		t.Errorf("%d requests and %d responses wait, want the one of somebody else", root.trust.requests.Len(), root.trust.responses.Len())
	}
}

// A node can be one person's first and another's later. Who is forgotten takes
// neither node nor names of the other along, and leaves none of their own.
func TestForgettingAPersonTakesNothingOfWhoHadTheNodeNext(t *testing.T) {
	for _, end := range []string{"live", "deregistered", "registered again"} {
		t.Run(end, func(t *testing.T) {
			w := newWorld(t)
			id := w.register(1)
			bind := func(person string) {
				w.do("set_external_id", &protocol.SetExternalID{NodeID: id, ExternalID: person}, admin)
			}
			call := func(name string) { w.do("set_hostname", &protocol.SetHostname{NodeID: id, Hostname: name}, as(id)) }
			call("alices-first")
			bind("alice@example.com")
			call("alices-second")
			call("alices-third")
			bind("bob@example.com")
			call("bobs-first")
			call("bobs-second")
			if end != "live" {
				w.do("deregister", &protocol.NodeRequest{NodeID: id}, as(id))
			}
			if end == "registered again" {
				w.register(1)
			}
			r := w.do("person_forget", &protocol.PersonRequest{ExternalID: "alice@example.com"}, admin).(*protocol.PersonForgetReply)
			if r.Nodes != 0 || r.Events == 0 {
				t.Errorf("reply %+v", r)
			}
			s := recordsOf(t, w)
			if strings.Contains(s, "alice") {
				t.Errorf("alice is still in the state: %q", s[max(0, strings.Index(s, "alice")-60):strings.Index(s, "alice")+20])
			}
			for _, kept := range []string{"bob@example.com", "bobs-first", "bobs-second"} {
				if !strings.Contains(s, kept) {
					t.Errorf("%s is gone too", kept)
				}
			}
			w.chains(t)
			if again := w.register(1); again != id {
				t.Errorf("bob's key now gives node %d, and bob had node %d", again, id)
			}
		})
	}
}

// Retention cuts the events of a node off one by one, and a dead letter may
// be the last to name its person.
func TestAPersonIsForgottenWhenRetentionHasCutTheLogAnywhere(t *testing.T) {
	for cut := range 12 {
		w := newWorld(t)
		w.do("set_webhook", &protocol.SetWebhook{URL: "https://hook.example.com/"}, admin)
		nodes, _, _ := alice(w)
		w.do("set_hostname", &protocol.SetHostname{NodeID: nodes[0], Hostname: "alices-desktop"}, as(nodes[0]))
		w.do("deregister", &protocol.NodeRequest{NodeID: nodes[0]}, as(nodes[0]))
		w.do("deregister", &protocol.NodeRequest{NodeID: nodes[1]}, as(nodes[1]))
		w.deadLetters(protocol.SinkNameWebhook)
		left := cut
		for seq := uint64(1); seq <= w.m.x.meta.eventSeq && left > 0; seq++ {
			for c := range w.m.x.audit.events {
				if r, ok := w.m.x.audit.events[c].Get(seq); ok && erasable(r.action()) {
					eventTables[c].drop(w.m.x, seq)
					left--
				}
			}
		}
		w.do("person_forget", &protocol.PersonRequest{ExternalID: "alice@example.com"}, admin)
		if s := recordsOf(t, w); strings.Contains(s, "alice") {
			t.Errorf("with %d events cut alice is still in the state: %q", cut, s[max(0, strings.Index(s, "alice")-60):strings.Index(s, "alice")+20])
		}
	}
}

// Forgetting goes step by step, and the last step still finds the nodes that
// were deregistered long ago.
func TestAForgottenPersonsManyNodesAllGo(t *testing.T) {
	w := newWorld(t)
	const bound, former = protocol.MaxForgotten + 3, 2*protocol.MaxForgotten + 5
	var ids []uint32
	for i := range bound + former {
		id := w.register(i + 1)
		ids = append(ids, id)
		w.do("set_external_id", &protocol.SetExternalID{NodeID: id, ExternalID: "alice@example.com"}, admin)
		w.do("set_hostname", &protocol.SetHostname{NodeID: id, Hostname: fmt.Sprintf("alices-%d", id)}, as(id))
		if i >= bound {
			w.do("deregister", &protocol.NodeRequest{NodeID: id}, as(id))
		}
	}
	steps, nodes := 0, 0
	for more := true; more && steps < 10; steps++ {
		r := w.do("person_forget", &protocol.PersonRequest{ExternalID: "alice@example.com"}, admin).(*protocol.PersonForgetReply)
		if r.Nodes > protocol.MaxForgotten {
			t.Errorf("step %d took out %d nodes, want at most %d", steps, r.Nodes, protocol.MaxForgotten)
		}
		nodes, more = nodes+r.Nodes, r.More
	}
	if nodes != len(ids) || steps != 4 {
		t.Errorf("%d nodes went in %d steps, want %d in 4", nodes, steps, len(ids))
	}
	for _, id := range ids {
		if n, _ := w.m.Root().nodes.records.Get(id); !n.forgotten() {
			t.Fatalf("left of node %d: %+v", id, n)
		}
	}
	if s := recordsOf(t, w); strings.Contains(s, "alice") {
		t.Errorf("alice is still in the state: %q", s[max(0, strings.Index(s, "alice")-60):strings.Index(s, "alice")+20])
	}
	w.chains(t)
}

// A key is public. Whoever knows it cannot make it a node of his own person
// after its owner was forgotten.
func TestStrangerCannotTakeTheKeyOfAForgottenPerson(t *testing.T) {
	key := testKey(9).String()
	begin := func(t *testing.T) *world {
		w := newWorld(t)
		id := w.registerAs(&protocol.Register{PublicKey: key, RegisterFacts: protocol.RegisterFacts{Proven: true}}).NodeID
		w.do("set_external_id", &protocol.SetExternalID{NodeID: id, ExternalID: "alice@example.com"}, admin)
		w.do("person_forget", &protocol.PersonRequest{ExternalID: "alice@example.com"}, admin)
		if err := w.m.Restore(bytes.NewReader(snapshotOf(t, w.m))); err != nil {
			t.Fatal(err)
		}
		return w
	}
	stolen := func() *protocol.Register {
		return &protocol.Register{PublicKey: key, RegisterFacts: protocol.RegisterFacts{Endpoint: "10.9.9.9:1", ExternalID: "mallory@example.com"}}
	}
	const refusal = "unsigned registration cannot modify a signature-verified key: this one has registered with a signature before, and its node was taken out. Sign the registration; if the node's program cannot, an administrator registers it with the admin token"
	t.Run("by a registration", func(t *testing.T) {
		w := begin(t)
		w.refused("register", stolen(), nobody, protocol.CodeSignatureRequired, refusal)
		id := w.registerAs(&protocol.Register{PublicKey: key, RegisterFacts: protocol.RegisterFacts{Proven: true}}).NodeID
		if n, _ := w.m.Root().nodes.records.Get(id); !n.has(flagProven) || w.m.Root().nodes.provenKeys.Len() != 0 {
			t.Errorf("who has the key got node %+v, and %d marks are left", n, w.m.Root().nodes.provenKeys.Len())
		}
	})
	t.Run("by a rotation", func(t *testing.T) {
		w := begin(t)
		mine := w.register(3)
		w.refused("rotate_key", &protocol.RotateKey{NodeID: mine, NewPublicKey: key}, as(mine), protocol.CodeAlreadyExists, "new_public_key already belongs to another node; use a fresh key")
	})
	t.Run("as an owner", func(t *testing.T) {
		w := begin(t)
		w.registerAs(&protocol.Register{PublicKey: testKey(4).String(), Owner: "mallory"})
		w.refused("register", &protocol.Register{PublicKey: key, Owner: "mallory", RegisterFacts: protocol.RegisterFacts{OwnerReclaim: true}}, nobody, protocol.CodeSignatureRequired, refusal)
	})
	t.Run("an administrator may", func(t *testing.T) {
		w := begin(t)
		w.do("register", &protocol.Register{PublicKey: key, RegisterFacts: protocol.RegisterFacts{Endpoint: "198.51.100.1:4000"}}, admin)
		w.registerAs(&protocol.Register{PublicKey: key})
	})
	t.Run("the mark says nothing of whose the key was", func(t *testing.T) {
		w := begin(t)
		raw := testKey(9)
		if s := recordsOf(t, w); strings.Contains(s, strings.ToLower(string(raw[:]))) || w.m.Root().nodes.provenKeys.Len() != 1 {
			t.Errorf("%d marks, or the key itself is in the state", w.m.Root().nodes.provenKeys.Len())
		}
	})
	t.Run("a key that never signed has nothing to lose", func(t *testing.T) {
		w := newWorld(t)
		id := w.register(9)
		w.do("set_external_id", &protocol.SetExternalID{NodeID: id, ExternalID: "alice@example.com"}, admin)
		w.do("person_forget", &protocol.PersonRequest{ExternalID: "alice@example.com"}, admin)
		if w.register(9) == id {
			t.Error("the key came back to the forgotten node")
		}
	})
}
