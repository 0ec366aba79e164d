// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/cluster/base/spans"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Flags of an answer to a forwarded command.
const (
	flagReplayed = 1 << iota
	flagRejected
)

// forward sends a command to the leader, one hop. The payload is an entry with
// this one command; the leader puts it into an entry with others.
func (w *writes) forward(ctx context.Context, leader string, env fsm.Envelope) (fsm.Result, *protocol.Error) {
	w.metrics.forwards.Inc()
	payload := fsm.AppendEntry(nil, &fsm.Entry{Envelopes: []fsm.Envelope{env}})
	fault.Hit(fault.ForwardBefore)
	ctx, stage := spans.Begin(ctx, "forward")
	raw, err := w.peers.Call(ctx, leader, rpcPropose, payload)
	fault.Hit(fault.ForwardAfter)
	if err != nil {
		e := transportOutcome(err)
		stage.To(leader).End(e)
		return fsm.Result{}, e
	}
	stage.To(leader).End(nil)
	res, err := decodeResult(raw)
	if err != nil {
		return fsm.Result{}, protocol.Unknownf(protocol.CodeOutcomeUnknown, "member %s: %v", leader, err)
	}
	return res, nil
}

// handlePropose is the leader's side. It never forwards again.
func (w *writes) handlePropose(ctx context.Context, payload []byte) ([]byte, *protocol.Error) {
	entry, err := fsm.ParseEntry(payload)
	if err != nil || len(entry.Envelopes) != 1 {
		return nil, protocol.NotAppliedf(protocol.CodeInternal, "a forwarded command cannot be read: %v", err)
	}
	w.inflight.Add(1)
	defer w.inflight.Add(-1)
	if w.draining.Load() {
		return nil, protocol.NotAppliedf(codeNotLeader, "member %s is shutting down", w.id)
	}
	res, e := w.batch.submit(ctx, entry.Envelopes[0], 0)
	fault.Hit(fault.ForwardServed)
	if e != nil {
		return nil, e
	}
	return encodeResult(res), nil
}

// transportOutcome turns a failed call into what is known about its request.
func transportOutcome(err error) *protocol.Error {
	var decided *protocol.Error
	if errors.As(err, &decided) {
		return decided
	}
	var t *peer.TransportError
	if errors.As(err, &t) && t.Sent {
		return protocol.Unknownf(protocol.CodeOutcomeUnknown, "%v", err)
	}
	return protocol.NotAppliedf(protocol.CodeNoLeader, "%v", err)
}

func encodeResult(r fsm.Result) []byte {
	var flags byte
	body := []byte(r.JSON())
	if r.Replayed {
		flags |= flagReplayed
	}
	if r.Err != nil {
		flags |= flagRejected
		body = peer.EncodeError(r.Err)
	}
	out := make([]byte, 0, 9+len(body))
	out = binary.BigEndian.AppendUint64(out, r.Index)
	out = append(out, flags)
	return append(out, body...)
}

func decodeResult(raw []byte) (fsm.Result, error) {
	if len(raw) < 9 {
		return fsm.Result{}, errors.New("the answer is too short")
	}
	r := fsm.Result{Index: binary.BigEndian.Uint64(raw), Replayed: raw[8]&flagReplayed != 0}
	if raw[8]&flagRejected != 0 {
		r.Err = peer.DecodeError(raw[9:])
	} else {
		r.Reply = protocol.Rendered(raw[9:])
	}
	return r, nil
}
