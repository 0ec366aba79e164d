// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
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
)

// handle answers one request of another member.
func (n *Member) handle(ctx context.Context, from string, typ byte, payload []byte) ([]byte, *protocol.Error) {
	select {
	case <-n.up:
	default:
		return nil, protocol.NotAppliedf(codeNotReady, "member %s is starting", n.id)
	}
	switch typ {
	case rpcPropose:
		return n.handlePropose(ctx, payload)
	case rpcReadIndex:
		return n.handleReadIndex(ctx)
	case rpcConfirm:
		return n.handleConfirm(payload)
	case rpcStatus:
		return encodeJSON(n.localStatus())
	case rpcDigest:
		return n.handleDigest(payload)
	case rpcHello:
		return n.handleHello(ctx, from, payload)
	case rpcJoin:
		return n.handleJoin(ctx, payload)
	case rpcAdmin:
		return n.handleAdmin(ctx, from, payload)
	case rpcKeyring:
		return n.handleKeyring(payload)
	case rpcNudge:
		return n.handleNudge(ctx, payload)
	case rpcLogSums:
		return n.handleLogSums(payload)
	}
	return nil, protocol.NotAppliedf(protocol.CodeNotImplemented, "member %s (version %s) does not know request type %d", n.id, n.cfg.Version, typ)
}

// callJSON calls another member with JSON both ways.
func (n *Member) callJSON(ctx context.Context, id string, typ byte, req, reply any) error {
	raw, err := json.Marshal(req)
	if err != nil {
		return err
	}
	answer, err := n.client.Call(ctx, id, typ, raw)
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

// routeOnce runs lead on the leader: here, or over one hop, which is marked in
// the request so that it is never sent on again.
func (n *Member) routeOnce(ctx context.Context, typ byte, forwarded *bool, req any, lead func(context.Context) ([]byte, *protocol.Error)) ([]byte, *protocol.Error) {
	leader := n.leaderID()
	switch {
	case leader == n.id:
		return lead(ctx)
	case leader == "" || *forwarded:
		return nil, protocol.NotAppliedf(protocol.CodeNoLeader, "member %s knows no leader to ask; try again", n.id)
	}
	*forwarded = true
	raw, err := json.Marshal(req)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInternal, "encode request: %v", err)
	}
	answer, err := n.client.Call(ctx, leader, typ, raw)
	if err != nil {
		return nil, transportOutcome(err)
	}
	return answer, nil
}

// authorize decides which members may connect: those of the configuration,
// those that have joined but are not in it yet, and those that a current
// member has just told us about.
func (n *Member) authorize(id, proto string) *protocol.Error {
	select {
	case <-n.up:
	default:
		if id == n.id && proto == peer.ProtoRPC {
			return nil
		}
		return protocol.NotAppliedf(codeNotReady, "member %s is starting", n.id)
	}
	if proto == peer.ProtoRaft {
		if reason, yes := n.Quarantined(); yes {
			return protocol.NotAppliedf(protocol.CodeQuarantined, "member %s is quarantined: %s", n.id, reason)
		}
	}
	if id == n.id && proto == peer.ProtoRPC {
		return nil
	}
	if n.knows(id) {
		return nil
	}
	n.hello.refresh()
	return protocol.Errorf(peer.CodeNotMember, "member %s is not in the configuration of cluster %s that member %s knows: it was removed, or has to join again", id, n.clusterID, n.id)
}

func (n *Member) knows(id string) bool {
	for _, s := range n.servers() {
		if string(s.ID) == id {
			return true
		}
	}
	for _, m := range n.Root().Members() {
		if m.ID == id {
			return true
		}
	}
	return n.hello.told(id)
}

// notMember reports whether the error says that the peer does not accept us.
func notMember(err error) bool { return errors.Is(err, peer.ErrNotMember) }
