// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// confirmTimeout bounds one round; a round that fails is tried again.
const confirmTimeout = time.Second

// errDeposed: some voter knows a newer term.
var errDeposed = errors.New("a newer term has begun")

type confirmReply struct {
	nonce, term uint64
	wall        time.Time
	err         error
}

// provesTerm asks the voters of the latest configuration whether they know of a
// term after the given one. It succeeds when a majority, this member included,
// answered this very round and knew none. A leader of a newer term needs a
// majority whose terms are newer, which would share a voter with this
// majority; so no newer leader was elected before the round began, and none of
// its writes can have been acknowledged.
//
// Raft changes its configuration one server at a time, so a majority of the
// latest configuration meets every majority of the one before.
func (r *reads) provesTerm(ctx context.Context, term uint64) error {
	_, err := r.askVoters(ctx, term, 0)
	return err
}

// askVoters is provesTerm, but also returns the voters' wall clocks: after the
// majority it waits up to linger for the others.
func (r *reads) askVoters(ctx context.Context, term uint64, linger time.Duration) ([]time.Time, error) {
	r.begun.Inc()
	fault.Hit(fault.ConfirmAsked)
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	voters := r.roster.voters()
	c := collector{nonce: rand.Uint64(), term: term, need: len(voters)/2 + 1, failed: errors.New("no voter answered")}
	answers := make(chan confirmReply, len(voters))
	asked := 0
	for _, v := range voters {
		if string(v.ID) == r.id {
			c.add(confirmReply{nonce: c.nonce, term: r.raft.CurrentTerm(), wall: r.clock.wall()})
			continue
		}
		asked++
		go func() { answers <- r.askTerm(ctx, string(v.ID), c.nonce, term) }()
	}
	c.collect(answers, asked, linger)
	switch {
	case c.deposed || r.raft.State() != raft.Leader || r.raft.CurrentTerm() != term:
		return nil, errDeposed
	case len(c.clocks) < c.need:
		return nil, c.failed
	}
	return c.clocks, nil
}

// collector counts the answers of one round.
type collector struct {
	nonce, term uint64
	need        int
	clocks      []time.Time
	deposed     bool
	failed      error
}

func (c *collector) add(a confirmReply) {
	switch {
	case a.err != nil:
		c.failed = a.err
	case a.nonce != c.nonce:
		c.failed = errors.New("an answer to another round arrived")
	case a.term > c.term:
		c.deposed = true
	default:
		c.clocks = append(c.clocks, a.wall)
	}
}

// collect waits for a majority, then up to linger for the rest.
func (c *collector) collect(answers <-chan confirmReply, asked int, linger time.Duration) {
	var late <-chan time.Time
	for asked > 0 && !c.deposed {
		if len(c.clocks) >= c.need && late == nil {
			if linger == 0 {
				return
			}
			late = time.After(linger)
		}
		select {
		case a := <-answers:
			asked--
			c.add(a)
		case <-late:
			return
		}
	}
}

func (r *reads) askTerm(ctx context.Context, id string, nonce, term uint64) confirmReply {
	req := binary.BigEndian.AppendUint64(nil, nonce)
	req = binary.BigEndian.AppendUint64(req, term)
	req = binary.BigEndian.AppendUint64(req, r.clock.referenceMS())
	raw, err := r.peers.Call(ctx, id, rpcConfirm, req)
	if err != nil {
		return confirmReply{err: err}
	}
	if len(raw) != 24 {
		return confirmReply{err: errors.New("malformed answer to a confirm round")}
	}
	return confirmReply{
		nonce: binary.BigEndian.Uint64(raw),
		term:  binary.BigEndian.Uint64(raw[8:]),
		wall:  time.UnixMilli(int64(binary.BigEndian.Uint64(raw[16:]))),
	}
}

// handleConfirm answers with the current term. Raft makes a term durable and
// visible before it grants a vote in it.
func (r *reads) handleConfirm(payload []byte) ([]byte, *protocol.Error) {
	if len(payload) != 24 {
		return nil, protocol.Errorf(protocol.CodeInternal, "malformed confirm request")
	}
	if reason, yes := r.health.Quarantined(); yes {
		return nil, protocol.NotAppliedf(protocol.CodeQuarantined, "member %s is quarantined: %s", r.id, reason)
	}
	term := r.raft.CurrentTerm()
	r.answered.Add(1)
	fault.Hit(fault.ConfirmAnswered)
	if ms := binary.BigEndian.Uint64(payload[16:]); ms != 0 && binary.BigEndian.Uint64(payload[8:]) == term {
		r.clock.compare(time.UnixMilli(int64(ms)))
	}
	out := binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(payload))
	out = binary.BigEndian.AppendUint64(out, term)
	return binary.BigEndian.AppendUint64(out, uint64(r.clock.wall().UnixMilli())), nil
}
