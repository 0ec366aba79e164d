// SPDX-License-Identifier: Apache-2.0

package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Invariants of the replayed state: what must hold at every index.

// idWatch checks that node ids are given out one after the other.
type idWatch struct {
	next uint32 // 0 while unknown
}

func (w *idWatch) forget() { w.next = 0 }

// entry looks at the new nodes of an entry; before is the state before it.
func (w *idWatch) entry(r *replay, before *fsm.Root, e *fsm.Entry, results []fsm.Result) {
	fresh := map[protocol.PublicKey]bool{}
	for i := range results {
		reg, id := registration(&e.Envelopes[i], &results[i])
		if reg == nil {
			continue
		}
		key, err := protocol.ParsePublicKey(reg.PublicKey)
		if err != nil || fresh[key] || before.KnownKey(key) {
			continue
		}
		fresh[key] = true
		if w.next != 0 && id != w.next {
			r.fault(RuleIDGap, "entry %d gives node id %d to a new key; the next id is %d", r.at+1, id, w.next)
		}
		w.next = id + 1
	}
}

// registration decodes a register command that took effect.
func registration(env *fsm.Envelope, result *fsm.Result) (*protocol.Register, uint32) {
	row := protocol.ByCode(env.Code)
	if row == nil || row.Name != "register" || result.Err != nil || result.Replayed {
		return nil, 0
	}
	var reg protocol.Register
	var reply protocol.RegisterReply
	if json.Unmarshal(env.Body, &reg) != nil || json.Unmarshal(result.JSON(), &reply) != nil {
		return nil, 0
	}
	return &reg, reply.NodeID
}

// names checks, for the nodes and hostnames that an entry touches, that the
// two directions agree. A node always sees its own name.
func (r *replay) names(e *fsm.Entry, results []fsm.Result) {
	nodes, hosts := map[uint32]bool{}, map[string]bool{}
	for i := range results {
		if results[i].Err == nil && !results[i].Replayed {
			touched(&e.Envelopes[i], &results[i], nodes, hosts)
		}
	}
	root := r.machine.Root()
	named := func(id uint32) string { return hostnameOf(root, id) }
	holder := func(host string, requester uint32) uint32 { return holderOf(root, host, requester) }
	if text := notInverse(nodes, hosts, named, holder); text != "" {
		r.fault(RuleNames, "after entry %d %s", r.at+1, text)
	}
}

// notInverse says how the names of nodes and the holders of names disagree,
// "" when they do not.
func notInverse(nodes map[uint32]bool, hosts map[string]bool, named func(uint32) string, holder func(host string, requester uint32) uint32) string {
	for _, id := range slices.Sorted(maps.Keys(nodes)) {
		held := named(id)
		if held != "" {
			hosts[held] = true
		}
		for _, host := range slices.Sorted(maps.Keys(hosts)) {
			if owner := holder(host, id); (owner == id) != (host == held) {
				return fmt.Sprintf("node %d is named %q, and hostname %q belongs to node %d", id, held, host, owner)
			}
		}
	}
	return ""
}

func touched(env *fsm.Envelope, result *fsm.Result, nodes map[uint32]bool, hosts map[string]bool) {
	row := protocol.ByCode(env.Code)
	if row == nil {
		return
	}
	switch row.Name {
	case "set_hostname", "deregister", "register":
	default:
		return
	}
	var body struct {
		NodeID   uint32 `json:"node_id"`
		Hostname string `json:"hostname"`
	}
	if json.Unmarshal(env.Body, &body) != nil {
		return
	}
	if reg, id := registration(env, result); reg != nil {
		body.NodeID = id
	}
	nodes[body.NodeID] = true
	if body.Hostname != "" {
		hosts[body.Hostname] = true
	}
}

func hostnameOf(root *fsm.Root, id uint32) string {
	res, e := root.Read(&fsm.Call{Row: protocol.Must("lookup"), Body: &protocol.NodeRequest{NodeID: id}})
	if e != nil {
		return ""
	}
	return res.Reply.(*protocol.LookupReply).Hostname
}

// holderOf is the node that a name resolves to for a requester, 0 for none.
func holderOf(root *fsm.Root, host string, requester uint32) uint32 {
	res, e := root.Read(&fsm.Call{Row: protocol.Must("resolve_hostname"), Body: &protocol.ResolveHostname{Hostname: host, RequesterID: requester}})
	if e != nil {
		return 0
	}
	return res.Reply.(*protocol.ResolveHostnameReply).NodeID
}

// reaped notes the nodes that an entry's sweep sent offline.
func (r *replay) reaped(e *fsm.Entry) {
	for i := range e.Envelopes {
		var sweep fsm.Sweep
		if e.Envelopes[i].Code != fsm.KindSweep || json.Unmarshal(e.Envelopes[i].Body, &sweep) != nil {
			continue
		}
		for _, id := range sweep.Offline {
			r.stats.Reaped[id] = true
		}
	}
}

// rememberedFor is how long, in milliseconds of log time, the state surely
// remembers a request id.
const rememberedFor = 4 * 60 * 1000

// behindGap takes out of a restored state what the entries before it would
// have shown: which nodes were reaped, and that acknowledged writes with a
// request id are remembered.
func (r *replay) behindGap() {
	root := r.machine.Root()
	forgotten := uint64(0) // highest index that may be too old to be remembered
	for _, class := range []protocol.EventClass{protocol.ClassSecurity, protocol.ClassActivity} {
		for after := uint64(0); ; {
			events := root.Events(class, after, 4096)
			if len(events) == 0 {
				break
			}
			for i := range events {
				e := &events[i]
				after = e.Seq
				if e.Time <= root.Now()-rememberedFor {
					forgotten = max(forgotten, e.Index)
				}
				r.reapedBy(e)
			}
		}
	}
	for _, s := range r.states {
		if s.request != nil && wrote(s) && s.RequestID != "" && s.applied == 0 && s.Index > forgotten && s.Index <= r.at && !r.saw(s.Index) {
			r.remembered(root, s)
		}
	}
}

func (r *replay) reapedBy(e *fsm.Event) {
	if e.Action != protocol.EventNodeReaped {
		return
	}
	for _, a := range e.Attrs {
		if id, err := strconv.ParseUint(a.Value, 10, 32); a.Key == "node_id" && err == nil {
			r.stats.Reaped[uint32(id)] = true
		}
	}
}

// remembered looks for an acknowledged write in the state after a gap. The
// hash of a request covers its signature, which a history does not hold: that
// the state refuses the id to another request says that it knows it.
func (r *replay) remembered(root *fsm.Root, s *state) {
	if s.row.Auth == protocol.AuthAdmin { // remembered under a token's name, which a history does not hold
		r.stats.Uncovered++
		s.applied = s.Index
		return
	}
	call := s.callOn(root)
	call.Options.RequestID = s.RequestID
	call.Source = "127.0.0.1:0" // where workloads ask from
	known := func() bool {
		_, found, e := root.Replay(call)
		return found || e != nil
	}
	found := known()
	if b, ok := call.Body.(*protocol.Register); ok && !found { // a history does not say which were signed
		proven := *b
		proven.Proven = true
		call.Body = &proven
		found = known()
	}
	if found {
		s.applied = s.Index
		r.stats.Remembered++
		return
	}
	r.out.blame(CheckerReplay, RuleLostWrite, []*history.Op{s.Op}, "%s was acknowledged by %s at index %d; the snapshot at index %d does not remember it", s.Command, s.Member, s.Index, r.at)
}
