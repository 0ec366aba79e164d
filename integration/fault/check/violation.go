// SPDX-License-Identifier: Apache-2.0

package check

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
)

// Names of checkers, in Violation.Checker.
const (
	CheckerReplay    = "replay"
	CheckerPorcupine = "porcupine"
	// CheckerInvariant compares replies with each other, without log and model.
	CheckerInvariant = "invariant"
)

// Rule is what was broken.
type Rule string

// Rules of the replay checker.
const (
	// RuleLostWrite: acknowledged and not in the log.
	RuleLostWrite Rule = "lost_write"
	// RuleDoubledWrite: one request took effect twice.
	RuleDoubledWrite Rule = "doubled_write"
	// RulePhantomWrite: an effect that nobody asked for.
	RulePhantomWrite Rule = "phantom_write"
	// RuleAbortedWrite: reported as failed and took effect.
	RuleAbortedWrite Rule = "aborted_write"
	// RuleWrongIndex: acknowledged with an index, and its effect is at another.
	RuleWrongIndex Rule = "wrong_index"
	// RuleWrongReply: the reply to a write is not what the state machine decided.
	RuleWrongReply Rule = "wrong_reply"
	// RuleWrongRead: a read does not show the state of the index it names.
	RuleWrongRead Rule = "wrong_read"
	// RuleStaleRead: a linearizable read misses what was known before it began.
	RuleStaleRead Rule = "stale_read"
	// RuleRealTime: a write is ordered before what was known before it began.
	RuleRealTime Rule = "real_time"
	// RuleNoIndex: a reply that has to name its index does not.
	RuleNoIndex Rule = "no_index"
	// RuleSession: a connection's reads go back in time.
	RuleSession Rule = "session"
	// RuleMinIndex: a read is older than the index it asked for.
	RuleMinIndex Rule = "min_index"
	// RuleBounded: a bounded read is older than it may be.
	RuleBounded Rule = "bounded_staleness"
	// RuleRefusal: a refusal that was true at no moment of the request.
	RuleRefusal Rule = "refusal_never_true"
	// RuleLog: the members' logs disagree.
	RuleLog Rule = "log_disagreement"
	// RuleDigest: a member's digest, or a snapshot's, is not the log's.
	RuleDigest Rule = "digest_mismatch"
	// RuleHalted: the committed log cannot be applied.
	RuleHalted Rule = "halted"
	// RuleNames: hostname to node and node to hostname are not inverse.
	RuleNames Rule = "names_not_inverse"
	// RuleOwners: an enterprise network has two owners, or none any more.
	RuleOwners Rule = "owners"
	// RuleIDGap: node ids are not dense.
	RuleIDGap Rule = "id_gap"
	// RuleCoverage: too little of the history could be looked at.
	RuleCoverage Rule = "coverage"
)

// Rules of the other checkers.
const (
	// RuleNotLinearizable: no order explains the replies.
	RuleNotLinearizable Rule = "not_linearizable"
	// RuleTimeout: no answer in time.
	RuleTimeout Rule = "checker_timeout"
	// RuleTooMany: more operations on a key than can be searched.
	RuleTooMany Rule = "too_many_operations"
	// RuleUnchecked: operations that no model looks at.
	RuleUnchecked Rule = "unchecked"
	// RuleIDReused: one node id for two keys.
	RuleIDReused Rule = "id_reused"
	// RuleTwoIDs: two node ids for one key.
	RuleTwoIDs Rule = "key_with_two_ids"
	// RuleIDOrder: a later id is smaller than an earlier one.
	RuleIDOrder Rule = "id_order"
	// RuleRemoved: a member that was removed serves.
	RuleRemoved Rule = "removed_member_served"
	// RuleTrailGap: a sequence number of the audit log is not there.
	RuleTrailGap Rule = "audit_gap"
	// RuleTrailChain: the audit log's hash chain is broken.
	RuleTrailChain Rule = "audit_chain"
	// RuleTrailDiffers: two members have another audit log.
	RuleTrailDiffers Rule = "audit_differs"
	// RuleAuditOrder: events do not stand in the order of the log.
	RuleAuditOrder Rule = "audit_order"
	// RuleUnaudited: acknowledged and not in the audit log.
	RuleUnaudited Rule = "unaudited"
	// RulePhantomEvent: an event of a change that nobody asked for.
	RulePhantomEvent Rule = "phantom_event"
	// RuleUndelivered: an event that a receiver never took and that is not a dead letter.
	RuleUndelivered Rule = "undelivered"
	// RuleDeliveryOrder: an event was sent for the first time after a later one.
	RuleDeliveryOrder Rule = "delivery_order"
	// RulePhantomDelivery: what was sent is not an event of the log.
	RulePhantomDelivery Rule = "phantom_delivery"
	// RuleDeliveryChanged: a repetition differs from what was sent first.
	RuleDeliveryChanged Rule = "delivery_changed"
)

// Violation is one finding.
type Violation struct {
	Checker  string   `json:"checker"`
	Workload string   `json:"workload,omitempty"`
	Rule     Rule     `json:"rule"`
	Key      string   `json:"key,omitempty"`
	Text     string   `json:"text"`
	Ops      []uint64 `json:"ops,omitempty"`
	// Artifact is a file that shows more.
	Artifact string `json:"artifact,omitempty"`
}

// String renders a violation on one line.
func (v Violation) String() string {
	where := v.Key
	if v.Workload != "" {
		where = v.Workload + " " + where
	}
	ids := fmt.Sprint(v.Ops)
	if len(v.Ops) > maxNamed {
		ids = fmt.Sprintf("%v and %d more", v.Ops[:maxNamed], len(v.Ops)-maxNamed)
	}
	return fmt.Sprintf("%s/%s %s: %s (operations %s)", v.Checker, v.Rule, where, v.Text, ids)
}

// maxNamed is how many operations a line names.
const maxNamed = 8

// maxPerRule bounds what is kept of one rule: the thousandth lost write says
// no more than the first ones.
const maxPerRule = 25

// findings collects violations.
type findings struct {
	list   []Violation
	totals map[Rule]int
}

func newFindings() *findings { return &findings{totals: map[Rule]int{}} }

func (f *findings) add(v Violation) {
	f.totals[v.Rule]++
	if f.totals[v.Rule] <= maxPerRule {
		f.list = append(f.list, v)
	}
}

// blame adds a violation about operations; the first names workload and key.
func (f *findings) blame(checker string, rule Rule, ops []*history.Op, format string, args ...any) {
	v := Violation{Checker: checker, Rule: rule, Text: fmt.Sprintf(format, args...)}
	for _, op := range ops {
		v.Ops = append(v.Ops, op.ID)
	}
	if len(ops) > 0 {
		v.Workload, v.Key = ops[0].Workload, ops[0].Key
	}
	f.add(v)
}

func (f *findings) merge(o *findings) {
	for _, v := range o.list {
		if f.totals[v.Rule] < maxPerRule {
			f.list = append(f.list, v)
		}
		f.totals[v.Rule]++
		o.totals[v.Rule]--
	}
	for rule, more := range o.totals { // those that were not kept
		f.totals[rule] += more
	}
}

func (f *findings) sorted() []Violation {
	slices.SortStableFunc(f.list, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.Checker, b.Checker), cmp.Compare(a.Rule, b.Rule))
	})
	return f.list
}
