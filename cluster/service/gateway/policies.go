// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"

	"github.com/pilotregistry/pilotregistry/cluster/service/exprpolicy"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// checkPolicies looks into the expression policy that a request brings. What is
// wrong with it is told behind the caller's role, like everything about it.
func checkPolicies(body protocol.Body) {
	var text string
	switch b := body.(type) {
	case *protocol.SetExprPolicy:
		if b.ExprPolicy != nil {
			text = *b.ExprPolicy
		}
	case *protocol.CreateNetwork:
		if b.ExprPolicy != nil {
			text = *b.ExprPolicy
		}
	case *protocol.ProvisionNetwork:
		if b.Blueprint != nil {
			text = string(b.Blueprint.ExprPolicy)
		}
	}
	if b, brings := body.(interface{ SetProblem(*protocol.Error) }); brings {
		b.SetProblem(nil) // it may be looked at again
		if text != "" {
			b.SetProblem(exprpolicy.Check(text))
		}
	}
}

// joined answers a join_network. A daemon wants to know at once what rules and
// policy the network has; they are not in the remembered reply, which would
// keep them once for every member.
func (g *Gateway) joined(ctx context.Context, req *protocol.Request, r fsm.Result) fsm.Result {
	b, ok := req.Body.(*protocol.JoinNetwork)
	if !ok || r.Err != nil || g.engine.WaitApplied(ctx, r.Index) != nil {
		return r // it has joined, and can ask
	}
	rules, expr := g.engine.Root().NetworkDocuments(b.NetworkID)
	var reply protocol.JoinNetworkReply
	if rules == nil && expr == nil || json.Unmarshal(r.JSON(), &reply) != nil {
		return r
	}
	reply.Rules, reply.ExprPolicy = rules, expr
	r.Reply = &reply
	return r
}
