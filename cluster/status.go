// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
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
}

func (n *Member) localStatus() memberStatus {
	reason, _ := n.Quarantined()
	s := memberStatus{ID: n.id, State: stateName(n.raft.State()), LeaderID: n.leaderID(), Term: n.raft.CurrentTerm(),
		AppliedIndex: n.applied.index.Load(), CommitIndex: n.raft.CommitIndex(), LastLogIndex: n.raft.LastIndex(),
		LevelMin: n.cfg.LevelMin, LevelMax: n.cfg.LevelMax, Version: n.cfg.Version,
		Quarantined: reason, WantsVote: !n.member.NonVoter, ClockOffsetMS: n.clock.offset().Milliseconds(), LogTimeOffsetMS: n.logTimeOffset().Milliseconds()}
	if n.raft.State() != raft.Leader {
		s.LastContactMS = -1
		if at := n.raft.LastContact(); !at.IsZero() {
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

func (n *Member) askStatus(ctx context.Context, id string) (memberStatus, error) {
	if id == n.id {
		return n.localStatus(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var s memberStatus
	err := n.callJSON(ctx, id, rpcStatus, struct{}{}, &s)
	return s, err
}

// Members lists the configured members, asking each for at most half a second.
// It works without a quorum.
func (n *Member) Members(ctx context.Context) []protocol.ClusterMember {
	servers := n.servers()
	out := make([]protocol.ClusterMember, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			out[i] = n.describe(ctx, s)
		}()
	}
	wg.Wait()
	return out
}

func (n *Member) describe(ctx context.Context, s raft.Server) protocol.ClusterMember {
	m := protocol.ClusterMember{ID: string(s.ID), Address: string(s.Address), Role: "unknown", Suffrage: "nonvoter"}
	if s.Suffrage == raft.Voter {
		m.Suffrage = "voter"
	}
	if rec, ok := n.record(m.ID); ok {
		m.Wire, m.Version, m.LevelMin, m.LevelMax = rec.Wire, rec.Version, rec.LevelMin, rec.LevelMax
	}
	st, err := n.askStatus(ctx, m.ID)
	if err != nil {
		m.Problem = fmt.Sprintf("does not answer at %s: %v", m.Address, err)
		return m
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
		m.Problem = "quarantined: " + st.Quarantined
	case offset > maxSkew || offset < -maxSkew:
		m.Problem = fmt.Sprintf("its clock is %s off the median of the voters' clocks: repair its time synchronisation", offset)
	}
	return m
}

// Status tells what this member knows of the cluster and what to do about it.
// It works without a quorum.
func (n *Member) Status(ctx context.Context) protocol.ClusterStatusReply {
	root, st := n.Root(), n.localStatus()
	digest := root.Digest()
	members := n.Members(ctx)
	r := protocol.ClusterStatusReply{
		AppliedIndex: root.Index(), ClusterID: n.clusterID, CommitIndex: st.CommitIndex, // of the same moment as the digest
		Digest: fmt.Sprintf("%x", digest[:]), FeatureLevel: root.Level(), LastLogIndex: st.LastLogIndex, LeaderID: st.LeaderID,
		LogTimeOffsetMS: logTimeOffset(members),
		LogTime:         time.UnixMilli(root.Now()).UTC().Format(time.RFC3339),
		MemberID:        n.id, Members: members, Nodes: root.NodeCount(), State: st.State, Term: st.Term, Version: n.cfg.Version,
		Type: "cluster_status_ok",
	}
	r.Problems, r.NextSteps = n.problems(st, members)
	if len(r.NextSteps) > 0 {
		r.Next = r.NextSteps[0]
	}
	r.Ready = ready(n.Checks())
	return r
}

// problems names what is wrong, the worst first, and the next thing to do about each.
func (n *Member) problems(st memberStatus, members []protocol.ClusterMember) (out, next []string) {
	add := func(do, format string, args ...any) {
		out, next = append(out, fmt.Sprintf(format, args...)), append(next, do)
	}
	if st.Quarantined != "" {
		add("stop this member and join again with an empty data directory", "this member is quarantined: %s", st.Quarantined)
	}
	if d := n.diverged.Load(); d != nil {
		add("stop the cluster and restore a backup", "writes have stopped: %s", *d)
	}
	if refused := n.hello.refused.Load(); refused != nil {
		add("if this member was removed, join again with an empty data directory", "the other members do not accept this one: %s", *refused)
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
		add("start the members that are down; reads go on with --consistency stale; if they are lost for good, keep every data directory: there is no command yet that makes a quorum without them",
			"no quorum: %d of %d voters answer, %d are needed", up, voters, voters/2+1)
	case st.LeaderID == "":
		add("wait for the election, then look at the members' logs", "no leader is known")
	case voters > 1 && up == voters/2+1 && up < voters:
		add("start the members that are down", "no further voter may fail: %d of %d answer", up, voters)
	}
	if off := logTimeOffset(members); off != nil {
		if problem := logTimeProblem(time.Duration(*off) * time.Millisecond); problem != "" {
			add("wait, and see \"When log time is wrong\" in the operations guide", "%s", problem)
		}
	}
	for _, m := range members {
		if m.Problem != "" {
			add("look at member "+m.ID, "member %s: %s", m.ID, m.Problem)
		}
	}
	return out, next
}

// Check is one named condition of readiness.
type Check struct {
	Name string
	OK   bool
	// Detail says what is missing.
	Detail string
}

// Checks are the conditions under which this member should get traffic.
func (n *Member) Checks() []Check {
	check := func(name string, ok bool, detail string, args ...any) Check {
		if ok {
			return Check{Name: name, OK: true}
		}
		return Check{Name: name, Detail: fmt.Sprintf(detail, args...)}
	}
	reason, quarantined := n.Quarantined()
	key := n.Root().ActiveKey()
	holds := key == 0
	for _, v := range n.ring.Versions() {
		holds = holds || v == key
	}
	return []Check{
		check("serving", !n.draining.Load(), "this member is shutting down"),
		check("healthy", !quarantined, "quarantined: %s", reason),
		check("member", n.configured(), "this member is not in the cluster's configuration yet"),
		check("leader", n.leaderID() != "", "no leader is known"),
		check("announced", n.hello.done.Load(), "the cluster has not recorded this member's addresses yet"),
		check("caught_up", n.caughtUp.Load(), "still replaying the log from before the restart (applied index %d)", n.applied.index.Load()),
		check("keyring", holds, "the active key version %d is missing from the keyring", key),
	}
}

func ready(checks []Check) bool {
	for _, c := range checks {
		if !c.OK {
			return false
		}
	}
	return true
}

// Ready waits until every check passes. The error names those that do not.
func (n *Member) Ready(ctx context.Context) error {
	for {
		changed := n.changed.next()
		checks := n.Checks()
		if ready(checks) {
			return nil
		}
		if rest(ctx, changed, 20*time.Millisecond) {
			continue
		}
		var missing error
		for _, c := range checks {
			if !c.OK {
				missing = errors.Join(missing, fmt.Errorf("%s: %s", c.Name, c.Detail))
			}
		}
		return fmt.Errorf("not ready: %w", missing)
	}
}

// catchUp proves once per start that this member has applied everything that
// was acknowledged before it started.
func (n *Member) catchUp(ctx context.Context) {
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		index, err := n.ReadIndex(attempt)
		cancel()
		if err != nil {
			continue
		}
		if n.WaitApplied(ctx, index) == nil {
			n.caughtUp.Store(true)
			n.changed.signal()
			return
		}
	}
}

// peersUp splits the other members by whether a connection to them is up.
func (n *Member) peersUp() (up, down []string) {
	for _, s := range n.servers() {
		id := string(s.ID)
		switch {
		case id == n.id:
		case n.client.Connected(id):
			up = append(up, id)
		default:
			down = append(down, id)
		}
	}
	return up, down
}
