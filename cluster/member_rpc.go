// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/cluster/base/spans"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Requests between members. Numbers are never reused: members of neighbouring
// versions talk to each other during an upgrade.
const (
	rpcPropose byte = 1 + iota
	rpcReadIndex
	rpcConfirm
	rpcStatus
	rpcDigest
	rpcHello
	rpcJoin
	rpcAdmin
	rpcKeyring
	rpcNudge
	rpcLogSums
	rpcFence
	rpcMark
	rpcMarks
	rpcRepair
)

// rpcNames are the requests in traces.
var rpcNames = [...]string{rpcPropose: "propose", rpcReadIndex: "read_index", rpcConfirm: "confirm", rpcStatus: "status", rpcDigest: "digest",
	rpcHello: "hello", rpcJoin: "join", rpcAdmin: "admin", rpcKeyring: "keyring", rpcNudge: "nudge", rpcLogSums: "log_sums", rpcFence: "fence",
	rpcMark: "mark", rpcMarks: "marks", rpcRepair: "repair"}

func rpcName(typ byte) string {
	if int(typ) < len(rpcNames) && rpcNames[typ] != "" {
		return rpcNames[typ]
	}
	return "unknown"
}

// handle answers one request of another member.
func (n *Member) handle(ctx context.Context, from string, typ byte, payload []byte) ([]byte, *protocol.Error) {
	if !n.self.started() {
		return nil, n.starting()
	}
	ctx, stage := spans.Serve(ctx, n.self.tracer, rpcName(typ))
	answer, e := n.serve(ctx, from, typ, payload)
	stage.End(e)
	return answer, e
}

func (n *Member) serve(ctx context.Context, from string, typ byte, payload []byte) ([]byte, *protocol.Error) {
	switch typ {
	case rpcPropose:
		return n.writes.handlePropose(ctx, payload)
	case rpcReadIndex:
		return n.reads.handleReadIndex(ctx)
	case rpcConfirm:
		return n.reads.handleConfirm(payload)
	case rpcStatus:
		return encodeJSON(n.report.local())
	case rpcDigest:
		return n.digests.handleDigest(payload)
	case rpcHello:
		return n.roster.handleHello(ctx, from, payload)
	case rpcJoin:
		return n.roster.handleJoin(ctx, payload)
	case rpcAdmin:
		return n.handleAdmin(ctx, from, payload)
	case rpcKeyring:
		return n.keys.handleKeyring(payload)
	case rpcNudge:
		return n.term.handleNudge(ctx, payload)
	case rpcFence:
		return n.fence.handleFence(from, payload)
	case rpcMark:
		_, quarantined := n.health.Quarantined()
		return n.confirm.handleMark(from, quarantined)
	case rpcMarks:
		return n.marks.handleMarks(payload)
	case rpcRepair:
		return n.repairs.handleRepair(from, payload)
	case rpcLogSums:
		return n.digests.handleLogSums(payload)
	}
	return nil, protocol.NotAppliedf(protocol.CodeNotImplemented, "member %s (version %s) does not know request type %d", n.self.id, n.self.cfg.Version, typ)
}

func (n *Member) starting() *protocol.Error {
	return protocol.NotAppliedf(codeNotReady, "member %s is starting", n.self.id)
}

// join serves a machine that wants to join, once the member is wired.
func (n *Member) join(ctx context.Context, remote string, payload []byte) ([]byte, *protocol.Error) {
	select {
	case <-n.self.up:
		return n.roster.handleJoiner(ctx, remote, payload)
	case <-ctx.Done():
		return nil, n.starting()
	}
}

// authorize decides which members may connect: those of the configuration,
// those that have joined but are not in it yet, and those that a current
// member has just told us about.
func (n *Member) authorize(id, proto string) *protocol.Error {
	own := id == n.self.id && proto == peer.ProtoRPC
	if !n.self.started() {
		if own {
			return nil
		}
		return n.starting()
	}
	if proto == peer.ProtoRaft {
		if reason, yes := n.health.Quarantined(); yes {
			return protocol.NotAppliedf(protocol.CodeQuarantined, "member %s is quarantined: %s", n.self.id, reason)
		}
	}
	if own || n.roster.knows(id) {
		return nil
	}
	if n.fence.leftBehind(id) {
		return protocol.Errorf(peer.CodeNotMember, "member %s was left behind when cluster %s was recovered (epoch %d); join again with an empty data directory", id, n.self.clusterID, n.fence.epoch)
	}
	n.hello.said.refresh()
	return protocol.Errorf(peer.CodeNotMember, "member %s is not in the configuration of cluster %s that member %s knows: it was removed, or has to join again", id, n.self.clusterID, n.self.id)
}

// caller sends a request to another member and waits for the answer.
type caller interface {
	Call(ctx context.Context, memberID string, typ byte, payload []byte) ([]byte, error)
}

// callJSON calls another member with JSON both ways.
func callJSON(ctx context.Context, peers caller, id string, typ byte, req, reply any) error {
	raw, err := json.Marshal(req)
	if err != nil {
		return err
	}
	answer, err := peers.Call(ctx, id, typ, raw)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, reply)
}

func encodeJSON(v any) ([]byte, *protocol.Error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInternal, "encode answer: %v", err)
	}
	return raw, nil
}

// router brings requests to the leader.
type router struct {
	id    string
	term  interface{ leaderID() string }
	peers caller
}

// once runs lead on the leader: here, or over one hop, which is marked in the
// request so that it is never sent on again.
func (r *router) once(ctx context.Context, typ byte, forwarded *bool, req any, lead func(context.Context) ([]byte, *protocol.Error)) ([]byte, *protocol.Error) {
	leader := r.term.leaderID()
	switch {
	case leader == r.id:
		return lead(ctx)
	case leader == "" || *forwarded:
		return nil, protocol.NotAppliedf(protocol.CodeNoLeader, "member %s knows no leader to ask; try again", r.id)
	}
	*forwarded = true
	raw, err := json.Marshal(req)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInternal, "encode request: %v", err)
	}
	answer, err := r.peers.Call(ctx, leader, typ, raw)
	if err != nil {
		return nil, transportOutcome(err)
	}
	return answer, nil
}

// notMember reports whether the error says that the peer does not accept us.
func notMember(err error) bool { return errors.Is(err, peer.ErrNotMember) }
