// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func TestOutcomeOfRaftErrors(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]protocol.Outcome{
		raft.ErrNotLeader:                    protocol.OutcomeNotApplied,
		raft.ErrEnqueueTimeout:               protocol.OutcomeNotApplied,
		raft.ErrLeadershipTransferInProgress: protocol.OutcomeNotApplied,
		raft.ErrLeadershipLost:               protocol.OutcomeUnknown,
		raft.ErrRaftShutdown:                 protocol.OutcomeUnknown,
		raft.ErrAbortedByRestore:             protocol.OutcomeUnknown,
		errors.New("input/output error"):     protocol.OutcomeUnknown,
	} {
		if got := outcomeOf(err); got.Outcome != want {
			t.Errorf("%v: outcome %s, want %s", err, got.Outcome, want)
		}
	}
}

func TestResultsSurviveTheHop(t *testing.T) {
	t.Parallel()
	refusal := protocol.Refusef(protocol.CodeConflict, "taken")
	later := protocol.NotAppliedf(protocol.CodeOverloaded, "later")
	for _, want := range []fsm.Result{
		{Index: 7, Reply: protocol.Rendered(`{"a":1}`)},
		{Index: 8, Reply: protocol.Rendered(`{}`), Replayed: true},
		{Index: 9, Err: refusal},
		{Index: 10, Err: later, Replayed: true},
	} {
		got, err := decodeResult(encodeResult(want))
		if err != nil || got.Index != want.Index || string(got.JSON()) != string(want.JSON()) || got.Replayed != want.Replayed {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		if (got.Err == nil) != (want.Err == nil) || (got.Err != nil && *got.Err != *want.Err) {
			t.Errorf("error %+v, want %+v", got.Err, want.Err)
		}
	}
	if _, err := decodeResult([]byte{1, 2}); err == nil {
		t.Error("a short answer was accepted")
	}
}
