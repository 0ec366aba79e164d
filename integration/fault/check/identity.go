// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"sort"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Identities compares what all registrations were answered: an id belongs to
// one key for ever, a key has one id for ever, and ids rise in the order of
// the log.
func Identities(ops []history.Op) []Violation { return identities(ops).sorted() }

func identities(ops []history.Op) *findings {
	out := newFindings()
	byID, byKey := map[uint32]*seenKey{}, map[string]*seenKey{}
	var all []*seenKey
	for i := range ops {
		op := &ops[i]
		if op.Command != "register" || op.Outcome == history.Fail {
			continue
		}
		args, reply, err := decodeBoth(op)
		if err != nil {
			out.blame(CheckerInvariant, RuleUnchecked, []*history.Op{op}, "%v", err)
			continue
		}
		k := byKey[args.PublicKey]
		if k == nil {
			k = &seenKey{key: args.PublicKey}
			byKey[args.PublicKey] = k
			all = append(all, k)
		}
		if op.Outcome == history.Unknown {
			k.unknown = append(k.unknown, op)
			continue
		}
		k.answered(op, reply.NodeID, byID, out)
	}
	rising(all, out)
	return out
}

// seenKey is what the replies said about one public key.
type seenKey struct {
	key     string
	id      uint32
	first   *history.Op // the acknowledged registration with the lowest index
	unknown []*history.Op
}

func (k *seenKey) answered(op *history.Op, id uint32, byID map[uint32]*seenKey, out *findings) {
	if k.first != nil && k.id != id {
		out.blame(CheckerInvariant, RuleTwoIDs, []*history.Op{op, k.first}, "key %s was given id %d and id %d", k.key, k.id, id)
		return
	}
	if other := byID[id]; other != nil && other != k {
		out.blame(CheckerInvariant, RuleIDReused, []*history.Op{op, other.first}, "id %d was given to key %s and to key %s", id, other.key, k.key)
		return
	}
	byID[id], k.id = k, id
	if k.first == nil || op.Index < k.first.Index {
		k.first = op
	}
}

// certain reports whether the first acknowledged registration surely was the
// first: nothing of unknown outcome was under way before it ended.
func (k *seenKey) certain() bool {
	if k.first == nil || k.first.Index == 0 {
		return false
	}
	for _, op := range k.unknown {
		if op.Call < k.first.Return {
			return false
		}
	}
	return true
}

func rising(all []*seenKey, out *findings) {
	var known []*seenKey
	for _, k := range all {
		if k.certain() {
			known = append(known, k)
		}
	}
	sort.Slice(known, func(i, j int) bool {
		a, b := known[i], known[j]
		if a.first.Index != b.first.Index {
			return a.first.Index < b.first.Index
		}
		return a.id < b.id // in one entry
	})
	for i := 1; i < len(known); i++ {
		if a, b := known[i-1], known[i]; b.id <= a.id {
			out.blame(CheckerInvariant, RuleIDOrder, []*history.Op{a.first, b.first}, "id %d was given at index %d and id %d at index %d", a.id, a.first.Index, b.id, b.first.Index)
		}
	}
}

// Names compares the two directions of hostnames as replies of one index show
// them: no two nodes with one name, and a name resolves to the node that has it.
func Names(ops []history.Op) []Violation { return inverse(ops).sorted() }

func inverse(ops []history.Op) *findings {
	type at struct {
		index uint64
		key   string
		what  string
	}
	type claim struct {
		node uint32
		op   *history.Op
	}
	out := newFindings()
	holders := map[at]claim{}      // who holds a name
	names := map[at]*history.Op{}  // which name a node has, as key "node name"
	states := map[at]*history.Op{} // what a node was seen with
	add := func(a at, node uint32, op *history.Op) {
		if c, ok := holders[a]; ok && c.node != node {
			out.blame(CheckerInvariant, RuleNames, []*history.Op{op, c.op}, "at index %d hostname %q belongs to node %d and to node %d", a.index, a.what, c.node, node)
			return
		}
		holders[a] = claim{node, op}
	}
	for i := range ops {
		op := &ops[i]
		if op.Kind() != KindNames || op.Outcome != history.OK || op.Writes() || op.Index == 0 {
			continue
		}
		_, reply, err := decodeBoth(op)
		if err != nil {
			out.blame(CheckerInvariant, RuleUnchecked, []*history.Op{op}, "%v", err)
			continue
		}
		if reply.Hostname != "" {
			add(at{op.Index, op.Key, reply.Hostname}, reply.NodeID, op)
		}
		node := at{op.Index, op.Key, fmt.Sprint(reply.NodeID)}
		named := at{op.Index, op.Key, fmt.Sprint(reply.NodeID, " ", reply.Hostname)}
		if other := states[node]; other != nil && names[named] == nil {
			out.blame(CheckerInvariant, RuleNames, []*history.Op{op, other}, "at index %d node %d has two hostnames", op.Index, reply.NodeID)
		}
		states[node], names[named] = op, op
	}
	return out
}

// Removal is a time during which a member did not belong to the cluster.
type Removal struct {
	Member string `json:"member"`
	// From is when its removal was acknowledged, Until when it was taken back,
	// 0 for never, both on the history's clock.
	From  int64 `json:"from"`
	Until int64 `json:"until,omitempty"`
}

// Removed checks that a member that was removed neither acknowledges writes
// nor serves reads that promise more than what it happens to have.
func Removed(ops []history.Op, removals []Removal) []Violation {
	return removed(ops, removals).sorted()
}

func removed(ops []history.Op, removals []Removal) *findings {
	out := newFindings()
	for i := range ops {
		op := &ops[i]
		if op.Outcome != history.OK || op.Command == history.CommandDigest || !op.Writes() && !linearizable(op) && op.Level != protocol.Bounded {
			continue
		}
		for _, r := range removals {
			after := op.Call - r.From
			if op.Level == protocol.Bounded { // it may still be as fresh as it was asked to be
				after -= int64(op.MaxStalenessMS)*1e6 + boundedSlack
			}
			if op.Member == r.Member && after > 0 && (r.Until == 0 || op.Return < r.Until) {
				out.blame(CheckerInvariant, RuleRemoved, []*history.Op{op}, "%s answered %s %d ms after it was removed", r.Member, op.Command, (op.Call-r.From)/1e6)
			}
		}
	}
	return out
}
