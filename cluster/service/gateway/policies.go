// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"

	"github.com/pilotregistry/pilotregistry/cluster/service/exprpolicy"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// checkPolicy looks into the expression policy that a request brings, if it
// does. What is wrong with it is told behind the caller's role, like everything
// about it.
func checkPolicy(text *string) *protocol.Error {
	if text == nil || *text == "" {
		return nil
	}
	return exprpolicy.Check(*text)
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
