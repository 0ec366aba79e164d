// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// digestAsk asks for the digest a member had at a checkpoint.
type digestAsk struct {
	Index uint64 `json:"index"`
}

// digestReply answers; Known is false while the checkpoint is not applied
// there, or is forgotten.
type digestReply struct {
	Known  bool   `json:"known"`
	Level  uint32 `json:"level"`
	Digest string `json:"digest"`
}

// checkpointDue makes the duty that asks for a checkpoint after so many
// entries or so much time, when anything happened at all.
func (n *Member) checkpointDue() func(context.Context, DutyEnv) {
	lastIndex, lastTime := n.applied.index.Load(), time.Now()
	return func(ctx context.Context, d DutyEnv) {
		index := n.applied.index.Load()
		c := n.cfg.Duties
		if index == lastIndex || (index-lastIndex < c.CheckpointEntries && time.Since(lastTime) < c.CheckpointEvery) {
			return
		}
		if proposeDuty(ctx, d, fsm.KindCheckpoint, nil) {
			lastIndex, lastTime = n.applied.index.Load(), time.Now()
		}
	}
}

// checkpoints are this member's remembered digests.
func (n *Member) checkpoints() []fsm.Checkpoint {
	cps := n.machine.Checkpoints()
	if n.cfg.hooks.digest == nil {
		return cps
	}
	out := make([]fsm.Checkpoint, len(cps))
	for i, cp := range cps {
		out[i] = n.cfg.hooks.digest(cp)
	}
	return out
}

func newestOf(cps []fsm.Checkpoint) (newest fsm.Checkpoint, ok bool) {
	for _, cp := range cps {
		if cp.Index >= newest.Index {
			newest, ok = cp, true
		}
	}
	return newest, ok
}

// compareDigests looks for a new checkpoint and compares it with the other
// members', until a majority of the voters has answered with their digests.
func (n *Member) compareDigests(ctx context.Context) {
	t := time.NewTicker(n.cfg.Duties.ComparePoll)
	defer t.Stop()
	var settled uint64
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		cp, ok := newestOf(n.checkpoints())
		if !ok || cp.Index <= settled {
			continue
		}
		if n.judge(ctx, cp, settled) {
			settled = cp.Index
		}
	}
}

// judge reports whether the question is settled for this checkpoint. The
// checkpoint at index before was settled earlier, 0 for none.
func (n *Member) judge(ctx context.Context, mine fsm.Checkpoint, before uint64) bool {
	voters := n.voters()
	need := len(voters)/2 + 1
	type vote struct {
		member, value string
		known         bool
	}
	votes := make(chan vote, len(voters))
	own := digestValue(mine.Level, fmt.Sprintf("%x", mine.Digest))
	for _, v := range voters {
		if string(v.ID) == n.id {
			votes <- vote{n.id, own, true}
			continue
		}
		go func() {
			r, err := n.askDigest(ctx, string(v.ID), mine.Index)
			votes <- vote{string(v.ID), digestValue(r.Level, r.Digest), err == nil && r.Known}
		}()
	}
	count, by, answered := map[string]int{}, map[string]string{}, 0
	for range voters {
		if v := <-votes; v.known {
			count[v.value]++
			by[v.value] = v.member
			answered++
		}
	}
	for value, c := range count {
		if c < need {
			continue
		}
		n.diverged.Store(nil)
		if value != own {
			where := n.whereLogsDiffer(ctx, by[value], before+1, mine.Index)
			n.quarantineSelf(fmt.Sprintf("its state at index %d differs from what %d of %d voters have (%s); join again with an empty data directory", mine.Index, c, len(voters), where))
		}
		return true
	}
	if answered == len(voters) && len(voters) > 0 {
		reason := fmt.Sprintf("the voters' states at index %d differ and no value has a majority; stop the cluster and restore a backup, or recover from the member you trust", mine.Index)
		for value, member := range by {
			if value != own {
				n.log.Error("the cluster has diverged", "index", mine.Index, "logs", n.whereLogsDiffer(ctx, member, before+1, mine.Index))
			}
		}
		n.diverged.Store(&reason)
		return true
	}
	return false
}

func digestValue(level uint32, digest string) string { return fmt.Sprintf("%d/%s", level, digest) }

func (n *Member) askDigest(ctx context.Context, id string, index uint64) (digestReply, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var r digestReply
	err := n.callJSON(ctx, id, rpcDigest, digestAsk{Index: index}, &r)
	return r, err
}

func (n *Member) handleDigest(payload []byte) ([]byte, *protocol.Error) {
	var ask digestAsk
	if err := json.Unmarshal(payload, &ask); err != nil {
		return nil, protocol.Errorf(protocol.CodeInternal, "malformed digest request")
	}
	var r digestReply
	for _, cp := range n.checkpoints() {
		if cp.Index == ask.Index {
			r = digestReply{Known: true, Level: cp.Level, Digest: fmt.Sprintf("%x", cp.Digest)}
		}
	}
	return encodeJSON(r)
}

// quarantineSelf takes this member out of service: it answers no read or
// write, and without its raft streams it neither votes nor leads. Status and
// health stay, so that the operator learns why.
func (n *Member) quarantineSelf(reason string) {
	if !n.quarantine.CompareAndSwap(nil, &reason) {
		return
	}
	n.log.Error("this member is quarantined", "reason", reason)
	n.metrics.quarantined.Set(1)
	n.changed.signal()
	if n.raft.State() == raft.Leader {
		if err := n.raft.LeadershipTransfer().Error(); err != nil {
			n.log.Warn("leadership was not handed over before the quarantine", "error", err)
		}
	}
	n.closeRaft()
}

// Quarantined says whether and why this member has stopped serving.
func (n *Member) Quarantined() (reason string, yes bool) {
	if r := n.quarantine.Load(); r != nil {
		return *r, true
	}
	return "", false
}

// closeRaft cuts this member off from raft for the rest of the process's life.
func (n *Member) closeRaft() { _ = n.trans.Close() }
