// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

type counterInput struct {
	read  bool
	delta int64
}

type counterOutput struct {
	known bool
	score int64
}

// counterModel: a node's score is a counter that update_polo_score adds to,
// answering the new value, and get_polo_score reads. A key begins at zero.
func counterModel() Model {
	return Model{Kind: KindCounter, Doc: "score of a node, added to and read", convert: convertCounter, spec: porcupine.Model{
		Init: func() any { return int64(0) },
		Step: func(state, input, output any) (bool, any) {
			s, in, out := state.(int64), input.(counterInput), output.(counterOutput)
			if !in.read {
				s = min(max(s+in.delta, -protocol.MaxPoloScore), protocol.MaxPoloScore)
			}
			return !out.known || s == out.score, s
		},
		DescribeOperation: func(input, output any) string {
			in, out := input.(counterInput), output.(counterOutput)
			switch {
			case in.read:
				return fmt.Sprintf("read %d", out.score)
			case !out.known:
				return fmt.Sprintf("add %d: ?", in.delta)
			}
			return fmt.Sprintf("add %d: %d", in.delta, out.score)
		},
	}}
}

func convertCounter(ops []*history.Op) ([]porcupine.Operation, error) {
	var out []porcupine.Operation
	numbers := clients{}
	for _, op := range ops {
		if !counts(op) {
			continue
		}
		args, reply, err := decodeBoth(op)
		if err != nil {
			return nil, err
		}
		p := interval(op, numbers)
		p.Output = counterOutput{op.Outcome == history.OK, reply.PoloScore}
		switch op.Command {
		case "update_polo_score":
			p.Input = counterInput{delta: int64(args.Delta)}
		case "get_polo_score":
			p.Input = counterInput{read: true}
		default:
			return nil, fmt.Errorf("operation %d: %s is not in the model", op.ID, op.Command)
		}
		out = append(out, p)
	}
	return out, nil
}
