// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/store"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// newTestHealth is health whose end of the process is noted.
func newTestHealth(t *testing.T) (*health, *fakeHealth) {
	t.Helper()
	ends := &fakeHealth{}
	return &health{self: begun(t, Config{Fatal: ends.fatal}), quarantined: newMetrics().quarantined}, ends
}

// Damaged data ends the member with code 78, a disk that fails with code 75,
// once, and out of service from then on.
func TestHealthEndsTheMemberOnce(t *testing.T) {
	t.Parallel()
	damage := fmt.Errorf("read: %w", &store.DamageError{Path: "log", Reason: "checksum"})
	for name, c := range map[string]struct {
		err      error
		stopping bool
		want     int // 0 for none
	}{
		"damage":                   {err: damage, want: ExitDamaged},
		"damage while it stops":    {err: damage, stopping: true, want: ExitDamaged},
		"a failed write":           {err: errors.New("no space"), want: ExitStalled},
		"a failed write, it stops": {err: errors.New("closed"), stopping: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, ends := newTestHealth(t)
			h.stopping.Store(c.stopping)
			h.storeFailed(c.err)
			h.storeFailed(c.err)
			_, out := h.Quarantined()
			calls := ends.calls()
			if c.want == 0 && (len(calls) > 0 || out) || c.want != 0 && (len(calls) != 1 || calls[0].code != c.want || !out) {
				t.Errorf("ended with %v, out of service: %v; want code %d", calls, out, c.want)
			}
		})
	}
	if ExitDamaged != 78 || ExitStalled != 75 {
		t.Error("the exit codes are documented")
	}
}

type fakeTransport struct{ closed bool }

func (f *fakeTransport) Close() error { f.closed = true; return nil }

// The majority decides which state is right. A member in the minority stands
// aside; when no state has a majority, writes stop; while members do not
// answer, nothing is decided.
func TestDigestsAreJudged(t *testing.T) {
	t.Parallel()
	const own, other, third, unknown = 1, 2, 3, 0
	for name, c := range map[string]struct {
		b, c    byte // digests; 0: not known there
		settled bool
		aside   bool
		stopped bool
	}{
		"all agree":                        {b: own, c: own, settled: true},
		"one differs":                      {b: own, c: other, settled: true},
		"one agrees, one does not answer":  {b: own, c: unknown, settled: true},
		"this one differs":                 {b: other, c: other, settled: true, aside: true},
		"all differ":                       {b: other, c: third, settled: true, stopped: true},
		"one differs, one does not answer": {b: other, c: unknown},
		"nobody answers":                   {b: unknown, c: unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rf := raftOf(3, "a", "b", "c", "n")
			h, _ := newTestHealth(t)
			trans := &fakeTransport{}
			d := &digests{self: h.self, raft: rf, trans: trans, logs: &fakeLog{}, roster: fakeRoster{rf}, health: h,
				peers: fakePeers(func(_ context.Context, id string, typ byte, _ []byte) ([]byte, error) {
					digest := map[string]byte{"b": c.b, "c": c.c}[id]
					switch {
					case typ == rpcLogSums:
						return []byte("[]"), nil
					case id == "n" || typ != rpcDigest:
						t.Errorf("request %d to %s", typ, id)
					case digest == unknown:
						return nil, lost(id)
					}
					return json.Marshal(digestReply{Known: true, Level: 1, Digest: fmt.Sprintf("%x", [32]byte{digest})})
				})}
			if got := d.judge(t.Context(), fsm.Checkpoint{Index: 5, Level: 1, Digest: [32]byte{own}}, 0); got != c.settled {
				t.Errorf("settled: %v, want %v", got, c.settled)
			}
			reason, aside := h.Quarantined()
			if aside != c.aside || trans.closed != c.aside || slices.Equal(rf.asked, []string{"transfer"}) != c.aside {
				t.Errorf("quarantined: %v (%s), raft cut off: %v, asked for %v; want all: %v", aside, reason, trans.closed, rf.asked, c.aside)
			}
			if _, stopped := h.writesStopped(); stopped != c.stopped {
				t.Errorf("writes stopped: %v, want %v", stopped, c.stopped)
			}
		})
	}
}

// fakeLog is a log in memory.
type fakeLog struct{ entries []raft.Log }

func (f *fakeLog) FirstIndex() (uint64, error) { return 1, nil }

func (f *fakeLog) GetLog(index uint64, out *raft.Log) error {
	if index > uint64(len(f.entries)) {
		return raft.ErrLogNotFound
	}
	*out = f.entries[index-1]
	return nil
}

// Writes that were stopped resume once a majority agrees.
func TestWritesResumeWhenDigestsAgree(t *testing.T) {
	t.Parallel()
	h, _ := newTestHealth(t)
	h.stopWrites("diverged")
	rf := raftOf(1, "a")
	d := &digests{self: h.self, raft: rf, roster: fakeRoster{rf}, health: h}
	if !d.judge(t.Context(), fsm.Checkpoint{Index: 5}, 0) {
		t.Error("not settled")
	}
	if reason, stopped := h.writesStopped(); stopped {
		t.Errorf("writes have stopped: %s", reason)
	}
}

// The level rises by one when every configured member's record says that it can.
func TestLevelRisesOnlyWhenAllCan(t *testing.T) {
	t.Parallel()
	can := func(id string, lo, hi uint32) fsm.MemberRecord {
		return fsm.MemberRecord{ID: id, Peer: id + ".example:1", Version: "test", LevelMin: lo, LevelMax: hi}
	}
	for name, c := range map[string]struct {
		cfg     Config
		records []fsm.MemberRecord
		rises   bool
	}{
		"all can":                    {records: []fsm.MemberRecord{can("a", 1, 2), can("b", 1, 2)}, rises: true},
		"one is older":               {records: []fsm.MemberRecord{can("a", 1, 2), can("b", 1, 1)}},
		"one is not known":           {records: []fsm.MemberRecord{can("a", 1, 2)}},
		"one that left was older":    {records: []fsm.MemberRecord{can("a", 1, 2), can("b", 1, 2), can("z", 1, 1)}, rises: true},
		"a downgrade stays possible": {cfg: Config{PreserveDowngrade: true}, records: []fsm.MemberRecord{can("a", 1, 2), can("b", 1, 2)}},
		"this binary is at its top":  {cfg: Config{LevelMax: 1}, records: []fsm.MemberRecord{can("a", 1, 2), can("b", 1, 2)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			orDefault(&c.cfg.LevelMax, 2)
			s := begun(t, c.cfg)
			for _, r := range c.records {
				apply(t, s, command(t, fsm.KindMemberHello, r))
			}
			d := &collectingDuty{dutyEnv: dutyEnv{in: &term{self: s}, term: 7, log: s.log}}
			l := &levels{self: s, roster: fakeRoster{raftOf(2, "a", "b")}}
			l.raise(t.Context(), d)
			want := ""
			if c.rises {
				want = fmt.Sprintf("%d {\"from\":1,\"to\":2,\"term\":7}", fsm.KindRaiseLevel)
			}
			if got := strings.Join(d.proposed, ", "); got != want {
				t.Errorf("proposed %q, want %q", got, want)
			}
		})
	}
}

// collectingDuty notes what a duty proposes.
type collectingDuty struct {
	dutyEnv
	proposed []string
}

func (c *collectingDuty) Propose(_ context.Context, env fsm.Envelope) (fsm.Result, *protocol.Error) {
	c.proposed = append(c.proposed, fmt.Sprintf("%d %s", env.Code, env.Body))
	return fsm.Result{}, nil
}

// A binary that does not know the level of the data ends with code 78.
func TestLevelOfTheDataIsChecked(t *testing.T) {
	t.Parallel()
	h, ends := newTestHealth(t)
	h.cfg.LevelMax = 1
	l := &levels{self: h.self, dir: &dataDir{path: t.TempDir()}, health: h}
	must(t, l.check())
	l.note(1)
	must(t, l.check())
	l.note(2)
	if err := l.check(); err == nil || len(ends.calls()) != 1 || ends.calls()[0].code != ExitDamaged {
		t.Errorf("data of level 2: %v, ended with %v, want code %d", err, ends.calls(), ExitDamaged)
	}
}

type fakeConns struct{ cut bool }

func (f *fakeConns) cutOff() { f.cut = true }

type fakeBatch bool

func (b fakeBatch) busy() bool { return bool(b) }

// The watchdog ends a member that is stuck: at once when its disk is, or when
// nothing is committed although a majority answers, and later when nothing but
// heartbeats comes through.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	const limit = 50 * time.Millisecond
	for name, c := range map[string]struct {
		op     string // under way
		raft   func(*fakeRaft)
		busy   bool
		proves error
		ends   bool
		atOnce bool // before twice the limit
	}{
		"nothing to do":                       {},
		"a disk operation hangs":              {op: "store_logs", ends: true, atOnce: true},
		"a check of the log takes long":       {op: "verify"},
		"an entry hangs, a majority answers":  {busy: true, ends: true, atOnce: true},
		"an entry hangs, no majority answers": {busy: true, proves: errors.New("no majority"), ends: true},
		"entries are left over from before":   {raft: func(r *fakeRaft) { r.last = 11 }, ends: true, atOnce: true},
		"a follower waits for its leader":     {raft: func(r *fakeRaft) { r.state, r.last = raft.Follower, 11 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begun(t, Config{Duties: Duties{StallLimit: limit}})
			rf := raftOf(1, "a")
			if c.raft != nil {
				c.raft(rf)
			}
			ops, conns, ends := newStoreOps(), &fakeConns{}, &fakeHealth{}
			if c.op != "" {
				ops.begin(c.op)
			}
			w := &watchdog{self: s, ops: ops, raft: rf, writes: fakeBatch(c.busy), reads: fakeReads{proves: func() error { return c.proves }}, health: ends, conns: conns}
			ctx, cancel := context.WithTimeout(t.Context(), 20*limit)
			defer cancel()
			start := time.Now()
			w.guard(ctx)
			calls := ends.calls()
			if ended := len(calls) == 1 && calls[0].code == ExitStalled && conns.cut; ended != c.ends || len(calls) > 1 {
				t.Errorf("ended with %v, connections cut: %v, want %v", calls, conns.cut, c.ends)
			}
			if took := time.Since(start); c.ends && !c.atOnce && took < 2*limit {
				t.Errorf("ended after %s, want at least %s", took, 2*limit)
			}
		})
	}
}

// Checks name what is missing, and status names what to do about it.
func TestReporterNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	rf := raftOf(3, "a", "b", "c")
	s := begun(t, Config{})
	h := &fakeHealth{}
	term := &fakeTerm{leader: "a"}
	p := &reporter{self: s, raft: rf, roster: fakeRoster{rf}, hello: &greeter{}, confirm: confirmed(), term: term, reads: fakeReads{}, health: h,
		clock: &leaderClock{source: systemClock{}}, ring: fakeRing{1}, disk: fakeDisk{}, certs: fakeCerts{},
		peers: fakePeers(func(_ context.Context, id string, _ byte, _ []byte) ([]byte, error) { return nil, lost(id) })}
	failing := func() (names string) {
		for _, c := range p.checks() {
			if !c.OK {
				names += c.Name + " "
			}
		}
		return names
	}
	if got := failing(); got != "announced caught_up " {
		t.Errorf("a member that starts fails %s", got)
	}
	p.hello.(*greeter).done.Store(true)
	p.catchUp(t.Context())
	if got := failing(); got != "" {
		t.Errorf("a member that is ready fails %s", got)
	}
	must(t, p.ready(t.Context()))
	problem := func(want string) {
		t.Helper()
		st := p.status(t.Context())
		if got := strings.Join(st.Problems, "; "); !strings.Contains(got, want) || st.Next == "" || len(st.NextSteps) != len(st.Problems) {
			t.Errorf("problems %q, want %q; next steps %q", got, want, st.NextSteps)
		}
	}
	problem("no quorum: 1 of 3 voters answer, 2 are needed")
	term.lead("")
	h.reason, h.stopped = "sick", "diverged"
	s.draining.Store(true)
	rf.set(func(r *fakeRaft) { r.servers = r.servers[1:] })
	if got := failing(); got != "serving healthy member leader " {
		t.Errorf("a member that is out fails %s", got)
	}
	problem("this member is quarantined: sick")
	problem("writes have stopped: diverged")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := p.ready(ctx); err == nil || !strings.Contains(err.Error(), "quarantined: sick") {
		t.Errorf("ready: %v", err)
	}
}

type fakeDisk struct{ diskUse }

func (d fakeDisk) use() diskUse { return d.diskUse }

type fakeCerts struct {
	at      time.Time
	ends    map[string]time.Time
	problem string
}

func (c fakeCerts) now() time.Time                 { return c.at }
func (c fakeCerts) certEnds() map[string]time.Time { return c.ends }
func (c fakeCerts) failing() string                { return c.problem }

// A member tells others of its machine. What versions before did not tell, and
// who does not answer, is left out and not taken for zero.
func TestHostsSaysWhatMembersTell(t *testing.T) {
	t.Parallel()
	rf := raftOf(3, "a", "b", "old", "down")
	at := time.UnixMilli(1_800_000_000_000)
	p := &reporter{self: begun(t, Config{}), raft: rf, roster: fakeRoster{rf}, term: &fakeTerm{leader: "a"}, health: &fakeHealth{}, confirm: confirmed(), clock: &leaderClock{source: systemClock{}},
		disk: fakeDisk{diskUse{bytes: 100, free: 40, snapshot: store.Written{At: at}}}, certs: fakeCerts{ends: map[string]time.Time{"member": at.Add(time.Hour), "ca": at.Add(2 * time.Hour), "wire": at}}}
	raw, err := json.Marshal(p.local())
	must(t, err)
	p.peers = fakePeers(func(_ context.Context, id string, _ byte, _ []byte) ([]byte, error) {
		switch id {
		case "b":
			return bytes.Replace(raw, []byte(`"disk_free":40`), []byte(`"disk_free":7`), 1), nil
		case "old":
			return []byte(`{"id":"old","clock_offset_ms":3}`), nil
		}
		return nil, lost(id)
	})
	got := p.hosts(t.Context())
	want := MemberHost{DiskBytes: 100, DiskFree: 40, SnapshotAt: at.UnixMilli(), CertificateEnds: at.Add(time.Hour).UnixMilli(), CAEnds: at.Add(2 * time.Hour).UnixMilli(),
		Listeners: map[string]int64{"wire": at.UnixMilli()}}
	if len(got) != 2 || !reflect.DeepEqual(got["a"], want) || got["b"].DiskFree != 7 {
		t.Errorf("%+v", got)
	}
}
