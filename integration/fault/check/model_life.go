// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// life is the state of a public key: the id it was given, once, and whether
// its node is registered now. The id is 0 until a reply has shown it.
type life struct {
	id   uint32
	live bool
}

type lifeInput struct {
	command string
	id      uint32
}

type lifeOutput struct {
	known bool
	id    uint32 // of register
	live  bool   // of lookup
	right bool   // of lookup: the node has this key
}

// lifeModel: a public key gets one node id with its first registration and
// keeps it through deregistration and registration again; lookup of the id
// finds the node with this key exactly while it is registered.
func lifeModel() Model {
	return Model{Kind: KindLife, Doc: "registrations of one public key", convert: convertLife, needsAlive: true, spec: porcupine.Model{
		Init: func() any { return life{} },
		Step: func(state, input, output any) (bool, any) {
			return stepLife(state.(life), input.(lifeInput), output.(lifeOutput))
		},
		DescribeOperation: func(input, output any) string {
			return fmt.Sprintf("%+v: %+v", input, output)
		},
	}}
}

func stepLife(s life, in lifeInput, out lifeOutput) (bool, any) {
	switch in.command {
	case "register":
		if out.known {
			if s.id != 0 && s.id != out.id {
				return false, s
			}
			s.id = out.id
		}
		s.live = true
	case "deregister":
		if s.id == 0 { // asked with an id that a reply has shown
			s.id = in.id
		}
		if s.id != in.id {
			return false, s
		}
		s.live = false
	case "lookup":
		if out.live != s.live {
			return false, s
		}
		return !out.live || out.right && (s.id == 0 || s.id == in.id), s
	}
	return true, s
}

func convertLife(ops []*history.Op) ([]porcupine.Operation, error) {
	key, err := keyOf(ops)
	if err != nil {
		return nil, err
	}
	var out []porcupine.Operation
	numbers := clients{}
	for _, op := range ops {
		absent := op.Command == "lookup" && op.Outcome == history.Fail && op.Code == protocol.CodeNotFound && linearizable(op)
		if !counts(op) && !absent {
			continue
		}
		args, reply, err := decodeBoth(op)
		if err != nil {
			return nil, err
		}
		p := interval(op, numbers)
		p.Input = lifeInput{command: op.Command, id: args.NodeID}
		switch op.Command {
		case "register", "deregister", "lookup":
			p.Output = lifeOutput{known: op.Outcome != history.Unknown, id: reply.NodeID, live: !absent, right: reply.PublicKey == key && reply.NodeID == args.NodeID}
		default:
			return nil, fmt.Errorf("operation %d: %s is not in the model", op.ID, op.Command)
		}
		out = append(out, p)
	}
	return out, nil
}

// keyOf is the one public key that the registrations of a key name.
func keyOf(ops []*history.Op) (string, error) {
	key := ""
	for _, op := range ops {
		if op.Command != "register" {
			continue
		}
		args, _, err := decodeBoth(op)
		if err != nil {
			return "", err
		}
		if key != "" && args.PublicKey != key {
			return "", fmt.Errorf("operation %d registers another public key than the others", op.ID)
		}
		key = args.PublicKey
	}
	return key, nil
}
