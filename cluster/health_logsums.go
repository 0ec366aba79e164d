// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/store"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// maxLogSums bounds one answer.
const maxLogSums = 1024

// logSumsAsk asks what a member's log holds in a range, both ends included.
type logSumsAsk struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// logSum tells entries apart without their content.
type logSum struct {
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`
	Maker string `json:"maker,omitempty"`
	// Sum is the checksum over index, term, type, data and maker.
	Sum string `json:"sum"`
}

// logSums are the entries of a range that this member still has, the first
// maxLogSums of them.
func (d *digests) logSums(from, to uint64) []logSum {
	if first, err := d.logs.FirstIndex(); err == nil && from < first {
		from = first
	}
	var out []logSum
	for i := max(from, 1); i <= to && len(out) < maxLogSums; i++ {
		var l raft.Log
		if d.logs.GetLog(i, &l) != nil {
			break
		}
		out = append(out, logSum{Index: l.Index, Term: l.Term, Maker: store.Maker(&l), Sum: fmt.Sprintf("%x", l.Extensions)})
	}
	return out
}

func (d *digests) handleLogSums(payload []byte) ([]byte, *protocol.Error) {
	var ask logSumsAsk
	if err := json.Unmarshal(payload, &ask); err != nil {
		return nil, protocol.Errorf(protocol.CodeInternal, "malformed request for log checksums")
	}
	return encodeJSON(d.logSums(ask.From, ask.To))
}

// whereLogsDiffer compares this member's log with another member's and says in
// words at which index they begin to differ, for the operator who has to find out why
// two states do.
func (d *digests) whereLogsDiffer(ctx context.Context, other string, from, to uint64) string {
	compared := from - 1
	for compared < to {
		ask := logSumsAsk{From: compared + 1, To: to}
		var theirs []logSum
		if err := callJSON(ctx, d.peers, other, rpcLogSums, ask, &theirs); err != nil {
			return fmt.Sprintf("the logs could not be compared: %v", err)
		}
		d, last := firstDifference(d.logSums(ask.From, to), theirs)
		if d != "" {
			return d + " on member " + other
		}
		if last <= compared {
			break
		}
		compared = last
	}
	if compared < from {
		return fmt.Sprintf("the logs no longer hold the entries from index %d to %d", from, to)
	}
	return fmt.Sprintf("the logs are the same from index %d to %d, so the same entries had different results", from, compared)
}

// firstDifference finds the first index at which two logs hold different
// entries, and the last index that both hold.
func firstDifference(mine, theirs []logSum) (difference string, last uint64) {
	other := map[uint64]logSum{}
	for _, s := range theirs {
		other[s.Index] = s
	}
	for _, s := range mine {
		o, ok := other[s.Index]
		if !ok {
			continue
		}
		if o != s {
			return fmt.Sprintf("the logs differ from index %d on: term %d made by %q here, term %d made by %q", s.Index, s.Term, s.Maker, o.Term, o.Maker), s.Index
		}
		last = s.Index
	}
	return "", last
}
