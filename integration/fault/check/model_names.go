// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"sort"
	"strings"

	"github.com/anishathalye/porcupine"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// maxArena bounds the nodes of one key, so that a state is a small array.
const maxArena = 8

// arena is which hostname each node holds: 0 none, else the number of the name.
type arena [maxArena]uint8

// holder is the node that holds a name, -1 for none.
func (a arena) holder(name uint8) int {
	for i, n := range a {
		if n == name {
			return i
		}
	}
	return -1
}

type namesInput struct {
	command string
	node    int
	name    uint8
	text    string
}

// namesOutput is what the reply said. node is -1 and name is 0 for nobody.
type namesOutput struct {
	known, refused bool
	node           int
	name           uint8
}

// namesModel: a hostname belongs to at most one node and a node has at most
// one hostname. set_hostname claims, changes or, with an empty name, releases;
// it is refused exactly when another node holds the name. resolve_hostname and
// lookup read the two directions.
func namesModel() Model {
	return Model{Kind: KindNames, Doc: "hostnames claimed, released and resolved by a few nodes", convert: convertNames, needsAlive: true, spec: porcupine.Model{
		Init: func() any { return arena{} },
		Step: func(state, input, output any) (bool, any) {
			return stepNames(state.(arena), input.(namesInput), output.(namesOutput))
		},
		DescribeOperation: func(input, output any) string { return describeNames(input.(namesInput), output.(namesOutput)) },
	}}
}

func stepNames(s arena, in namesInput, out namesOutput) (bool, any) {
	switch in.command {
	case "resolve_hostname":
		return s.holder(in.name) == out.node, s
	case "lookup":
		return s[in.node] == out.name, s
	}
	holder := -1
	if in.name != 0 {
		holder = s.holder(in.name)
	}
	taken := holder >= 0 && holder != in.node
	if out.known && out.refused != taken {
		return false, s
	}
	if !taken {
		s[in.node] = in.name
	}
	return true, s
}

func describeNames(in namesInput, out namesOutput) string {
	switch {
	case in.command == "resolve_hostname":
		return fmt.Sprintf("resolve %s: %d", in.text, out.node)
	case in.command == "lookup":
		return fmt.Sprintf("lookup %d: name %d", in.node, out.name)
	case !out.known:
		return fmt.Sprintf("%d claims %q: ?", in.node, in.text)
	case out.refused:
		return fmt.Sprintf("%d claims %q: taken", in.node, in.text)
	}
	return fmt.Sprintf("%d claims %q", in.node, in.text)
}

// numbering gives the nodes and names of a key their small numbers.
type numbering struct {
	nodes map[uint32]int
	names map[string]uint8
}

func numberNames(ops []*history.Op) (*numbering, error) {
	n := &numbering{nodes: map[uint32]int{}, names: map[string]uint8{"": 0}}
	var ids []uint32
	for _, op := range ops {
		args, _, err := decodeBoth(op)
		if err != nil {
			return nil, err
		}
		if _, ok := n.nodes[args.NodeID]; !ok && args.NodeID != 0 {
			n.nodes[args.NodeID] = 0
			ids = append(ids, args.NodeID)
		}
		if _, ok := n.names[args.Hostname]; !ok {
			n.names[args.Hostname] = uint8(len(n.names))
		}
	}
	if len(ids) > maxArena || len(n.names) > 255 {
		return nil, fmt.Errorf("%d nodes and %d names in one key", len(ids), len(n.names))
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	for i, id := range ids {
		n.nodes[id] = i
	}
	return n, nil
}

func convertNames(ops []*history.Op) ([]porcupine.Operation, error) {
	n, err := numberNames(ops)
	if err != nil {
		return nil, err
	}
	var out []porcupine.Operation
	numbers := clients{}
	for _, op := range ops {
		if !counts(op) && !answersByRefusal(op) {
			continue
		}
		p, err := n.convert(op, interval(op, numbers))
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// answersByRefusal reports whether the refusal is an answer of the model: the
// name is taken, or there is no such name.
func answersByRefusal(op *history.Op) bool {
	if op.Outcome != history.Fail {
		return false
	}
	switch op.Command {
	case "set_hostname":
		return op.Code == protocol.CodeAlreadyExists
	case "resolve_hostname":
		return op.Code == protocol.CodeNotFound && linearizable(op)
	}
	return false
}

func (n *numbering) convert(op *history.Op, p porcupine.Operation) (porcupine.Operation, error) {
	args, reply, err := decodeBoth(op)
	if err != nil {
		return p, err
	}
	in := namesInput{command: op.Command, node: n.nodes[args.NodeID], name: n.names[args.Hostname], text: args.Hostname}
	out := namesOutput{known: op.Outcome != history.Unknown, refused: op.Outcome == history.Fail, node: -1}
	switch op.Command {
	case "set_hostname":
		if op.Outcome == history.OK && reply.Hostname != args.Hostname {
			return p, fmt.Errorf("operation %d set hostname %q and was answered %q", op.ID, args.Hostname, reply.Hostname)
		}
	case "resolve_hostname":
		if op.Outcome == history.OK {
			node, ours := n.nodes[reply.NodeID]
			if !ours || !strings.EqualFold(reply.Hostname, args.Hostname) {
				return p, fmt.Errorf("operation %d resolved %q and was answered node %d, %q", op.ID, args.Hostname, reply.NodeID, reply.Hostname)
			}
			out.node = node
		}
	case "lookup":
		name, ours := n.names[reply.Hostname]
		if !ours {
			return p, fmt.Errorf("operation %d looked up node %d and found hostname %q, which nobody claimed", op.ID, args.NodeID, reply.Hostname)
		}
		out.name = name
	default:
		return p, fmt.Errorf("operation %d: %s is not in the model", op.ID, op.Command)
	}
	p.Input, p.Output = in, out
	return p, nil
}
