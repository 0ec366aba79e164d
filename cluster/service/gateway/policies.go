// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"

	"github.com/pilotregistry/pilotregistry/cluster/service/exprpolicy"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// checkPolicy looks into the expression policy that a request brings, if it
// does. The caller's role is checked before what is wrong is told.
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
	if rules == nil && expr == nil {
		return r
	}
	reply, err := protocol.ReplyAs[protocol.JoinNetworkReply](r.Reply)
	if err != nil {
		return r
	}
	with := *reply // the other is not ours
	with.Rules, with.ExprPolicy = rules, expr
	r.Reply = &with
	return r
}
