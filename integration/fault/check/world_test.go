// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// world is a registry that does everything right, one command per entry, and
// the history that its clients would have recorded. Tests then spoil it.
type world struct {
	t       *testing.T
	m       *fsm.Machine
	now     int64
	ops     []history.Op
	entries []check.Entry
	snaps   []check.Snapshot
	clients int
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, m: fsm.New()}
	w.entries = append(w.entries, check.Entry{Index: 1, Term: 1, Kind: check.EntryConfiguration, Data: []byte("members")})
	w.m.Configuration(1, 1)
	w.internal(fsm.KindClusterInit, fsm.ClusterInit{ClusterID: "c", Level: fsm.LevelMax})
	w.internal(fsm.KindTermStart, fsm.TermStart{Term: 1})
	w.internal(fsm.KindPutToken, fsm.PutToken{Kind: fsm.TokenAdmin, Name: "admin", MAC: protocol.MAC{Key: 1, Sum: make([]byte, sha256.Size)}})
	return w
}

func (w *world) internal(kind protocol.Code, body any) {
	w.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	if r := w.commit(fsm.Envelope{Code: kind, Body: raw}); r[0].Err != nil {
		w.t.Fatal(r[0].Err)
	}
}

// commit applies one entry.
func (w *world) commit(cmds ...fsm.Envelope) []fsm.Result {
	w.t.Helper()
	index := uint64(len(w.entries)) + 1
	data := fsm.AppendEntry(nil, &fsm.Entry{Time: 1_800_000_000_000 + int64(index)*1000, Term: 1, Envelopes: cmds})
	out, err := w.m.Apply(index, 1, data)
	if err != nil {
		w.t.Fatal(err)
	}
	w.entries = append(w.entries, check.Entry{Index: index, Term: 1, Kind: check.EntryCommand, Data: data})
	return out
}

// tick moves the clock of the history.
func (w *world) tick() int64 { w.now += 1e6; return w.now }

// how an operation of a test is made.
type how func(*history.Op)

func key(k string) how            { return func(o *history.Op) { o.Key = k } }
func id(s string) how             { return func(o *history.Op) { o.RequestID = s } }
func session(s string) how        { return func(o *history.Op) { o.Session = s } }
func level(l protocol.Level) how  { return func(o *history.Op) { o.Level = l } }
func staleness(ms uint64) how     { return func(o *history.Op) { o.MaxStalenessMS = ms } }
func atLeast(i uint64) how        { return func(o *history.Op) { o.MinIndex = i } }
func by(member string) how        { return func(o *history.Op) { o.Member = member } }
func called(at int64) how         { return func(o *history.Op) { o.Call = at } }
func ended(o history.Outcome) how { return func(op *history.Op) { op.Outcome = o } }

func (w *world) op(command string, body protocol.Body, hows []how) *history.Op {
	w.t.Helper()
	w.clients++
	o := &history.Op{ID: uint64(len(w.ops)) + 1, Client: fmt.Sprint("c", w.clients), Workload: "test", Command: command, Member: "n1", Call: w.tick(), Outcome: history.OK}
	for _, h := range hows {
		h(o)
	}
	row := protocol.Must(command)
	args, err := protocol.EncodeRequest(row, body, protocol.Credentials{}, protocol.Options{
		RequestID: o.RequestID, Consistency: o.Level, MaxStalenessMS: o.MaxStalenessMS, MinIndex: o.MinIndex})
	if err != nil {
		w.t.Fatal(err)
	}
	o.Args = args
	return o
}

// done records the operation. A pointer to it is valid until the next one.
func (w *world) done(o *history.Op) *history.Op {
	o.Return = w.tick()
	w.ops = append(w.ops, *o)
	return &w.ops[len(w.ops)-1]
}

func (w *world) envelope(o *history.Op) fsm.Envelope {
	w.t.Helper()
	r, err := protocol.ParseRequest(o.Args)
	if err != nil {
		w.t.Fatal(err)
	}
	if e := r.Body.Validate(); e != nil {
		w.t.Fatal(e)
	}
	if reg, ok := r.Body.(*protocol.Register); ok {
		reg.Endpoint = "203.0.113.9:4000" // what a member adds
	}
	raw, err := json.Marshal(r.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	env := fsm.Envelope{Code: r.Command.Code, Body: raw, RequestID: o.RequestID, Source: "127.0.0.1:1"}
	if o.RequestID != "" {
		env.Hash = sha256.Sum256(raw)
	}
	if r.Command.Signer != "" && r.Command.Signer != "public_key" {
		env.Actor.Node = protocol.SignerID(r.Command, r.Body)
		_, env.Actor.KeyGen, _, _ = w.m.Root().NodeKey(env.Actor.Node)
	}
	if r.Command.Auth == protocol.AuthAdmin {
		env.Actor.Token, env.Actor.TokenGen = "admin", 1
	}
	return env
}

// write carries out a command and records it, with ok unless told otherwise.
func (w *world) write(command string, body protocol.Body, hows ...how) *history.Op {
	w.t.Helper()
	o := w.op(command, body, hows)
	r := w.commit(w.envelope(o))[0]
	switch {
	case o.Outcome != history.OK:
	case r.Err != nil:
		o.Outcome, o.Code, o.Text = history.Fail, r.Err.Code, r.Err.Text
	default:
		o.Index, o.Replayed, o.Reply = r.Index, r.Replayed, json.RawMessage(r.JSON())
	}
	return w.done(o)
}

// lost records a write of unknown outcome that never took effect.
func (w *world) lost(command string, body protocol.Body, hows ...how) *history.Op {
	w.t.Helper()
	return w.done(w.op(command, body, append(hows, ended(history.Unknown))))
}

// read answers a read from the present state and records it.
func (w *world) read(command string, body protocol.Body, hows ...how) *history.Op {
	w.t.Helper()
	o := w.op(command, body, append([]how{level(protocol.Linearizable)}, hows...))
	r, e := w.m.Root().Read(&fsm.Call{Row: protocol.Must(command), Body: body})
	if e != nil {
		o.Outcome, o.Code, o.Text = history.Fail, e.Code, e.Text
		return w.done(o)
	}
	raw, err := json.Marshal(r.Reply)
	if err != nil {
		w.t.Fatal(err)
	}
	o.Index, o.Reply = w.m.Root().Index(), raw
	return w.done(o)
}

// snapshot writes the present state.
func (w *world) snapshot() {
	w.t.Helper()
	var buf bytes.Buffer
	if err := w.m.Snapshot().Write(&buf); err != nil {
		w.t.Fatal(err)
	}
	root := w.m.Root()
	w.snaps = append(w.snaps, check.Snapshot{Index: root.Index(), Term: root.Term(), Digest: root.Digest(), Data: buf.Bytes()})
}

func (w *world) log() *check.Log {
	return &check.Log{Entries: w.entries, Snapshots: w.snaps, Last: uint64(len(w.entries))}
}

func testKey(n int) string {
	return protocol.PublicKey(sha256.Sum256([]byte(fmt.Sprint("key ", n)))).String()
}

// register registers a key and returns its id.
func (w *world) register(n int, hows ...how) uint32 {
	w.t.Helper()
	o := w.write("register", &protocol.Register{PublicKey: testKey(n), ListenAddr: ":4000"}, append([]how{key(fmt.Sprint("key/", n))}, hows...)...)
	var r protocol.RegisterReply
	if err := json.Unmarshal(o.Reply, &r); err != nil {
		w.t.Fatal(err)
	}
	return r.NodeID
}

func (w *world) tags(node uint32, tag string, hows ...how) *history.Op {
	w.t.Helper()
	return w.write("set_tags", &protocol.SetTags{NodeID: node, Tags: []string{tag}}, append([]how{key(fmt.Sprint("node/", node))}, hows...)...)
}

func (w *world) lookup(node uint32, hows ...how) *history.Op {
	w.t.Helper()
	return w.read("lookup", &protocol.NodeRequest{NodeID: node}, append([]how{key(fmt.Sprint("node/", node))}, hows...)...)
}

func (w *world) add(node uint32, delta float64, hows ...how) *history.Op {
	w.t.Helper()
	return w.write("update_polo_score", &protocol.UpdatePoloScore{NodeID: node, Delta: &delta}, append([]how{key(fmt.Sprint("polo/", node))}, hows...)...)
}

func (w *world) score(node uint32, hows ...how) *history.Op {
	w.t.Helper()
	return w.read("get_polo_score", &protocol.NodeRequest{NodeID: node}, append([]how{key(fmt.Sprint("polo/", node))}, hows...)...)
}

func (w *world) claim(node uint32, host string, hows ...how) *history.Op {
	w.t.Helper()
	return w.write("set_hostname", &protocol.SetHostname{NodeID: node, Hostname: host}, append([]how{key("names/a")}, hows...)...)
}

func (w *world) resolve(host string, requester uint32, hows ...how) *history.Op {
	w.t.Helper()
	return w.read("resolve_hostname", &protocol.ResolveHostname{Hostname: host, RequesterID: requester}, append([]how{key("names/a")}, hows...)...)
}

// want fails unless exactly the given rules were broken.
func want(t *testing.T, got []check.Violation, rules ...check.Rule) {
	t.Helper()
	left := map[check.Rule]bool{}
	for _, r := range rules {
		left[r] = false
	}
	for _, v := range got {
		if _, expected := left[v.Rule]; !expected {
			t.Errorf("unexpected: %s", v)
		}
		left[v.Rule] = true
	}
	for r, found := range left {
		if !found {
			t.Errorf("rule %s found nothing", r)
		}
	}
}

// judge runs all checkers.
func (w *world) judge() *check.Result {
	return check.Run(check.Input{Ops: w.ops, Log: w.log(), MinCoverage: 1})
}
