// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"time"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// read answers from this member's state at the level the client asked for.
func (g *Gateway) read(ctx context.Context, conn *server.ConnState, req *protocol.Request) server.Reply {
	root, e := g.rootFor(ctx, conn, req)
	if e != nil {
		return server.Reply{Err: e}
	}
	call, e := g.verify(ctx, root, conn, req)
	if e != nil {
		return g.refuse(conn, req, e)
	}
	g.legacy.used(root, req, call)
	if b, ok := call.Body.(*protocol.ValidateToken); ok && call.Actor.Token != "" && b.Token != "" {
		if _, configured := root.IDP(); configured {
			b.Outcome = g.identities.verify(ctx, root, conn, b.Token)
		}
	}
	drains := req.Command.Mode == protocol.ModeReadThenWrite
	if drains && req.RequestID != "" {
		if result, found, e := root.Replay(call); e != nil {
			return server.Reply{Err: e}
		} else if found {
			return g.answer(conn, result)
		}
	}
	result, e := root.Read(call)
	if e == nil && req.Unread != nil {
		e = req.Unread.Err
	}
	if e != nil {
		return g.refuse(conn, req, e)
	}
	if drains && result.Propose {
		return g.propose(ctx, conn, req, call)
	}
	reply := server.Reply{Body: result.Reply}
	if req.Consistency != "" {
		reply.Index = root.Index()
	}
	if req.Consistency == protocol.Stale {
		reply.Stale, reply.Age = true, g.engine.DataAge()
	}
	return reply
}

// rootFor waits until this member's state satisfies the read level.
func (g *Gateway) rootFor(ctx context.Context, conn *server.ConnState, req *protocol.Request) (*fsm.Root, *protocol.Error) {
	level := req.Consistency
	if level == "" || req.Command.Mode == protocol.ModeReadThenWrite {
		level = protocol.Linearizable
	}
	if level == protocol.Bounded && !g.engine.FreshWithin(time.Duration(req.MaxStalenessMS)*time.Millisecond) {
		level = protocol.Linearizable
	}
	if g.tooOld(level, req) {
		level = protocol.Linearizable
	}
	if level == protocol.Linearizable {
		if _, e := confirmed(ctx, g.engine); e != nil {
			return nil, e
		}
	}
	// Even a stale read waits for a min_index that was asked for; it does not
	// wait for what the connection itself wrote, so that it works without a leader.
	want := req.MinIndex
	if level != protocol.Stale {
		want = max(want, conn.MinIndex)
	}
	if e := g.engine.WaitApplied(ctx, want); e != nil {
		return nil, e
	}
	return g.engine.Root(), nil
}

// tooOld reports whether this member's state may be older than the operator
// lets an answer be that shows where somebody is: a peer whose trust was
// revoked could ask the member that has not heard of it.
func (g *Gateway) tooOld(level protocol.Level, req *protocol.Request) bool {
	bound := g.policy.EndpointStaleness
	return bound > 0 && req.Command.Endpoints && level != protocol.Linearizable && !g.engine.FreshWithin(bound)
}
