// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync/atomic"
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

// digests compares this member's state with the other members' states, and
// takes it out of service when the majority has another one.
type digests struct {
	*self
	raft interface {
		State() raft.RaftState
		LeadershipTransfer() raft.Future
	}
	// trans carries raft's messages.
	trans io.Closer
	logs  interface {
		FirstIndex() (uint64, error)
		GetLog(index uint64, out *raft.Log) error
	}
	peers  caller
	roster interface{ voters() []raft.Server }
	health interface {
		quarantineSelf(reason string) bool
		stopWrites(reason string)
	}
	// compared is the newest checkpoint at which a majority had this member's state.
	compared atomic.Uint64
}

// checkpointDue makes the duty that asks for a checkpoint after a number
// of entries or some time, if anything happened at all.
func (d *digests) checkpointDue() func(context.Context, DutyEnv) {
	lastIndex, lastTime := d.applied.index.Load(), time.Now()
	return func(ctx context.Context, env DutyEnv) {
		index := d.applied.index.Load()
		c := d.cfg.Duties
		if index == lastIndex || (index-lastIndex < c.CheckpointEntries && time.Since(lastTime) < c.CheckpointEvery) {
			return
		}
		if proposeDuty(ctx, env, fsm.KindCheckpoint, nil) {
			lastIndex, lastTime = d.applied.index.Load(), time.Now()
		}
	}
}

// checkpoints are this member's remembered digests.
func (d *digests) checkpoints() []fsm.Checkpoint {
	cps := d.machine.Checkpoints()
	if d.cfg.hooks.digest == nil {
		return cps
	}
	out := make([]fsm.Checkpoint, len(cps))
	for i, cp := range cps {
		out[i] = d.cfg.hooks.digest(cp)
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

// compare looks for a new checkpoint and compares it with the other
// members', until a majority of the voters has answered with their digests.
func (d *digests) compare(ctx context.Context) {
	t := time.NewTicker(d.cfg.Duties.ComparePoll)
	defer t.Stop()
	var settled uint64
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		cp, ok := newestOf(d.checkpoints())
		if !ok || cp.Index <= settled {
			continue
		}
		if d.judge(ctx, cp, settled) {
			settled = cp.Index
		}
	}
}

// judge reports whether the question is settled for this checkpoint. The
// checkpoint at index before was settled earlier, 0 for none.
func (d *digests) judge(ctx context.Context, mine fsm.Checkpoint, before uint64) bool {
	voters := d.roster.voters()
	need := len(voters)/2 + 1
	type vote struct {
		member, value string
		known         bool
	}
	votes := make(chan vote, len(voters))
	own := digestValue(mine.Level, fmt.Sprintf("%x", mine.Digest))
	for _, v := range voters {
		if string(v.ID) == d.id {
			votes <- vote{d.id, own, true}
			continue
		}
		go func() {
			r, err := d.askDigest(ctx, string(v.ID), mine.Index)
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
		d.health.stopWrites("")
		if value == own {
			d.compared.Store(mine.Index)
		} else {
			where := d.whereLogsDiffer(ctx, by[value], before+1, mine.Index)
			d.standAside(fmt.Sprintf("its state at index %d differs from what %d of %d voters have (%s); `pilot-registry cluster repair %s` on another member's machine gives it the others' state", mine.Index, c, len(voters), where, d.id))
		}
		return true
	}
	if answered == len(voters) && len(voters) > 0 {
		reason := fmt.Sprintf("the voters' states at index %d differ and no value has a majority; stop the cluster, then restore a backup with `pilot-registry restore`, or go on with the member you trust: `pilot-registry recover`", mine.Index)
		for value, member := range by {
			if value != own {
				d.log.Error("the cluster has diverged", "index", mine.Index, "logs", d.whereLogsDiffer(ctx, member, before+1, mine.Index))
			}
		}
		d.health.stopWrites(reason)
		return true
	}
	return false
}

func digestValue(level uint32, digest string) string { return fmt.Sprintf("%d/%s", level, digest) }

func (d *digests) askDigest(ctx context.Context, id string, index uint64) (digestReply, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var r digestReply
	err := callJSON(ctx, d.peers, id, rpcDigest, digestAsk{Index: index}, &r)
	return r, err
}

func (d *digests) handleDigest(payload []byte) ([]byte, *protocol.Error) {
	var ask digestAsk
	if err := json.Unmarshal(payload, &ask); err != nil {
		return nil, protocol.Errorf(protocol.CodeInternal, "malformed digest request")
	}
	var r digestReply
	for _, cp := range d.checkpoints() {
		if cp.Index == ask.Index {
			r = digestReply{Known: true, Level: cp.Level, Digest: fmt.Sprintf("%x", cp.Digest)}
		}
	}
	return encodeJSON(r)
}

// standAside quarantines this member. Without its raft streams it neither
// votes nor leads, for the rest of the process's life.
func (d *digests) standAside(reason string) {
	if !d.health.quarantineSelf(reason) {
		return
	}
	if d.raft.State() == raft.Leader {
		if err := d.raft.LeadershipTransfer().Error(); err != nil {
			d.log.Warn("leadership was not handed over before the quarantine", "error", err)
		}
	}
	_ = d.trans.Close()
}
