// SPDX-License-Identifier: Apache-2.0

package check

import (
	"encoding/json"
	"sort"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
)

// setting is what a command of auditRule.repeats sets.
type setting struct {
	NodeID   uint64   `json:"node_id"`
	Hostname string   `json:"hostname"`
	Public   bool     `json:"public"`
	Tags     []string `json:"tags"`
}

func settingOf(op *history.Op) (s setting, value string) {
	_ = json.Unmarshal(op.Args, &s)
	v := s
	v.NodeID = 0
	if len(v.Tags) == 0 {
		v.Tags = nil
	}
	raw, err := json.Marshal(v)
	if err != nil { // strings and a boolean always encode
		panic(err)
	}
	return s, string(raw)
}

// repeated reports whether a write set what the one before it on the same node
// had set, or what a node begins with. A write of unknown outcome may be the
// one before, and so may each of several at one index.
func (t *trailOf) repeated(op *history.Op) bool {
	if t.latest == nil {
		t.collect()
	}
	s, value := settingOf(op)
	_, none := settingOf(&history.Op{})
	last, alike := uint64(0), value == none // of the writes at index last
	for _, o := range t.latest[writeOf{op.Command, nodeKey(s.NodeID)}] {
		_, v := settingOf(o)
		switch {
		case o == op:
		case o.Outcome == history.Unknown || o.Index == op.Index:
			if v == value {
				return true
			}
		case o.Index < op.Index:
			alike = v == value || alike && o.Index == last
			last = o.Index
		}
	}
	return alike
}

func nodeKey(id uint64) string {
	raw, _ := json.Marshal(id) // a number always encodes
	return string(raw)
}

func (t *trailOf) collect() {
	t.latest = map[writeOf][]*history.Op{}
	for i := range t.ops {
		op := &t.ops[i]
		if !audited[op.Command].repeats || op.Outcome == history.Fail {
			continue
		}
		s, _ := settingOf(op)
		key := writeOf{op.Command, nodeKey(s.NodeID)}
		t.latest[key] = append(t.latest[key], op)
	}
	for _, list := range t.latest {
		sort.SliceStable(list, func(i, j int) bool { return list[i].Index < list[j].Index })
	}
}
