// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"

	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/cluster/base/spans"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// write takes a command through check and consensus.
func (g *Gateway) write(ctx context.Context, conn *server.ConnState, req *protocol.Request) server.Reply {
	// What this connection has written before need not be applied here yet: a
	// success is provisional, and a refusal is confirmed on a root that has it.
	if e := g.engine.WaitApplied(ctx, req.MinIndex); e != nil {
		return server.Reply{Err: e}
	}
	if b, ok := req.Body.(*protocol.Register); ok && b.IdentityToken != "" {
		if answer, answered := g.verifyIdentity(ctx, conn, req, b); answered {
			return answer
		}
	}
	root := g.engine.Root()
	v := g.check(ctx, root, conn, req)
	if v.asksState() {
		var e *protocol.Error
		if root, e = confirmed(ctx, g.engine); e != nil {
			return server.Reply{Err: e}
		}
		v = g.check(ctx, root, conn, req)
	}
	g.legacy.used(root, req, v.call)
	switch {
	case v.replay != nil:
		return g.answer(conn, g.joined(ctx, req, *v.replay))
	case v.refusal != nil:
		return g.refuse(conn, req, v.refusal)
	case req.Unread != nil: // nothing else is wrong with it
		return server.Reply{Err: req.Unread.Err}
	}
	g.identities.fetchAgain(ctx, root, req.Body)
	if v.unchanged != nil {
		return g.answer(conn, fsm.Result{Index: root.Index(), Reply: v.unchanged})
	}
	return g.propose(ctx, conn, req, v.call)
}

// foreseen is what a check found. At most one of refusal, replay and unchanged
// is set; none means: propose.
type foreseen struct {
	call    *fsm.Call
	refusal *protocol.Error
	replay  *fsm.Result
	// unchanged is the reply to a write that changes nothing and is not
	// proposed for it.
	unchanged any
}

// asksState reports whether it depends on what is stored, so that a
// member that lags has to look again after a confirm round: its answer is a
// linearizable read.
func (v *foreseen) asksState() bool {
	return v.refusal != nil && v.refusal.Stateful || v.unchanged != nil || v.replay == nil && unproven(v.call, v.refusal)
}

// plan answers a dry run that the client asked for: a linearizable read.
func (g *Gateway) plan(ctx context.Context, conn *server.ConnState, req *protocol.Request) server.Reply {
	root, e := confirmed(ctx, g.engine)
	if e != nil {
		return server.Reply{Err: e}
	}
	call, e := g.verify(ctx, root, conn, req)
	if e != nil {
		return g.refuse(conn, req, e)
	}
	g.legacy.used(root, req, call)
	reply, e := root.Plan(call)
	if e == nil && req.Unread != nil {
		e = req.Unread.Err
	}
	if e != nil {
		return g.refuse(conn, req, e)
	}
	return server.Reply{Body: reply, Index: root.Index()}
}

// check decides a write on one root without changing anything.
func (g *Gateway) check(ctx context.Context, root *fsm.Root, conn *server.ConnState, req *protocol.Request) (v foreseen) {
	_, stage := spans.Begin(ctx, "verify")
	defer func() { stage.End(v.refusal) }()
	call, e := g.authenticate(root, conn, req)
	if e != nil {
		return foreseen{refusal: e}
	}
	if req.RequestID != "" && !req.Command.Soft {
		result, found, e := root.Replay(call)
		if e != nil {
			return foreseen{call: call, refusal: e}
		}
		if found {
			return foreseen{call: call, replay: &result}
		}
	}
	unchanged, e := root.Decide(call)
	if keepsID(req, call) {
		unchanged = nil
	}
	return foreseen{call: call, refusal: e, unchanged: unchanged}
}

// keepsID reports whether a write has to be remembered although it changes
// nothing: it brings an id, and a copy of it that is still on its way could
// change something later, after it was answered. A stranger's deregister of a
// node that is not there needs no memory: if the node comes, the copy is
// refused because nothing proves who sent it.
func keepsID(req *protocol.Request, call *fsm.Call) bool {
	stranger := resolvers[req.Command.Name].leaves && unproven(call, nil)
	return req.RequestID != "" && !req.Command.Soft && !stranger
}

// unproven reports a success without the proof of a signature or a token
// although the command asks for one: deregister of a node that this member
// does not know. If the node is only not known here yet, Apply would refuse it
// for the missing proof, so the success is confirmed like a refusal.
func unproven(call *fsm.Call, refusal *protocol.Error) bool {
	return refusal == nil && call.SigError != nil && call.Row.Auth != protocol.AuthOpen && call.Actor.Node == 0 && call.Actor.Token == ""
}

// confirmed returns a root that has seen every write acknowledged before the call.
func confirmed(ctx context.Context, engine Engine) (root *fsm.Root, e *protocol.Error) {
	ctx, stage := spans.Begin(ctx, "confirm")
	defer func() { stage.End(e) }()
	index, e := engine.ReadIndex(ctx)
	if e != nil {
		return nil, e
	}
	if e := engine.WaitApplied(ctx, index); e != nil {
		return nil, e
	}
	return engine.Root(), nil
}

func (g *Gateway) propose(ctx context.Context, conn *server.ConnState, req *protocol.Request, call *fsm.Call) server.Reply {
	if b, ok := call.Body.(protocol.RoleBody); ok && b.Role().Unsigned {
		g.metrics.UnsignedRole(req.Type)
	}
	if b, ok := call.Body.(*protocol.Register); ok && g.engine.Root().UnsignedIdentity(b) {
		g.metrics.UnsignedIdentity()
	}
	body, err := json.Marshal(call.Body)
	if err != nil {
		return server.Reply{Err: protocol.Errorf(protocol.CodeInternal, "%s cannot be encoded: %v", req.Type, err)}
	}
	env := fsm.Envelope{Code: call.Row.Code, Actor: call.Actor, Source: conn.Source, Body: body}
	if !call.Row.Soft {
		env.RequestID, env.Hash = call.Options.RequestID, call.Hash
	}
	under, stage := spans.Begin(ctx, "propose")
	result, e := g.engine.Propose(under, env)
	if e != nil {
		stage.End(e)
		return server.Reply{Err: e}
	}
	stage.End(result.Err)
	return g.answer(conn, g.joined(ctx, req, result))
}

// answer gives what Apply decided. A refusal that was decided there carries
// the index: it is final, also for other sendings of the same request id,
// unlike one that the front door gives from what it reads.
func (g *Gateway) answer(conn *server.ConnState, r fsm.Result) server.Reply {
	fault.Hit(fault.ReplyBefore)
	conn.MinIndex = max(conn.MinIndex, r.Index)
	return server.Reply{Body: r.Reply, Index: r.Index, Replayed: r.Replayed, Err: r.Err}
}
