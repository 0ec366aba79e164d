// SPDX-License-Identifier: Apache-2.0

package check

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/anishathalye/porcupine"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Kinds of keys.
const (
	// KindRegister is a node as a register of tags and visibility.
	KindRegister = "node"
	// KindCounter is a node as a counter.
	KindCounter = "polo"
	// KindNames is a few nodes that compete for a few hostnames.
	KindNames = "names"
	// KindLife is a public key: its registrations, its id, its end.
	KindLife = "key"
	// KindNetwork is an enterprise network with a few nodes, by its name.
	KindNetwork = "net"
)

// decoded are the fields of requests and replies that models look at.
type decoded struct {
	NodeID      uint32   `json:"node_id"`
	Tags        []string `json:"tags"`
	Public      bool     `json:"public"`
	Visibility  string   `json:"visibility"`
	Delta       float64  `json:"delta"`
	PoloScore   int64    `json:"polo_score"`
	Hostname    string   `json:"hostname"`
	RequesterID uint32   `json:"requester_id"`
	PublicKey   string   `json:"public_key"`

	Type         string `json:"type"`
	InviterID    uint32 `json:"inviter_id"`
	TargetNodeID uint32 `json:"target_node_id"`
	NewOwnerID   uint32 `json:"new_owner_id"`
	Accept       bool   `json:"accept"`
	JoinRule     string `json:"join_rule"`
	Role         string `json:"role"`
	Nodes        []struct {
		NodeID uint32 `json:"node_id"`
		Role   string `json:"role"`
	} `json:"nodes"`
}

// decodeBoth reads an operation's request and, when it has one, its reply.
func decodeBoth(op *history.Op) (args, reply decoded, err error) {
	if err = json.Unmarshal(op.Args, &args); err != nil {
		return args, reply, fmt.Errorf("operation %d: request: %w", op.ID, err)
	}
	if op.Outcome == history.OK {
		if err = json.Unmarshal(op.Reply, &reply); err != nil {
			return args, reply, fmt.Errorf("operation %d: reply: %w", op.ID, err)
		}
	}
	return args, reply, nil
}

// nodesOf are the nodes that an operation names or that its reply names.
func nodesOf(op *history.Op) []uint32 {
	args, reply, err := decodeBoth(op)
	if err != nil {
		return nil
	}
	return []uint32{args.NodeID, args.InviterID, args.TargetNodeID, args.NewOwnerID, reply.NodeID}
}

// counts reports whether an operation says something to a search: an answered
// linearizable read, or a write that took effect or may have.
func counts(op *history.Op) bool {
	if op.Writes() {
		return op.Outcome != history.Fail
	}
	return op.Outcome == history.OK && linearizable(op)
}

func linearizable(op *history.Op) bool {
	return op.Level == "" || op.Level == protocol.Linearizable
}

// interval is an operation without input and output.
func interval(op *history.Op, c clients) porcupine.Operation {
	p := porcupine.Operation{ClientId: c.number(op.Client), Call: op.Call, Return: op.Return, Metadata: fmt.Sprintf("operation %d by %s at %s, index %d", op.ID, op.Client, op.Member, op.Index)}
	if op.Outcome == history.Unknown {
		p.Return = open
	}
	return p
}

// registerValue is the state of a register; its input is the same with what a
// write leaves alone unset.
type registerValue struct {
	tags   string
	public bool
}

type registerInput struct {
	command string
	registerValue
}

// registerModel: a node's tags and visibility are one register that
// set_tags and set_visibility write and lookup reads. A key begins with the
// node as it was registered: without tags and private.
func registerModel() Model {
	return Model{Kind: KindRegister, Doc: "tags and visibility of a node, set and looked up", convert: convertRegister, spec: porcupine.Model{
		Init: func() any { return registerValue{} },
		Step: func(state, input, output any) (bool, any) {
			s, in := state.(registerValue), input.(registerInput)
			switch in.command {
			case "set_tags":
				s.tags = in.tags
			case "set_visibility":
				s.public = in.public
			default:
				return s == output.(registerValue), s
			}
			return true, s
		},
		DescribeOperation: func(input, output any) string {
			in := input.(registerInput)
			switch in.command {
			case "set_tags":
				return "tags := " + in.tags
			case "set_visibility":
				return fmt.Sprintf("public := %t", in.public)
			}
			return output.(registerValue).String()
		},
		DescribeState: func(state any) string { return state.(registerValue).String() },
	}}
}

func (v registerValue) String() string {
	if v.public {
		return v.tags + " public"
	}
	return v.tags + " private"
}

func convertRegister(ops []*history.Op) ([]porcupine.Operation, error) {
	seen := map[string]int64{} // tags → the earliest return of a read that shows them
	for _, op := range ops {
		if op.Command != "lookup" || !counts(op) {
			continue
		}
		_, reply, err := decodeBoth(op)
		if err != nil {
			return nil, err
		}
		tags := strings.Join(reply.Tags, ",")
		if at, ok := seen[tags]; !ok || op.Return < at {
			seen[tags] = op.Return
		}
	}
	var out []porcupine.Operation
	numbers := clients{}
	for _, op := range ops {
		if !counts(op) {
			continue
		}
		p, keep, err := convertRegisterOp(op, interval(op, numbers), seen)
		if err != nil {
			return nil, err
		}
		if keep {
			out = append(out, p)
		}
	}
	return out, nil
}

// convertRegisterOp leaves out a write of unknown outcome whose value nobody
// read, which a search could put anywhere, and closes one whose value was read:
// values are unique, so it took effect before that.
func convertRegisterOp(op *history.Op, p porcupine.Operation, seen map[string]int64) (porcupine.Operation, bool, error) {
	args, reply, err := decodeBoth(op)
	if err != nil {
		return p, false, err
	}
	in := registerInput{command: op.Command}
	switch op.Command {
	case "set_tags":
		in.tags = strings.Join(args.Tags, ",")
		if op.Outcome == history.Unknown {
			at, read := seen[in.tags]
			if !read {
				return p, false, nil
			}
			p.Return = max(at, p.Call)
		} else if got := strings.Join(reply.Tags, ","); got != in.tags {
			return p, false, fmt.Errorf("operation %d set tags %s and was answered %s", op.ID, in.tags, got)
		}
	case "set_visibility":
		in.public = args.Public
		if op.Outcome == history.OK && (reply.Visibility == "public") != args.Public {
			return p, false, fmt.Errorf("operation %d set public to %t and was answered %s", op.ID, args.Public, reply.Visibility)
		}
	case "lookup":
		p.Output = registerValue{strings.Join(reply.Tags, ","), reply.Public}
	default:
		return p, false, fmt.Errorf("operation %d: %s is not in the model", op.ID, op.Command)
	}
	p.Input = in
	return p, true, nil
}
