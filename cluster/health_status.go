// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// statusTimeout bounds a question to another member for status.
const statusTimeout = 500 * time.Millisecond

// memberStatus is what a member says of itself.
type memberStatus struct {
	ID            string `json:"id"`
	State         string `json:"state"`
	LeaderID      string `json:"leader_id,omitempty"`
	Term          uint64 `json:"term"`
	AppliedIndex  uint64 `json:"applied_index"`
	CommitIndex   uint64 `json:"commit_index"`
	LastLogIndex  uint64 `json:"last_log_index"`
	LastContactMS int64  `json:"last_contact_ms"`
	LevelMin      uint32 `json:"level_min"`
	LevelMax      uint32 `json:"level_max"`
	Version       string `json:"version"`
	Quarantined   string `json:"quarantined,omitempty"`
	WantsVote     bool   `json:"wants_vote,omitempty"`
	ClockOffsetMS int64  `json:"clock_offset_ms,omitempty"`
	// LogTimeOffsetMS is log time minus the voters' median; only a leader knows it.
	LogTimeOffsetMS int64 `json:"log_time_offset_ms,omitempty"`
	// Host is nil from members of versions that do not tell.
	Host *MemberHost `json:"host,omitempty"`
}

// reporter tells operators and other members how this member is.
type reporter struct {
	*self
	raft   statusRaft
	peers  caller
	roster interface {
		servers() []raft.Server
		has(id string) bool
		record(id string) (fsm.MemberRecord, bool)
	}
	hello interface {
		announced() (done bool, refused string)
	}
	term interface {
		leaderID() string
		logTimeOffset() time.Duration
	}
	reads interface {
		readIndex(ctx context.Context) (uint64, *protocol.Error)
		waitApplied(ctx context.Context, index uint64) *protocol.Error
	}
	health interface {
		serving
		writesStopped() (reason string, yes bool)
	}
	clock     interface{ offset() time.Duration }
	ring      interface{ Versions() []uint32 }
	confirm   interface{ withheld() (vote, entries bool) }
	wantsVote bool
	disk      interface{ use() diskUse }
	certs     interface {
		now() time.Time
		certEnds() map[string]time.Time
		failing() string
	}

	caughtUp atomic.Bool
}

// statusRaft is what raft says of itself.
type statusRaft interface {
	State() raft.RaftState
	CurrentTerm() uint64
	CommitIndex() uint64
	LastIndex() uint64
	LastContact() time.Time
}

func (p *reporter) local() memberStatus {
	reason, _ := p.health.Quarantined()
	s := memberStatus{ID: p.id, State: stateName(p.raft.State()), LeaderID: p.term.leaderID(), Term: p.raft.CurrentTerm(),
		AppliedIndex: p.applied.index.Load(), CommitIndex: p.raft.CommitIndex(), LastLogIndex: p.raft.LastIndex(),
		LevelMin: p.cfg.LevelMin, LevelMax: p.cfg.LevelMax, Version: p.cfg.Version,
		Quarantined: reason, WantsVote: p.wantsVote, ClockOffsetMS: p.clock.offset().Milliseconds(), LogTimeOffsetMS: p.term.logTimeOffset().Milliseconds(), Host: p.host()}
	if p.raft.State() != raft.Leader {
		s.LastContactMS = -1
		if at := p.raft.LastContact(); !at.IsZero() {
			s.LastContactMS = time.Since(at).Milliseconds()
		}
	}
	return s
}

func stateName(s raft.RaftState) string {
	switch s {
	case raft.Leader:
		return "leader"
	case raft.Candidate:
		return "candidate"
	case raft.Follower:
		return "follower"
	}
	return "stopped"
}

func (p *reporter) ask(ctx context.Context, id string) (memberStatus, error) {
	if id == p.id {
		return p.local(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var s memberStatus
	err := callJSON(ctx, p.peers, id, rpcStatus, struct{}{}, &s)
	return s, err
}

// members lists the configured members, asking each for at most half a second.
// It works without a quorum.
func (p *reporter) members(ctx context.Context) []protocol.ClusterMember {
	out, _ := p.survey(ctx)
	return out
}

// survey is members, with what those that answered say of their machines.
func (p *reporter) survey(ctx context.Context) ([]protocol.ClusterMember, []*MemberHost) {
	servers := p.roster.servers()
	out, hosts := make([]protocol.ClusterMember, len(servers)), make([]*MemberHost, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			out[i], hosts[i] = p.describe(ctx, s)
		}()
	}
	wg.Wait()
	return out, hosts
}

func (p *reporter) describe(ctx context.Context, s raft.Server) (protocol.ClusterMember, *MemberHost) {
	m := protocol.ClusterMember{ID: string(s.ID), Address: string(s.Address), Role: "unknown", Suffrage: "nonvoter"}
	if s.Suffrage == raft.Voter {
		m.Suffrage = "voter"
	}
	if rec, ok := p.roster.record(m.ID); ok {
		m.Wire, m.Version, m.LevelMin, m.LevelMax = rec.Wire, rec.Version, rec.LevelMin, rec.LevelMax
	}
	st, err := p.ask(ctx, m.ID)
	if err != nil {
		m.Problem = fmt.Sprintf("does not answer at %s: %v", m.Address, err)
		return m, nil
	}
	m.Reachable, m.Role, m.AppliedIndex = true, st.State, st.AppliedIndex
	m.Version, m.LevelMin, m.LevelMax = st.Version, st.LevelMin, st.LevelMax
	if st.LastContactMS >= 0 && st.State != "leader" {
		m.LastContactMS = &st.LastContactMS
	}
	if st.State == "leader" {
		m.LogTimeOffsetMS = &st.LogTimeOffsetMS
	}
	offset := time.Duration(st.ClockOffsetMS) * time.Millisecond
	switch {
	case st.Quarantined != "":
		m.Problem = quarantinedProblem + st.Quarantined
	case offset > maxSkew || offset < -maxSkew:
		m.Problem = fmt.Sprintf("its clock is %s off the median of the voters' clocks: repair its time synchronisation", offset)
	case st.Host != nil && st.Host.CertificateProblem != "":
		m.Problem = st.Host.CertificateProblem
	}
	return m, st.Host
}

// status tells what this member knows of the cluster and what to do about it.
// It works without a quorum.
func (p *reporter) status(ctx context.Context) protocol.ClusterStatusReply {
	root, st := p.Root(), p.local()
	digest := root.Digest()
	members, hosts := p.survey(ctx)
	r := protocol.ClusterStatusReply{
		AppliedIndex: root.Index(), Certificates: listCerts(members, hosts), ClusterID: p.clusterID, CommitIndex: st.CommitIndex, // of the same moment as the digest
		Digest: fmt.Sprintf("%x", digest[:]), FeatureLevel: root.Level(), LastLogIndex: st.LastLogIndex, LeaderID: st.LeaderID,
		LogTimeOffsetMS: logTimeOffset(members),
		LogTime:         time.UnixMilli(root.Now()).UTC().Format(time.RFC3339),
		MemberID:        p.id, Members: members, Nodes: root.NodeCount(), State: st.State, Term: st.Term, Version: p.cfg.Version,
		Type: "cluster_status_ok",
	}
	r.Problems, r.NextSteps = p.problems(st, members, r.Certificates)
	if len(r.NextSteps) > 0 {
		r.Next = r.NextSteps[0]
	}
	r.Ready = allOK(p.checks())
	return r
}

// quarantinedProblem begins the problem of a quarantined member.
const quarantinedProblem = "quarantined: "

// repairStep is what to do about a quarantined member.
func repairStep(id string) string {
	return fmt.Sprintf("run `pilot-registry cluster repair %s` on the machine of a member that serves; it keeps the old log aside", id)
}

// problems names what is wrong, the worst first, and the next thing to do about each.
func (p *reporter) problems(st memberStatus, members []protocol.ClusterMember, certs []protocol.ClusterCertificate) (out, next []string) {
	add := func(do, format string, args ...any) {
		out, next = append(out, fmt.Sprintf(format, args...)), append(next, do)
	}
	if st.Quarantined != "" {
		add(repairStep(p.id), "this member is quarantined: %s", st.Quarantined)
	}
	if d, yes := p.health.writesStopped(); yes {
		add("stop the cluster and restore a backup with `pilot-registry restore`", "writes have stopped: %s", d)
	}
	if _, refused := p.hello.announced(); refused != "" {
		add("if this member was removed, join again with an empty data directory", "the other members do not accept this one: %s", refused)
	}
	voters, up := 0, 0
	for _, m := range members {
		if m.Suffrage == "voter" {
			voters++
			if m.Reachable {
				up++
			}
		}
	}
	switch {
	case voters > 0 && up <= voters/2:
		add("start the members that are down; reads go on with --consistency stale; if they are lost for good, keep every data directory and see: pilot-registry recover --help",
			"no quorum: %d of %d voters answer, %d are needed", up, voters, voters/2+1)
	case st.LeaderID == "":
		add("wait for the election, then look at the members' logs", "no leader is known")
	case voters > 1 && up == voters/2+1 && up < voters:
		add("start the members that are down", "no further voter may fail: %d of %d answer", up, voters)
	}
	if vote, _ := p.confirm.withheld(); vote && st.Quarantined == "" {
		add("start the members that are down", "this member withholds its vote until a majority of the members has confirmed that its log is not an old copy")
	}
	if off := logTimeOffset(members); off != nil {
		if problem := logTimeProblem(time.Duration(*off) * time.Millisecond); problem != "" {
			add("wait, and see \"When log time is wrong\" in the operations guide", "%s", problem)
		}
	}
	for _, m := range members {
		switch {
		case strings.HasPrefix(m.Problem, quarantinedProblem):
			add(repairStep(m.ID), "member %s: %s", m.ID, m.Problem)
		case m.Problem != "":
			add("look at member "+m.ID, "member %s: %s", m.ID, m.Problem)
		}
	}
	certProblems(certs, p.certs.now(), add)
	return out, next
}
