// SPDX-License-Identifier: Apache-2.0

//lint:file-ignore SA1019 raft itself still reads the fields Leader and Candidate

package termguard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/pilotregistry/pilotregistry/cluster/base/store"
)

// Ids are UUIDs, and addresses are ids: the guard finds the member in both.
var (
	self  = "00000000-0000-4000-8000-00000000000a"
	peers = []string{"00000000-0000-4000-8000-00000000000b", "00000000-0000-4000-8000-00000000000c"}
	guest = "00000000-0000-4000-8000-00000000000d"
)

// world is one raft instance under guard, and two hand-made members that speak
// raft's protocol with it, consistently: a term has one leader.
type world struct {
	guard    *Guard
	raft     *raft.Raft
	config   *raft.Config
	overtake bool
	wire     *pipes
	trans    *Transport
	store    *memory
	peers    []*handMade
	fsm      *recorder
	forked   atomic.Pointer[string]
	stale    atomic.Bool
	closed   chan struct{}
	mu       sync.Mutex
	leaderOf map[uint64]string
	// newest is the newest term with a leader; the hand-made members are all in it.
	newest uint64
	// acknowledged is the last entry that a hand-made member has, so that none
	// of them overwrites what may be committed.
	acknowledged uint64
	// voted is the newest term in which the instance voted for a hand-made member.
	voted uint64
	wrong []string
}

// pause is slept at every step of the store, so that schedules meet; timeout is
// how long the instance waits for a leader. With overtake, heartbeats change the
// term beside raft's main loop.
func newWorld(pause func(), timeout time.Duration, overtake bool) *world {
	w := &world{overtake: overtake, wire: &pipes{ends: map[string]chan net.Conn{}}, leaderOf: map[uint64]string{}, closed: make(chan struct{}), fsm: &recorder{}}
	w.store = &memory{InmemStore: raft.NewInmemStore(), pause: pause}
	servers := []raft.Server{{ID: raft.ServerID(self), Address: raft.ServerAddress(self)}}
	for _, id := range peers {
		servers = append(servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
		p := &handMade{w: w, id: id, trans: w.wire.transport(id)}
		w.peers = append(w.peers, p)
		go p.serve()
	}
	c := raft.DefaultConfig()
	c.LocalID, c.Logger = raft.ServerID(self), hclog.NewNullLogger()
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout, c.CommitTimeout = timeout, timeout, 10*time.Millisecond, time.Millisecond
	c.ShutdownOnRemove, c.NoLegacyTelemetry = false, true
	w.config = c
	_, unused := raft.NewInmemTransport("")
	must(raft.BootstrapCluster(c, w.store, w.store, raft.NewInmemSnapshotStore(), unused, raft.Configuration{Servers: servers}))
	w.start()
	return w
}

// start starts the instance on what its store holds.
func (w *world) start() {
	w.guard = New(Options{Member: self, Applied: w.fsm.last.Load, Overtake: w.overtake,
		OnFork:  func(reason string) { w.forked.Store(&reason) },
		OnStale: func(string) { w.stale.Store(true) }})
	w.trans = w.guard.Transport(w.wire.transport(self))
	var err error
	w.raft, err = raft.NewRaft(w.config, w.fsm, w.guard.Logs(w.store), w.guard.Stable(w.store), raft.NewInmemSnapshotStore(), w.trans)
	must(err)
	w.guard.Watch(w.raft)
}

// restart stops the instance and starts it again.
func (w *world) restart() {
	w.trans.Close()
	must(w.raft.Shutdown().Error())
	w.start()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (w *world) close() {
	// Raft waits for its replication, which waits for the other side.
	for _, p := range w.peers {
		p.trans.Close()
	}
	w.trans.Close()
	_ = w.raft.Shutdown().Error()
	w.wire.hangUp()
	close(w.closed)
}

func (w *world) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

// claim gives a term to a member unless another one has it, or a newer one has begun.
func (w *world) claim(term uint64, member string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if has, ok := w.leaderOf[term]; ok || term < w.newest {
		return has == member
	}
	w.leaderOf[term], w.newest = member, term
	return true
}

// acknowledge is what a hand-made member does with entries of the instance. It
// refuses an older term, as a member that has voted in a newer one does.
func (w *world) acknowledge(term, last uint64) (newest uint64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if term < w.newest {
		return w.newest, false
	}
	w.acknowledged = max(w.acknowledged, last)
	return term, true
}

// held is the last entry that a hand-made member has.
func (w *world) held() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acknowledged
}

// vote notes a vote of the instance and returns the term of its newest one.
func (w *world) vote(term uint64) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.voted = max(w.voted, term)
	return w.voted
}

func (w *world) leads(term uint64, member string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.leaderOf[term] == member
}

// check judges what the instance stored.
func (w *world) check() []string {
	for _, e := range w.store.stored() {
		if store.Maker(e) == self && e.Term > 1 && !w.leads(e.Term, self) {
			w.fail("entry %d of type %s was made in term %d, whose leader is %q", e.Index, e.Type, e.Term, w.leaderOf[e.Term])
		}
	}
	if reason := w.forked.Load(); reason != nil {
		w.fail("a fork was seen where none is: %s", *reason)
	}
	return w.wrong
}

// handMade is a member made by hand.
type handMade struct {
	w     *world
	id    string
	trans *raft.NetworkTransport
	// refuses makes it vote for nobody.
	refuses atomic.Bool
}

func (p *handMade) header() raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(p.id), Addr: []byte(p.id)}
}

// serve answers the instance: with votes, acknowledgements, refusals, newer terms.
func (p *handMade) serve() {
	for {
		select {
		case rpc := <-p.trans.Consumer():
			p.answer(rpc)
		case <-p.w.closed:
			return
		}
	}
}

func (p *handMade) answer(rpc raft.RPC) {
	if rpc.Reader != nil {
		_, _ = io.Copy(io.Discard, rpc.Reader)
	}
	switch a := rpc.Command.(type) {
	case *raft.RequestVoteRequest:
		granted := !p.refuses.Load() && rand.IntN(8) > 0 && p.w.claim(a.Term, self)
		rpc.Respond(&raft.RequestVoteResponse{RPCHeader: p.header(), Term: a.Term, Granted: granted}, nil)
	case *raft.RequestPreVoteRequest:
		rpc.Respond(&raft.RequestPreVoteResponse{RPCHeader: p.header(), Term: a.Term, Granted: !p.refuses.Load()}, nil)
	case *raft.AppendEntriesRequest:
		p.shown(a)
		resp := &raft.AppendEntriesResponse{RPCHeader: p.header(), Term: a.Term, LastLog: a.PrevLogEntry + uint64(len(a.Entries))}
		if rand.IntN(10) > 0 {
			resp.Term, resp.Success = p.w.acknowledge(a.Term, resp.LastLog)
		}
		rpc.Respond(resp, nil)
	case *raft.InstallSnapshotRequest:
		if !p.w.leads(a.Term, self) {
			p.w.fail("a snapshot was sent in term %d", a.Term)
		}
		rpc.Respond(&raft.InstallSnapshotResponse{RPCHeader: p.header(), Term: a.Term, Success: true}, nil)
	default:
		rpc.Respond(nil, errors.New("not here"))
	}
}

// shown judges a message of the instance as leader.
func (p *handMade) shown(a *raft.AppendEntriesRequest) {
	if !p.w.leads(a.Term, self) {
		p.w.fail("a message was sent in term %d, with %d entries", a.Term, len(a.Entries))
	}
	last := a.PrevLogEntry
	for _, e := range a.Entries {
		last = e.Index
		if e.Term > a.Term {
			p.w.fail("entry %d of term %d was sent in term %d", e.Index, e.Term, a.Term)
		}
	}
	if a.LeaderCommitIndex > last {
		p.w.fail("index %d was to be committed where %d was shown", a.LeaderCommitIndex, last)
	}
}

// entry is what a hand-made leader of a term puts at an index: always the same.
func (p *handMade) entry(index, term uint64) *raft.Log {
	l := &raft.Log{Index: index, Term: term, Type: raft.LogCommand, Data: fmt.Appendf(nil, "%s %d/%d", p.id, index, term)}
	sign(l, p.id)
	return l
}

// sign does what a member's store does with a new entry.
func sign(l *raft.Log, maker string) {
	id := uuid.MustParse(maker)
	head := binary.BigEndian.AppendUint64(nil, l.Index)
	head = append(binary.BigEndian.AppendUint64(head, l.Term), byte(l.Type))
	sum := crc32.Checksum(append(append(head, l.Data...), id[:]...), crc32.MakeTable(crc32.Castagnoli))
	l.Extensions = append(binary.BigEndian.AppendUint32([]byte{'m'}, sum), id[:]...)
}

// append sends a message as leader of a term.
func (p *handMade) append(a raft.AppendEntriesRequest) (resp raft.AppendEntriesResponse, err error) {
	a.RPCHeader = p.header()
	if a.Leader == nil {
		a.Leader = []byte(p.id)
	}
	voted := p.w.vote(0)
	err = p.trans.AppendEntries(raft.ServerID(self), raft.ServerAddress(self), &a, &resp)
	if err == nil && resp.Success && a.Term < voted && !p.w.overtake {
		p.w.fail("a message of term %d was acknowledged after a vote in term %d", a.Term, voted)
	}
	return resp, err
}

// memory is a log that keeps all entries it was ever given.
type memory struct {
	*raft.InmemStore
	pause func()
	// onSet is called before raft's term or vote is written, if it is set.
	onSet func(key string, val uint64) error
	mu    sync.Mutex
	all   []*raft.Log
}

func (m *memory) StoreLog(l *raft.Log) error { return m.StoreLogs([]*raft.Log{l}) }

func (m *memory) StoreLogs(logs []*raft.Log) error {
	m.pause()
	m.mu.Lock()
	for _, l := range logs {
		if store.Made(l) {
			sign(l, self)
		}
		m.all = append(m.all, l)
	}
	m.mu.Unlock()
	defer m.pause()
	return m.InmemStore.StoreLogs(logs)
}

func (m *memory) IsMonotonic() bool { return true }

func (m *memory) SetUint64(key []byte, val uint64) error {
	m.pause()
	defer m.pause()
	if m.onSet != nil {
		if err := m.onSet(string(key), val); err != nil {
			return err
		}
	}
	return m.InmemStore.SetUint64(key, val)
}

func (m *memory) Set(key, val []byte) error {
	if m.onSet != nil {
		if err := m.onSet(string(key), 0); err != nil {
			return err
		}
	}
	return m.InmemStore.Set(key, val)
}

func (m *memory) stored() []*raft.Log {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all
}

// recorder is the state machine: the entries it was given.
type recorder struct {
	last atomic.Uint64
	mu   sync.Mutex
	data map[uint64]string
}

func (r *recorder) Apply(l *raft.Log) any {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.data == nil {
		r.data = map[uint64]string{}
	}
	r.data[l.Index] = string(l.Data)
	r.last.Store(l.Index)
	return nil
}

func (r *recorder) applied(index uint64) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.data[index]
}

func (r *recorder) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("not here") }

// Restore takes a snapshot, which is its index.
func (r *recorder) Restore(rc io.ReadCloser) error {
	defer rc.Close()
	var index uint64
	_, err := fmt.Fscan(rc, &index)
	r.last.Store(index)
	return err
}
