// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	startTime = int64(1_800_000_000_000)
	aSecond   = int64(1000)
	minute    = 60 * aSecond
	hour      = 60 * minute
)

// tester is what tests, benchmarks and rapid's checks have in common.
type tester interface {
	Helper()
	Error(...any)
	Errorf(string, ...any)
	Fatal(...any)
	Fatalf(string, ...any)
}

// world drives one machine through its exported interface. Every command goes
// through a dry run first, and both have to agree.
type world struct {
	t     tester
	m     *Machine
	index uint64
	now   int64
}

func newWorld(t tester) *world { return worldAt(t, LevelMax) }

// worldAt makes a world of a feature level.
func worldAt(t tester, level uint32) *world {
	t.Helper()
	w := emptyWorld(t)
	w.internal(KindClusterInit, ClusterInit{ClusterID: "c-1", Level: level})
	w.internal(KindTermStart, TermStart{Term: 1, LeaderID: "m1"})
	w.internal(KindPutToken, PutToken{Kind: TokenAdmin, Name: "root", MAC: testMAC(7), OnlyIfAbsent: true})
	return w
}

func emptyWorld(t tester) *world { return &world{t: t, m: New(), index: 1, now: startTime} }

func testMAC(b byte) protocol.MAC { return protocol.MAC{Key: 1, Sum: bytes.Repeat([]byte{b}, 32)} }

func testKey(seed int) protocol.PublicKey {
	return protocol.PublicKey(sha256.Sum256([]byte(fmt.Sprint("key ", seed))))
}

func testHost(seed int) string { return fmt.Sprintf("host-%d", seed) }

// apply applies one entry with the given commands.
func (w *world) apply(cmds ...Envelope) []Result {
	w.t.Helper()
	w.index++
	data := AppendEntry(nil, &Entry{Time: w.now, Term: 1, Envelopes: cmds})
	out, err := w.m.Apply(w.index, 1, data)
	if err != nil {
		w.t.Fatalf("apply: %v", err)
	}
	return out
}

// contents stands for everything in the state but its time.
func (w *world) contents() [32]byte {
	d, m := w.m.x.w.Digest, w.m.x.meta
	d.Sub(&w.m.x.metaHash)
	m.now = 0
	hash := m.hash()
	d.Add(&hash)
	return d.Bytes()
}

func (w *world) tryInternal(kind protocol.Code, body any) Result {
	w.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.apply(Envelope{Code: kind, Body: b})[0]
}

func (w *world) internal(kind protocol.Code, body any) {
	w.t.Helper()
	if r := w.tryInternal(kind, body); r.Err != nil {
		w.t.Fatalf("internal kind %d: %v", kind-InternalBase, r.Err)
	}
}

func (w *world) internalErr(kind protocol.Code, body any, code string) {
	w.t.Helper()
	before := w.m.Root().Digest()
	r := w.tryInternal(kind, body)
	if r.Err == nil || r.Err.Code != code {
		w.t.Fatalf("internal kind %d: got %v, want a refusal with code %s", kind-InternalBase, r.Err, code)
	}
	if w.m.Root().Digest() != before {
		w.t.Errorf("internal kind %d: the refusal changed the state", kind-InternalBase)
	}
}

func (w *world) tick(d int64) { w.now += d; w.internal(KindTick, struct{}{}) }

// who makes a call under an identity.
type who func(*world, *Call)

func nobody(_ *world, c *Call) {
	c.SigError = protocol.Errorf(protocol.CodeSignatureRequired, "signature required for authenticated node")
}

func as(id uint32) who {
	return func(w *world, c *Call) {
		_, gen, _, _ := w.m.Root().NodeKey(id)
		c.Actor.Node, c.Actor.KeyGen = id, gen
	}
}

func forged(_ *world, c *Call) {
	c.SigError = protocol.Errorf(protocol.CodeSignatureInvalid, "signature verification failed")
}

func badEncoding(_ *world, c *Call) {
	c.SigError = protocol.Errorf(protocol.CodeSignatureInvalid, "invalid signature encoding: illegal base64 data at input byte 0")
}

func admin(w *world, c *Call) {
	nobody(w, c)
	rec, _ := w.m.Root().Token(TokenAdmin, "root")
	c.Actor.Token, c.Actor.TokenGen = "root", rec.Generation
}

func (w *world) call(name string, body protocol.Body, by who) *Call {
	c := &Call{Row: protocol.Must(name), Body: body, Source: "203.0.113.9:50000"}
	if by != nil {
		by(w, c)
	}
	return c
}

func envelope(c *Call) Envelope {
	b, err := json.Marshal(c.Body)
	if err != nil {
		panic(err)
	}
	return Envelope{Code: c.Row.Code, Actor: c.Actor, Source: c.Source, RequestID: c.Options.RequestID, Hash: c.Hash, Body: b}
}

// do carries out a command or read and fails the test when it is refused.
func (w *world) do(name string, body protocol.Body, by who) any {
	w.t.Helper()
	reply, e := w.try(name, body, by)
	if e != nil {
		w.t.Fatalf("%s: %v (%s)", name, e, e.Code)
	}
	return reply
}

// refused carries out a command or read and wants a refusal that changes nothing.
func (w *world) refused(name string, body protocol.Body, by who, code, text string) {
	w.t.Helper()
	before, nodes, notes := w.m.Root().Digest(), w.nodesDigest(), w.countEvents(protocol.EventRatchetRejected)
	_, e := w.try(name, body, by)
	if e == nil {
		w.t.Errorf("%s was carried out, want %q", name, text)
		return
	}
	if e.Code != code || e.Text != text {
		w.t.Errorf("%s: got %q (%s), want %q (%s)", name, e.Text, e.Code, text, code)
	}
	noted := w.countEvents(protocol.EventRatchetRejected) == notes+1 && w.nodesDigest() == nodes
	if w.m.Root().Digest() != before && !noted {
		w.t.Errorf("%s: the refusal changed the state", name)
	}
}

// nodesDigest stands for all nodes and networks.
func (w *world) nodesDigest() [32]byte {
	var d table.Digest
	v := &w.m.Root().view
	for _, part := range []table.Stored{&v.nodes.records, &v.nodes.seen, &v.networks.records, &v.networks.memberships, &v.trust.pairs} {
		_ = part.Each(v.meta.level, func(rec []byte) error {
			h := sha256.Sum256(rec)
			d.Add(&h)
			return nil
		})
	}
	return d.Bytes()
}

func (w *world) try(name string, body protocol.Body, by who) (any, *protocol.Error) {
	w.t.Helper()
	if e := body.Validate(); e != nil {
		return nil, e
	}
	c := w.call(name, body, by)
	if c.Row.Mode == protocol.ModeRead {
		r, e := w.m.Root().Read(c)
		return r.Reply, e
	}
	planned, noPlan := w.plan(c)
	dry := w.m.Root().Check(c)
	if dry != nil {
		if dry.Outcome == "" && !dry.Stateful {
			w.t.Errorf("%s: the refusal %q depends on state and does not say so", name, dry.Text)
		}
		// What the front door would not propose has to be refused all the same.
		sameCode := func(e *protocol.Error) bool {
			return e != nil && (e.Code == dry.Code || e.Code == protocol.CodeSignatureInvalid || dry.Code == protocol.CodeSignatureRequired)
		}
		if r := w.apply(envelope(c))[0]; !sameCode(r.Err) {
			w.t.Errorf("%s: the dry run refuses with %v, apply answers %s %v", name, dry, r.JSON(), r.Err)
		}
		return nil, dry
	}
	same, _ := w.m.Root().Decide(c)
	before := w.contents()
	r := w.apply(envelope(c))[0]
	if r.Err != nil {
		return nil, r.Err
	}
	// What changes nothing says so, or is proposed uselessly, again and again. A
	// registration is a sign of life, whatever else it says.
	if changed := w.contents() != before; changed == (same != nil) && !c.Row.Soft && c.Row.Mode == protocol.ModeWrite && name != "register" {
		w.t.Errorf("%s: changed something: %v, and the dry run foresaw %v", name, changed, same)
	} else if same != nil && string(render(same)) != string(r.JSON()) {
		w.t.Errorf("%s: the dry run foresaw %s, apply answers %s", name, render(same), r.JSON())
	}
	reply := c.Row.NewReply()
	if err := json.Unmarshal(r.JSON(), reply); err != nil {
		w.t.Fatalf("%s: reply %s: %v", name, r.JSON(), err)
	}
	if c.Row.Plans && noPlan == nil {
		w.asPlanned(planned, reply)
	}
	return reply, nil
}

// plan asks what a command would do, which must change nothing.
func (w *world) plan(c *Call) (any, *protocol.Error) {
	w.t.Helper()
	if !c.Row.Plans {
		return nil, nil
	}
	before := w.m.Root().Digest()
	reply, e := w.m.Root().Plan(c)
	if fromScratch(w.m.Root()) != before {
		w.t.Errorf("%s: the plan changed the state", c.Row.Name)
	}
	return reply, e
}

// asPlanned compares a plan with what was then done.
func (w *world) asPlanned(planned, done any) {
	w.t.Helper()
	switch p := planned.(type) {
	case *protocol.DirectorySyncReply:
		plan, got := *p, *done.(*protocol.DirectorySyncReply)
		if plan.Type == "" || got.Revision < plan.Revision || !plan.DryRun {
			w.t.Errorf("planned %+v, did %+v", plan, got)
		}
		if plan.NextCursor == "" { // the plan may have a warning more
			got.Revision, got.DryRun, got.Warnings, plan.Warnings = plan.Revision, true, nil, nil
			if !reflect.DeepEqual(plan, got) {
				w.t.Errorf("planned %+v, did %+v", plan, got)
			}
		}
	case *protocol.ProvisionNetworkReply:
		got := done.(*protocol.ProvisionNetworkReply)
		if p.NetworkID != got.NetworkID || p.Created != got.Created || p.Actions[0] != got.Actions[0] || !slices.Equal(p.Warnings, got.Warnings) {
			w.t.Errorf("planned %+v, did %+v", p, got)
		}
		if changed := got.Revision != p.Revision; changed != (len(p.Actions) > 1 || p.Created) && !global(p.Actions) {
			w.t.Errorf("planned %+v, revision %d became %d", p.Actions, p.Revision, got.Revision)
		}
	}
}

// global reports whether a blueprint's actions are about the whole registry.
func global(actions []string) bool {
	return slices.ContainsFunc(actions, func(a string) bool { return strings.HasPrefix(a, "configured ") })
}

// register registers a node with a key made from seed and returns its id.
func (w *world) register(seed int) uint32 {
	w.t.Helper()
	r := w.do("register", &protocol.Register{PublicKey: testKey(seed).String(), RegisterFacts: protocol.RegisterFacts{Endpoint: fmt.Sprintf("198.51.100.1:%d", seed)}}, nil)
	return r.(*protocol.RegisterReply).NodeID
}

func (w *world) network(name string, owner uint32, rule string, enterprise bool) uint16 {
	w.t.Helper()
	r := w.do("create_network", &protocol.CreateNetwork{NodeID: owner, Name: name, JoinRule: rule, Enterprise: enterprise}, admin)
	return r.(*protocol.CreateNetworkReply).NetworkID
}

func (w *world) join(net uint16, id uint32) {
	w.t.Helper()
	w.do("join_network", &protocol.JoinNetwork{NodeID: id, NetworkID: net}, as(id))
}

// preAssign appends a role for an external id to a network's list.
func (w *world) preAssign(net uint16, externalID string, r role) {
	w.t.Helper()
	addPreAssign(w.m.x, net, externalID, protocol.FoldExternalID(externalID), r)
	w.tick(0)
}

// sweepAll carries out what is due, as the leader's duty does.
func (w *world) sweepAll() {
	w.t.Helper()
	for range 100 {
		s := w.m.Root().SweepCandidates(w.now, 100)
		if s.Empty() {
			return
		}
		w.internal(KindSweep, s)
	}
	w.t.Error("there is always something to sweep")
}

func (w *world) beat(id uint32) {
	w.t.Helper()
	w.do("heartbeat", &protocol.NodeRequest{NodeID: id}, as(id))
}

// goOffline lets a node fall silent and sweeps it.
func (w *world) goOffline(id uint32) {
	w.t.Helper()
	w.tick(4 * minute)
	w.internal(KindSweep, Sweep{Term: w.m.Root().LeaderTerm(), Offline: []uint32{id}})
	if w.m.Root().nodes.live(id) != nil {
		w.t.Fatalf("node %d is still live", id)
	}
}

func (w *world) lookup(id uint32) *protocol.LookupReply {
	w.t.Helper()
	return w.do("lookup", &protocol.NodeRequest{NodeID: id}, nil).(*protocol.LookupReply)
}

func (w *world) gone(id uint32) {
	w.t.Helper()
	w.refused("lookup", &protocol.NodeRequest{NodeID: id}, nil, protocol.CodeNotFound, fmt.Sprintf("node %d: node not found", id))
}

// lastEvent renders the newest event of an action as the audit trail does.
func (w *world) lastEvent(action string) string {
	w.t.Helper()
	r := w.m.Root()
	events := r.Events(protocol.Events[action], 0, 1<<30)
	for i := len(events) - 1; i >= 0; i-- {
		if e := &events[i]; e.Action == action {
			out := e.Actor
			for _, a := range e.Attrs {
				out += " " + a.Key + "=" + a.Value
			}
			return out
		}
	}
	return ""
}

func (w *world) countEvents(action string) int {
	n := 0
	events := w.m.Root().Events(protocol.Events[action], 0, 1<<30)
	for i := range events {
		if events[i].Action == action {
			n++
		}
	}
	return n
}

// fromScratch computes a root's digest from its records alone.
func fromScratch(r *Root) [32]byte {
	var d table.Digest
	_ = r.eachRecord(func(rec []byte) error {
		h := sha256.Sum256(rec)
		d.Add(&h)
		return nil
	})
	return d.Bytes()
}

// deadLetters reports that nothing a sink was to be given could be delivered.
func (w *world) deadLetters(sink string) (seqs []uint64) {
	w.t.Helper()
	b, _ := w.m.Root().SinkBatch(sink, 100)
	p := b.Progress
	p.Term = w.m.Root().LeaderTerm()
	for _, e := range b.Events {
		p.Dead = append(p.Dead, Letter{Seq: e.Seq, Reason: "status 410", Attempts: 1})
		seqs = append(seqs, e.Seq)
	}
	w.internal(KindSinkProgress, p)
	return seqs
}
