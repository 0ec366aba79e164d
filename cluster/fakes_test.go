// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// The fakes stand in for what surrounds one part of a member: raft, the other
// members and the other parts. There is no network, no disk and no TLS.

// newTestSelf is member "a" of cluster "c".
func newTestSelf(t testing.TB, cfg Config) *self {
	t.Helper()
	s := newSelf(cfg.withDefaults())
	s.id, s.clusterID, s.log = "a", "c", hclog.NewNullLogger()
	t.Cleanup(func() { close(s.dead); s.wg.Wait() })
	return s
}

// apply puts commands into the state, as an entry of a leader.
func apply(t testing.TB, s *self, cmds ...fsm.Envelope) []fsm.Result {
	t.Helper()
	index := s.Root().Index() + 1
	results, err := s.machine.Apply(index, 1, fsm.AppendEntry(nil, &fsm.Entry{Time: time.Now().UnixMilli(), Term: 1, Envelopes: cmds}))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	s.applied.advance(index)
	return results
}

// command is an internal command of the cluster.
func command(t testing.TB, code protocol.Code, body any) fsm.Envelope {
	t.Helper()
	e, err := envelope(code, body)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// begun is a state in which the cluster exists.
func begun(t testing.TB, cfg Config) *self {
	t.Helper()
	s := newTestSelf(t, cfg)
	apply(t, s, command(t, fsm.KindClusterInit, fsm.ClusterInit{ClusterID: s.clusterID, Level: 1}))
	return s
}

// fakeRaft is raft as the parts see it.
type fakeRaft struct {
	mu                 sync.Mutex
	state              raft.RaftState
	leader             string
	term, commit, last uint64
	servers            []raft.Server
	// asked are the changes that were asked for, in order.
	asked []string
	// onApply answers entries.
	onApply func(cmd []byte) (response any, err error)
}

// raftOf is a leader in term 7, with members of which the first ones vote.
func raftOf(voters int, ids ...string) *fakeRaft {
	r := &fakeRaft{state: raft.Leader, leader: "a", term: 7, commit: 10, last: 10}
	for i, id := range ids {
		s := raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id + ".example:1"), Suffrage: raft.Nonvoter}
		if i < voters {
			s.Suffrage = raft.Voter
		}
		r.servers = append(r.servers, s)
	}
	return r
}

func (r *fakeRaft) set(change func(r *fakeRaft)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

func get[T any](r *fakeRaft, field *T) T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *field
}

func (r *fakeRaft) State() raft.RaftState  { return get(r, &r.state) }
func (r *fakeRaft) CurrentTerm() uint64    { return get(r, &r.term) }
func (r *fakeRaft) CommitIndex() uint64    { return get(r, &r.commit) }
func (r *fakeRaft) LastIndex() uint64      { return get(r, &r.last) }
func (r *fakeRaft) LastContact() time.Time { return time.Time{} }
func (r *fakeRaft) LeaderWithID() (raft.ServerAddress, raft.ServerID) {
	return "", raft.ServerID(get(r, &r.leader))
}
func (r *fakeRaft) RegisterObserver(*raft.Observer) {}

func (r *fakeRaft) GetConfiguration() raft.ConfigurationFuture {
	return fakeFuture{conf: raft.Configuration{Servers: slices.Clone(get(r, &r.servers))}}
}

func (r *fakeRaft) note(what string) fakeFuture {
	r.set(func(r *fakeRaft) { r.asked = append(r.asked, what) })
	return fakeFuture{}
}

func (r *fakeRaft) AddVoter(id raft.ServerID, at raft.ServerAddress, _ uint64, _ time.Duration) raft.IndexFuture {
	return r.note("voter " + string(id) + " " + string(at))
}

func (r *fakeRaft) AddNonvoter(id raft.ServerID, at raft.ServerAddress, _ uint64, _ time.Duration) raft.IndexFuture {
	return r.note("nonvoter " + string(id) + " " + string(at))
}

func (r *fakeRaft) DemoteVoter(id raft.ServerID, _ uint64, _ time.Duration) raft.IndexFuture {
	return r.note("demote " + string(id))
}

func (r *fakeRaft) RemoveServer(id raft.ServerID, _ uint64, _ time.Duration) raft.IndexFuture {
	return r.note("remove " + string(id))
}

func (r *fakeRaft) LeadershipTransfer() raft.Future { return r.note("transfer") }

func (r *fakeRaft) LeadershipTransferToServer(id raft.ServerID, _ raft.ServerAddress) raft.Future {
	return r.note("transfer to " + string(id))
}

func (r *fakeRaft) Apply(cmd []byte, _ time.Duration) raft.ApplyFuture {
	response, err := r.onApply(cmd)
	return fakeFuture{response: response, err: err}
}

// fakeFuture is done.
type fakeFuture struct {
	conf     raft.Configuration
	response any
	err      error
}

func (f fakeFuture) Error() error                      { return f.err }
func (f fakeFuture) Index() uint64                     { return 0 }
func (f fakeFuture) Response() any                     { return f.response }
func (f fakeFuture) Configuration() raft.Configuration { return f.conf }

// fakePeers are the other members.
type fakePeers func(ctx context.Context, id string, typ byte, payload []byte) ([]byte, error)

func (f fakePeers) Call(ctx context.Context, id string, typ byte, payload []byte) ([]byte, error) {
	return f(ctx, id, typ, payload)
}

// lost is a call whose request was sent and whose answer never came.
func lost(id string) error {
	return &peer.TransportError{Member: id, Sent: true, Err: errors.New("connection lost")}
}

// fakeTerm is who leads.
type fakeTerm struct {
	mu                sync.Mutex
	leader            string
	refused           *protocol.Error
	refuseReadsAfter  int // how many times a read may be allowed; -1 for always
	logTime           time.Duration
	awaited, readings int
}

func (f *fakeTerm) leaderID() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leader
}

func (f *fakeTerm) lead(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leader = id
}

func (f *fakeTerm) awaitTerm(context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.awaited++
}

func (f *fakeTerm) mayLead() *protocol.Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refused
}

func (f *fakeTerm) mayRead(uint64) *protocol.Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuseReadsAfter >= 0 && f.readings >= f.refuseReadsAfter {
		return protocol.NotAppliedf(codeNotLeader, "the term is over")
	}
	f.readings++
	return nil
}

func (f *fakeTerm) logTimeOffset() time.Duration { return f.logTime }

// fakeHealth notes what it is told.
type fakeHealth struct {
	mu      sync.Mutex
	reason  string // of the quarantine
	stopped string // why nobody may write
	ended   []fatalCall
}

func (f *fakeHealth) Quarantined() (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reason, f.reason != ""
}

func (f *fakeHealth) writesStopped() (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stopped, f.stopped != ""
}

func (f *fakeHealth) fatal(code int, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = append(f.ended, fatalCall{code, reason})
}

func (f *fakeHealth) calls() []fatalCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ended)
}

// fakeRoster is a roster that nobody changes.
type fakeRoster struct{ r *fakeRaft }

func (f fakeRoster) servers() []raft.Server { return f.r.GetConfiguration().Configuration().Servers }

func (f fakeRoster) voters() []raft.Server {
	return slices.DeleteFunc(f.servers(), func(s raft.Server) bool { return s.Suffrage != raft.Voter })
}

func (f fakeRoster) ids() (out []string) {
	for _, s := range f.servers() {
		out = append(out, string(s.ID))
	}
	return out
}

func (f fakeRoster) has(id string) bool { return slices.Contains(f.ids(), id) }

func (f fakeRoster) named(id string) (raft.Server, *protocol.Error) {
	for _, s := range f.servers() {
		if string(s.ID) == id {
			return s, nil
		}
	}
	return raft.Server{}, protocol.Errorf(protocol.CodeNotFound, "no member %s", id)
}

func (f fakeRoster) record(string) (fsm.MemberRecord, bool) { return fsm.MemberRecord{}, false }

func (f fakeRoster) reachability() string { return "nobody was asked" }

// fakeWrites notes the cluster's own commands, and applies them to the state.
type fakeWrites struct {
	t     testing.TB
	self  *self
	mu    sync.Mutex
	codes []protocol.Code
	// before is called before a command is applied.
	before func(code protocol.Code) *protocol.Error
}

func (f *fakeWrites) proposeFor(ctx context.Context, by asker, code protocol.Code, body any) *protocol.Error {
	e, err := envelope(code, body)
	if err != nil {
		f.t.Error(err)
	}
	res, perr := f.submit(ctx, e, 0)
	if perr == nil {
		perr = res.Err
	}
	return perr
}

func (f *fakeWrites) proposeDecided(ctx context.Context, code protocol.Code, body any) *protocol.Error {
	return f.proposeFor(ctx, asker{}, code, body)
}

func (f *fakeWrites) submit(ctx context.Context, env fsm.Envelope, term uint64) (fsm.Result, *protocol.Error) {
	results, e := f.applyEntry(ctx, &fsm.Entry{Time: time.Now().UnixMilli(), Term: term, Envelopes: []fsm.Envelope{env}})
	if e != nil {
		return fsm.Result{}, e
	}
	return results[0], nil
}

func (f *fakeWrites) applyEntry(_ context.Context, entry *fsm.Entry) ([]fsm.Result, *protocol.Error) {
	for _, c := range entry.Envelopes {
		if f.before != nil {
			if e := f.before(c.Code); e != nil {
				return nil, e
			}
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range entry.Envelopes {
		f.codes = append(f.codes, c.Code)
	}
	index := f.self.Root().Index() + 1
	results, err := f.self.machine.Apply(index, 1, fsm.AppendEntry(nil, entry))
	if err != nil {
		return nil, protocol.Unknownf(protocol.CodeOutcomeUnknown, "%v", err)
	}
	f.self.applied.advance(index)
	return results, nil
}

func (f *fakeWrites) proposed() []protocol.Code {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.codes)
}

// fakeReads always has a current state.
type fakeReads struct {
	proves func() error
	clocks []time.Time
}

func (f fakeReads) readIndex(context.Context) (uint64, *protocol.Error) { return 0, nil }
func (f fakeReads) waitApplied(context.Context, uint64) *protocol.Error { return nil }
func (f fakeReads) provesTerm(context.Context, uint64) error            { return f.proves() }
func (f fakeReads) askVoters(context.Context, uint64, time.Duration) ([]time.Time, error) {
	if f.proves != nil {
		if err := f.proves(); err != nil {
			return nil, err
		}
	}
	return slices.Clone(f.clocks), nil
}

// fakeStatus is what members say of themselves; a member that is not in it does not answer.
type fakeStatus map[string]memberStatus

func (f fakeStatus) ask(_ context.Context, id string) (memberStatus, error) {
	s, ok := f[id]
	if !ok {
		return s, errors.New("no answer")
	}
	return s, nil
}

// soon waits for something that happens on another goroutine.
func soon(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen in %s: %s", patience, what)
		}
	}
}
