// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// newTestRoster is the roster of a leader.
func newTestRoster(t *testing.T, s *self, r *fakeRaft, status fakeStatus) (*roster, *fakeWrites) {
	t.Helper()
	w := &fakeWrites{t: t, self: s}
	term := &fakeTerm{leader: s.id}
	return &roster{self: s, raft: r, writes: w, term: term, reads: fakeReads{}, status: status, clock: &leaderClock{source: systemClock{}},
		router: &router{id: s.id, term: term}, said: newHearsay(nil)}, w
}

// recorded puts members into the state.
func recorded(t *testing.T, s *self, ids ...string) {
	t.Helper()
	for _, id := range ids {
		apply(t, s, command(t, fsm.KindMemberHello, fsm.MemberRecord{ID: id, Peer: id + ".example:1", Version: "test", LevelMin: 1, LevelMax: 1}))
	}
}

func TestRosterKnowsWhoMayConnect(t *testing.T) {
	t.Parallel()
	s := begun(t, Config{})
	r, _ := newTestRoster(t, s, raftOf(2, "a", "b"), nil)
	recorded(t, s, "joined")
	r.said.learn(map[string]string{"named": "127.0.0.1:9"})
	for id, want := range map[string]bool{"a": true, "b": true, "joined": true, "named": true, "stranger": false} {
		if got := r.knows(id); got != want {
			t.Errorf("knows(%s) = %v, want %v", id, got, want)
		}
	}
	r.said.at = time.Now().Add(-2 * namedFor)
	if r.knows("named") {
		t.Error("a member that was named long ago may still connect")
	}
	if r.has("joined") || !r.has("b") {
		t.Error("the configuration alone says who is in it")
	}
}

// A committed configuration without a member makes its name worthless; a name
// that no configuration has had belongs to a member on its way in.
func TestHearsayForgetsWhoWasRemoved(t *testing.T) {
	t.Parallel()
	h := newHearsay(nil)
	h.learn(map[string]string{"b": "1", "new": "2"})
	h.follow(map[string]bool{"a": true, "b": true})
	h.follow(map[string]bool{"a": true})
	if h.recentlyNamed("b") || !h.recentlyNamed("new") {
		t.Errorf("b is named: %v, the one on its way: %v", h.recentlyNamed("b"), h.recentlyNamed("new"))
	}
}

func TestRosterRemoves(t *testing.T) {
	t.Parallel()
	up := fakeStatus{"a": {}, "b": {}, "c": {}}
	forget := []protocol.Code{fsm.KindMemberForget}
	for name, c := range map[string]struct {
		raft     *fakeRaft
		status   fakeStatus
		id       string
		force    bool
		code     string // of the refusal, "" for none
		asked    string // of raft
		proposed []protocol.Code
	}{
		"a voter":                        {raft: raftOf(3, "a", "b", "c"), status: up, id: "b", asked: "remove b", proposed: forget},
		"a member without a vote":        {raft: raftOf(1, "a", "b"), status: nil, id: "b", asked: "remove b", proposed: forget},
		"one that nobody knows":          {raft: raftOf(2, "a", "b"), status: up, id: "z", code: protocol.CodeNotFound},
		"one that is half removed":       {raft: raftOf(2, "a", "b"), status: up, id: "old", proposed: forget},
		"the only voter":                 {raft: raftOf(1, "a", "b"), status: up, id: "a", code: protocol.CodeConflict},
		"the only voter, with force":     {raft: raftOf(1, "a", "b"), status: up, id: "a", force: true, code: protocol.CodeConflict},
		"a quorum would be lost":         {raft: raftOf(3, "a", "b", "c"), status: fakeStatus{"a": {}}, id: "b", code: protocol.CodeConflict},
		"a quorum is lost, with force":   {raft: raftOf(3, "a", "b", "c"), status: fakeStatus{"a": {}}, id: "b", force: true, asked: "remove b", proposed: forget},
		"the leader, by the next leader": {raft: raftOf(3, "a", "b", "c"), status: up, id: "a", code: codeNotLeader, asked: "transfer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begun(t, Config{})
			recorded(t, s, "a", "b", "c", "old")
			r, w := newTestRoster(t, s, c.raft, c.status)
			w.before = func(protocol.Code) *protocol.Error {
				if len(c.raft.asked) > 0 {
					t.Error("the configuration was changed before the record")
				}
				return nil
			}
			e := r.remove(t.Context(), adminRequest{ID: c.id, Force: c.force})
			if code(e) != c.code {
				t.Errorf("answer %v, want code %q", e, c.code)
			}
			if got := strings.Join(c.raft.asked, ", "); got != c.asked {
				t.Errorf("raft was asked for %q, want %q", got, c.asked)
			}
			if got := w.proposed(); !slices.Equal(got, c.proposed) {
				t.Errorf("proposed %v, want %v", got, c.proposed)
			}
		})
	}
}

func code(e *protocol.Error) string {
	if e == nil {
		return ""
	}
	return e.Code
}

func TestRosterPromotes(t *testing.T) {
	t.Parallel()
	s := begun(t, Config{})
	rf := raftOf(1, "a", "b")
	r, w := newTestRoster(t, s, rf, nil)
	if e := r.promote(t.Context(), adminRequest{ID: "a"}); e != nil || len(rf.asked) > 0 {
		t.Errorf("a voter was promoted: %v, %v", e, rf.asked)
	}
	if e := r.promote(t.Context(), adminRequest{ID: "z"}); code(e) != protocol.CodeNotFound {
		t.Errorf("a stranger was promoted: %v", e)
	}
	if e := r.promote(t.Context(), adminRequest{ID: "b", By: asker{At: "a"}}); e != nil {
		t.Fatal(e)
	}
	if got := strings.Join(rf.asked, ", "); got != "voter b b.example:1" {
		t.Errorf("raft was asked for %q", got)
	}
	if got := w.proposed(); !slices.Equal(got, []protocol.Code{fsm.KindMemberPromoted}) {
		t.Errorf("proposed %v: it must be in the audit log", got)
	}
}

func TestRosterWelcomes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rec      fsm.MemberRecord
		code     string
		asked    string
		proposed int
	}{
		"as it is":                  {rec: fsm.MemberRecord{ID: "b", Peer: "b.example:1"}},
		"a voter that moved":        {rec: fsm.MemberRecord{ID: "b", Peer: "moved.example:1"}, asked: "voter b moved.example:1", proposed: 1},
		"one without a vote, moved": {rec: fsm.MemberRecord{ID: "n", Peer: "moved.example:1"}, asked: "nonvoter n moved.example:1", proposed: 1},
		"one that joined":           {rec: fsm.MemberRecord{ID: "joined", Peer: "joined.example:1"}, asked: "nonvoter joined joined.example:1"},
		"one that was removed":      {rec: fsm.MemberRecord{ID: "gone", Peer: "gone.example:1"}, code: protocol.CodeNotFound},
		"an address of elsewhere":   {rec: fsm.MemberRecord{ID: "b", Peer: "127.0.0.1:5"}, code: protocol.CodeInvalid},
		"an older binary":           {rec: fsm.MemberRecord{ID: "b", Peer: "b.example:1", LevelMin: 7, LevelMax: 9}, code: protocol.CodeFeatureNotActive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begun(t, Config{})
			recorded(t, s, "a", "b", "n", "joined")
			rf := raftOf(2, "a", "b", "n")
			r, w := newTestRoster(t, s, rf, nil)
			c.rec.Version = "test"
			orDefault(&c.rec.LevelMin, 1)
			orDefault(&c.rec.LevelMax, 1)
			if _, e := r.welcome(t.Context(), c.rec); code(e) != c.code {
				t.Errorf("answer %v, want code %q", e, c.code)
			}
			if got := strings.Join(rf.asked, ", "); got != c.asked {
				t.Errorf("raft was asked for %q, want %q", got, c.asked)
			}
			if got := w.proposed(); len(got) != c.proposed {
				t.Errorf("proposed %v, want %d commands", got, c.proposed)
			}
		})
	}
}

// joiner prepares a cluster with a join token, and a request that has it.
func joiner(t *testing.T, rf *fakeRaft) (*roster, *fakeWrites, joinRequest) {
	t.Helper()
	path := t.TempDir()
	res, err := Init(t.Context(), InitConfig{DataDir: path, PeerAdvertise: "a.example:1"})
	must(t, err)
	dir := &dataDir{path: path}
	s := newTestSelf(t, Config{DataDir: path})
	s.clusterID = res.ClusterID
	seeds, err := dir.seedCommands()
	must(t, err)
	apply(t, s, seeds...)
	r, w := newTestRoster(t, s, rf, nil)
	r.ring, err = dir.keyring()
	must(t, err)
	token, err := peer.ParseToken(res.JoinToken)
	must(t, err)
	_, csr, err := peer.NewMemberKey()
	must(t, err)
	return r, w, joinRequest{MemberID: "9b2a51f2-3c1e-4d5a-9a53-3a6f7e9f1d11", CSR: csr, Name: token.Name, Secret: token.Secret,
		Peer: "new.example:1", Version: "test", LevelMin: 1, LevelMax: 1}
}

func TestRosterAdmits(t *testing.T) {
	t.Parallel()
	const id = "9b2a51f2-3c1e-4d5a-9a53-3a6f7e9f1d11"
	for name, c := range map[string]struct {
		raft   *fakeRaft
		change func(*joinRequest)
		code   string
	}{
		"with the token":                 {change: func(*joinRequest) {}},
		"with another secret":            {change: func(r *joinRequest) { r.Secret = "guess" }, code: protocol.CodeTokenInvalid},
		"with a token of another name":   {change: func(r *joinRequest) { r.Name = "other" }, code: protocol.CodeTokenInvalid},
		"in the name of a member":        {raft: raftOf(1, "a", id), change: func(*joinRequest) {}, code: protocol.CodeAlreadyExists},
		"in another spelling of its id":  {change: func(r *joinRequest) { r.MemberID = strings.ToUpper(id) }, code: protocol.CodeInvalid},
		"with a binary of another level": {change: func(r *joinRequest) { r.LevelMin, r.LevelMax = 5, 6 }, code: protocol.CodeFeatureNotActive},
		"at an address of elsewhere":     {change: func(r *joinRequest) { r.Peer = "127.0.0.1:1" }, code: protocol.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rf := c.raft
			if rf == nil {
				rf = raftOf(1, "a")
			}
			r, w, req := joiner(t, rf)
			c.change(&req)
			_, e := r.admit(t.Context(), req)
			if code(e) != c.code {
				t.Errorf("answer %v, want code %q", e, c.code)
			}
			_, known := r.record(req.MemberID)
			if admitted := c.code == ""; known != admitted || (len(w.proposed()) > 0) != admitted {
				t.Errorf("recorded %v, proposed %v", known, w.proposed())
			}
		})
	}
}

// A token lets one key in. The same key may ask again, for the answer may be lost.
func TestATokenAdmitsOneKey(t *testing.T) {
	t.Parallel()
	r, _, req := joiner(t, raftOf(1, "a"))
	for range 2 {
		if _, e := r.admit(t.Context(), req); e != nil {
			t.Fatal(e)
		}
	}
	_, other, err := peer.NewMemberKey()
	must(t, err)
	req.CSR = other
	if reply, e := r.admit(t.Context(), req); e == nil {
		t.Errorf("another key got a certificate: %s", reply)
	}
}

// A request that was routed once is not routed again: two members that take
// each other for the leader would send it to and fro.
func TestRouterTakesOneHop(t *testing.T) {
	t.Parallel()
	calls := 0
	term := &fakeTerm{leader: "b"}
	r := &router{id: "a", term: term, peers: fakePeers(func(context.Context, string, byte, []byte) ([]byte, error) {
		calls++
		return []byte("answer"), nil
	})}
	lead := func(context.Context) ([]byte, *protocol.Error) { return []byte("here"), nil }
	for _, c := range []struct {
		leader, want, code string
		forwarded          bool
	}{{"a", "here", "", false}, {"a", "here", "", true}, {"b", "answer", "", false}, {"b", "", protocol.CodeNoLeader, true}, {"", "", protocol.CodeNoLeader, false}} {
		term.lead(c.leader)
		got, e := r.once(t.Context(), rpcHello, &c.forwarded, struct{}{}, lead)
		if string(got) != c.want || code(e) != c.code {
			t.Errorf("leader %q, forwarded before %v: %q, %v", c.leader, c.forwarded, got, e)
		}
	}
	if calls != 1 {
		t.Errorf("%d requests were sent on, want 1", calls)
	}
}

// greeting is a greeter among members that answer with the same error.
func greeting(t *testing.T, removed time.Duration, answers map[string]error) (*greeter, *fakeHealth) {
	t.Helper()
	s := begun(t, Config{Timeouts: Timeouts{Removed: removed}})
	h := &fakeHealth{}
	rf := raftOf(3, "a", "b", "c")
	ros, _ := newTestRoster(t, s, rf, nil)
	return &greeter{self: s, said: newHearsay(nil), ring: fakeRing{1}, roster: ros, term: &fakeTerm{leader: "b"}, health: h,
		peers: fakePeers(func(_ context.Context, id string, _ byte, _ []byte) ([]byte, error) {
			return []byte(`{"members":{"x":"1"}}`), answers[id]
		})}, h
}

type fakeRing []uint32

func (f fakeRing) Versions() []uint32 { return f }

// A member ends only when most others have refused it for a while.
func TestGreeterEndsARemovedMember(t *testing.T) {
	t.Parallel()
	stranger := protocol.Errorf(protocol.CodeNotFound, "removed")
	g, h := greeting(t, time.Nanosecond, map[string]error{"b": stranger, "c": stranger})
	for range 2 {
		if err := g.sayHello(t.Context()); err == nil {
			t.Fatal("announced")
		}
		time.Sleep(time.Millisecond)
	}
	if calls := h.calls(); len(calls) != 1 || calls[0].code != ExitDamaged {
		t.Errorf("ended with %v, want code %d", calls, ExitDamaged)
	}
	if _, refused := g.announced(); refused == "" {
		t.Error("status does not say that the others refuse this member")
	}
	g, h = greeting(t, time.Nanosecond, map[string]error{"b": stranger, "c": lost("c")})
	for range 3 {
		_ = g.sayHello(t.Context())
		time.Sleep(time.Millisecond)
	}
	if calls := h.calls(); len(calls) > 0 {
		t.Errorf("one of two refuses, and the member ended: %v", calls)
	}
	g, _ = greeting(t, time.Hour, map[string]error{"b": stranger})
	if err := g.sayHello(t.Context()); err != nil || !g.said.recentlyNamed("x") {
		t.Errorf("one member answers: %v, learned %v", err, g.said.known())
	}
}

// The promoter gives a vote to a member that keeps up for a while, wants it, and may have it.
func TestPromoterGivesAVoteToWhoKeepsUp(t *testing.T) {
	t.Parallel()
	good := memberStatus{WantsVote: true, LeaderID: "a", LastLogIndex: 1000}
	changed := func(change func(*memberStatus)) memberStatus { st := good; change(&st); return st }
	for name, c := range map[string]struct {
		status memberStatus
		rec    fsm.MemberRecord
		manual bool
		votes  bool
	}{
		"keeps up":               {status: good, votes: true},
		"lags":                   {status: changed(func(s *memberStatus) { s.LastLogIndex = 1000 - trailing - 1 })},
		"wants no vote":          {status: changed(func(s *memberStatus) { s.WantsVote = false })},
		"follows another":        {status: changed(func(s *memberStatus) { s.LeaderID = "z" })},
		"is quarantined":         {status: changed(func(s *memberStatus) { s.Quarantined = "sick" })},
		"hears nothing":          {status: changed(func(s *memberStatus) { s.LastContactMS = 1001 })},
		"its token gave no vote": {status: good, rec: fsm.MemberRecord{NonVoter: true}},
		"promotion is manual":    {status: good, manual: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begun(t, Config{ManualPromotion: c.manual, Duties: Duties{StableFor: time.Nanosecond}})
			rf := raftOf(1, "a", "n")
			rf.last = 1000
			r, _ := newTestRoster(t, s, rf, fakeStatus{"n": c.status})
			c.rec.ID, c.rec.Peer, c.rec.Version, c.rec.LevelMin, c.rec.LevelMax = "n", "n.example:1", "test", 1, 1
			apply(t, s, command(t, fsm.KindMemberHello, c.rec))
			p := newPromoter(r)
			p.look(t.Context(), dutyEnv{log: s.log})
			if len(rf.asked) > 0 {
				t.Error("promoted at the first look")
			}
			time.Sleep(time.Millisecond)
			r.changes.Lock()
			p.look(t.Context(), dutyEnv{log: s.log})
			r.changes.Unlock()
			if len(rf.asked) > 0 {
				t.Error("promoted while another change was under way")
			}
			p.look(t.Context(), dutyEnv{log: s.log})
			if votes := len(rf.asked) == 1 && rf.asked[0] == "voter n n.example:1"; votes != c.votes {
				t.Errorf("raft was asked for %v, want a vote: %v", rf.asked, c.votes)
			}
		})
	}
}
