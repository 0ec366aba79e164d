// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// cluster answers the commands about the cluster itself. They ask for the
// admin token as this member knows it: status has to work without a quorum.
func (g *Gateway) cluster(ctx context.Context, conn *server.ConnState, req *protocol.Request) server.Reply {
	var actor fsm.Actor
	if e := g.admin(g.engine.Root(), req, &actor); e != nil && req.Command.Auth == protocol.AuthAdmin {
		return g.refuse(conn, req, e)
	}
	if req.Unread != nil {
		return server.Reply{Err: req.Unread.Err}
	}
	reply, e := g.clusterCommand(cluster.AskedBy(ctx, actor, conn.Source), req)
	if e != nil {
		return server.Reply{Err: e}
	}
	return server.Reply{Body: reply}
}

func (g *Gateway) clusterCommand(ctx context.Context, req *protocol.Request) (any, *protocol.Error) {
	ok := req.Command.ReplyType()
	switch b := req.Body.(type) {
	case *protocol.ClusterID:
		root := g.engine.Root()
		return protocol.ClusterIDReply{ClusterID: root.ClusterID(), SignedRequests: root.ClusterID() != "",
			MaxRequest: max(g.policy.MaxRequest, protocol.MaxRequestBytes), Type: ok}, nil
	case *protocol.ClusterQuery:
		if req.Type == "cluster_members" {
			return protocol.ClusterMembersReply{Members: g.engine.Members(ctx), Type: ok}, nil
		}
		status := g.engine.Status(ctx)
		status.Type = ok
		return status, nil
	case *protocol.ClusterJoinToken:
		token, expires, e := g.engine.JoinToken(ctx, b.NonVoter, time.Duration(b.TTLSeconds)*time.Second)
		if e != nil {
			return nil, e
		}
		reply := protocol.ClusterJoinTokenReply{JoinToken: token, ExpiresAt: expires.UTC().Format(time.RFC3339), Type: ok}
		if parsed, err := peer.ParseToken(token); err == nil {
			reply.Name = parsed.Name
		}
		return reply, nil
	case *protocol.ClusterTarget:
		reply := protocol.ClusterChangeReply{MemberID: b.MemberID, Type: ok}
		var e *protocol.Error
		switch req.Type {
		case "cluster_transfer_leadership":
			e = g.engine.TransferLeadership(ctx, b.MemberID)
			reply.LeaderID = g.engine.LeaderID()
		case "cluster_promote":
			e = g.engine.Promote(ctx, b.MemberID)
		case "cluster_repair":
			e = g.engine.Repair(ctx, b.MemberID)
		case "cluster_remove":
			e = g.engine.Remove(ctx, b.MemberID, b.Force)
		}
		return reply, e
	}
	return nil, protocol.Errorf(protocol.CodeInternal, "%s has no handler", req.Type)
}
