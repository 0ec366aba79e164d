// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

const adminToken = "s3cret"

// registry is a registry made of a map, good enough to talk to. Node ids from
// 9000 on stand for the errors in faults.
type registry struct {
	mu    sync.Mutex
	nodes map[uint32]*node
	trust map[[2]uint32]bool
	// rotations says what happens to the next rotate_key.
	rotations string
	policyState
	auditState
	sinkState
}

// policyState is the policy of every network.
type policyState struct {
	memberTags  []string
	expr        string
	maxMembers  uint32
	ports       []uint16
	description string
	revision    uint64
}

type node struct {
	key      protocol.PublicKey
	hostname string
	tags     []string
	public   bool
	polo     int64
	inbox    []protocol.HandshakeRequest

	externalID string
}

var faults = map[uint32]*protocol.Error{
	9001: protocol.Errorf(protocol.CodeInternal, "something broke"),
	9002: protocol.Errorf(protocol.CodeInvalid, "invalid something"),
	9003: protocol.Refusef(protocol.CodeNotFound, "node 9003: node not found"),
	9004: protocol.Refusef(protocol.CodePermissionDenied, "not yours"),
	9005: later(protocol.CodeNoLeader, "no leader"),
	9006: protocol.Refusef(protocol.CodeConflict, "already so"),
	9007: protocol.Unknownf(protocol.CodeOutcomeUnknown, "leadership was lost"),
	9008: later(protocol.CodeJWKS, "JWKS: fetch keys: connection refused"),
	9009: later(protocol.CodeIdentityFailed, "identity webhook returned status 500"),
}

// later is a failure that asks for more patience than any script has, so that
// one sending decides however slow the machine is.
func later(code, text string) *protocol.Error {
	e := protocol.NotAppliedf(code, "%s", text)
	e.RetryAfterMS = time.Hour.Milliseconds()
	return e
}

func newRegistry() *registry {
	return &registry{nodes: map[uint32]*node{}, trust: map[[2]uint32]bool{}, auditState: newAuditState()}
}

func (r *registry) Repeats(*protocol.Register) bool { return false }

func (r *registry) Subscribe(context.Context, *server.ConnState, *protocol.Request, func([]byte) error) *protocol.Error {
	return protocol.Errorf(protocol.CodeTokenInvalid, "replication not configured")
}

func (r *registry) Serve(_ context.Context, conn *server.ConnState, req *protocol.Request) server.Reply {
	r.mu.Lock()
	defer r.mu.Unlock()
	body, e := r.answer(conn, req)
	reply := server.Reply{Body: body, Err: e}
	if req.Consistency == protocol.Stale {
		reply.Stale, reply.Age = true, time.Minute
	}
	if b, ok := req.Body.(*protocol.SetPoloScore); ok && b.NodeID == 9014 {
		reply.Index, reply.Replayed = 1, true
	}
	return reply
}

func (r *registry) answer(conn *server.ConnState, req *protocol.Request) (any, *protocol.Error) {
	if e := r.authorise(req); e != nil {
		return nil, e
	}
	typ := req.Command.ReplyType()
	switch b := req.Body.(type) {
	case *protocol.Register:
		return r.register(conn, b), nil
	case *protocol.NodeRequest:
		if b.RequesterID != 0 && !r.signedBy(req, b.RequesterID) {
			return nil, protocol.Refusef(protocol.CodeSignatureInvalid, "signature verification failed")
		}
		reply, e := r.about(req.Type, typ, b.NodeID)
		if found, ok := reply.(protocol.LookupReply); ok && b.RequesterID != 0 {
			found.ExternalID = "for-members@example.org"
			reply = found
		}
		return reply, e
	case *protocol.SetHostname:
		r.nodes[b.NodeID].hostname = b.Hostname
		return protocol.SetHostnameReply{Hostname: b.Hostname, NodeID: b.NodeID, Type: typ}, nil
	case *protocol.SetTags:
		r.nodes[b.NodeID].tags = b.Tags
		return protocol.SetTagsReply{NodeID: b.NodeID, Tags: b.Tags, Type: typ}, nil
	case *protocol.SetVisibility:
		r.nodes[b.NodeID].public = b.Public
		return protocol.SetVisibilityReply{NodeID: b.NodeID, Type: typ, Visibility: map[bool]string{true: "public", false: "private"}[b.Public]}, nil
	case *protocol.SetTaskExec:
		return protocol.SetTaskExecReply{NodeID: b.NodeID, TaskExec: b.Enabled, Type: typ}, nil
	case *protocol.ResolveHostname:
		return r.find(b, typ)
	case *protocol.Resolve:
		return protocol.ResolveReply{NodeID: b.NodeID, RealAddr: "203.0.113.9:4000", LANAddrs: []string{"10.0.0.4:4000"}, Type: typ}, nil
	case *protocol.Trust:
		return r.trusting(req.Type, typ, b)
	case *protocol.SetPoloScore:
		return r.setPolo(b, typ)
	case *protocol.UpdatePoloScore:
		r.nodes[b.NodeID].polo += int64(*b.Delta)
		return protocol.PoloScoreReply{NodeID: b.NodeID, PoloScore: r.nodes[b.NodeID].polo, Type: typ}, nil
	case *protocol.RotateKey:
		return r.rotate(b, typ)
	case *protocol.RequestHandshake:
		to := r.nodes[b.ToNodeID]
		to.inbox = append(to.inbox, protocol.HandshakeRequest{FromNodeID: b.FromNodeID, Justification: b.Justification, Timestamp: 1769853600})
		return protocol.RequestHandshakeReply{Status: "delivered", Type: typ}, nil
	case *protocol.PollHandshakes:
		inbox := append([]protocol.HandshakeRequest{}, r.nodes[b.NodeID].inbox...)
		r.nodes[b.NodeID].inbox = nil
		return protocol.PollHandshakesReply{Requests: inbox, Responses: []protocol.HandshakeResponse{}, Type: typ}, nil
	case *protocol.RespondHandshake:
		r.trust[pair(b.NodeID, b.PeerID)] = b.Accept
		return protocol.RespondHandshakeReply{Accept: b.Accept, PeerID: b.PeerID, Type: typ}, nil
	case *protocol.SetKeyExpiry:
		return protocol.SetKeyExpiryReply{ExpiresAt: b.ExpiresAt, NodeID: b.NodeID, Type: typ}, nil
	}
	if reply, e := r.answerMembers(req, typ); reply != nil || e != nil {
		return reply, e
	}
	if reply, e := r.answerAudit(req, typ); reply != nil || e != nil {
		return reply, e
	}
	return r.answerNetworks(req, typ)
}

// authorise does what the tests rely on: admin commands need the token, and
// signed ones the signature of a node that exists.
func (r *registry) authorise(req *protocol.Request) *protocol.Error {
	row := req.Command
	signer := protocol.SignerID(row, req.Body)
	if e := faults[signer]; e != nil {
		return e
	}
	admin := string(req.AdminToken) == adminToken
	switch row.Auth {
	case protocol.AuthOpen:
		return nil
	case protocol.AuthAdmin:
		if !admin {
			return protocol.Errorf(protocol.CodeAdminToken, "invalid admin token")
		}
		return nil
	}
	token := string(req.AdminToken) == networkToken && protocol.NetworkID(row, req.Body) == 3
	if row.Auth == protocol.AuthRole && (admin || token) {
		return nil
	}
	n := r.nodes[signer]
	if n == nil {
		return protocol.Refusef(protocol.CodeNotFound, "node %d: node not found", signer)
	}
	if r.signedBy(req, signer) || admin && row.Auth == protocol.AuthSignatureOrAdmin {
		return nil
	}
	return protocol.Refusef(protocol.CodeSignatureInvalid, "signature verification failed")
}

func (r *registry) signedBy(req *protocol.Request, signer uint32) bool {
	n := r.nodes[signer]
	signature, _ := base64.StdEncoding.DecodeString(string(req.Signature))
	return n != nil && ed25519.Verify(n.key[:], []byte(protocol.ChallengeText(req.Command, req.Body)), signature)
}

func (r *registry) register(conn *server.ConnState, b *protocol.Register) any {
	key, _ := protocol.ParsePublicKey(b.PublicKey)
	id := uint32(0)
	for known, n := range r.nodes {
		if n.key == key {
			id = known
		}
	}
	if id == 0 {
		id = uint32(len(r.nodes) + 1)
		r.nodes[id] = &node{key: key}
	}
	reply := protocol.RegisterReply{Address: protocol.Address{Node: id}.String(), NodeID: id, ObservedAddr: protocol.SanitizeEndpoint(conn.Source, b.ListenAddr),
		ProtocolVersion: 1, PublicKey: b.PublicKey, Type: "register_ok"}
	if text := protocol.CheckHostname(b.Hostname); b.Hostname != "" && text != "" {
		reply.HostnameError = text
	} else if b.Hostname != "taken" {
		r.nodes[id].hostname, reply.Hostname = b.Hostname, b.Hostname
	}
	return reply
}

func (r *registry) about(command, typ string, id uint32) (any, *protocol.Error) {
	if e := faults[id]; e != nil {
		return nil, e
	}
	n := r.nodes[id]
	if n == nil {
		return nil, protocol.Refusef(protocol.CodeNotFound, "node %d: node not found", id)
	}
	switch command {
	case "lookup":
		return protocol.LookupReply{Address: protocol.Address{Node: id}.String(), NodeID: id, Hostname: n.hostname, Networks: []uint16{0}, Public: n.public,
			PublicKey: n.key.String(), Tags: n.tags, PoloScore: n.polo, Type: typ}, nil
	case "heartbeat":
		return protocol.HeartbeatReply{Time: 1769853600, Type: typ}, nil
	case "get_identity":
		return protocol.GetIdentityReply{ExternalID: n.externalID, NodeID: id, Type: typ}, nil
	case "poll_invites":
		return protocol.PollInvitesReply{Invites: []protocol.Invite{{InviterID: 7, NetworkID: 3, Timestamp: 1769853600}}, Type: typ}, nil
	case "get_polo_score":
		return protocol.PoloScoreReply{Address: protocol.Address{Node: id}.String(), NodeID: id, PoloScore: n.polo, Type: typ}, nil
	case "get_key_info":
		return protocol.GetKeyInfoReply{CreatedAt: "2026-01-31T10:00:00Z", NodeID: id, Type: typ}, nil
	}
	delete(r.nodes, id)
	return protocol.EmptyReply{Type: typ}, nil
}

func (r *registry) find(b *protocol.ResolveHostname, typ string) (any, *protocol.Error) {
	for id, n := range r.nodes {
		if n.hostname == b.Hostname && (n.public || b.RequesterID == id || r.trust[pair(id, b.RequesterID)]) {
			return protocol.ResolveHostnameReply{Address: protocol.Address{Node: id}.String(), Hostname: b.Hostname, NodeID: id, Public: n.public, Type: typ}, nil
		}
	}
	return nil, protocol.Refusef(protocol.CodeNotFound, "hostname %q not found", b.Hostname)
}

func pair(a, b uint32) [2]uint32 { return [2]uint32{min(a, b), max(a, b)} }

func (r *registry) trusting(command, typ string, b *protocol.Trust) (any, *protocol.Error) {
	p := pair(b.NodeID, b.PeerID)
	switch {
	case command == "check_trust":
		return protocol.CheckTrustReply{Trusted: r.trust[p], Type: typ}, nil
	case command == "revoke_trust" && !r.trust[p]:
		return nil, protocol.Refusef(protocol.CodeNotFound, "no trust pair between %d and %d", b.NodeID, b.PeerID)
	}
	r.trust[p] = command == "report_trust"
	return protocol.EmptyReply{Type: typ}, nil
}

// setPolo also is how scripts choose what the next rotation meets.
func (r *registry) setPolo(b *protocol.SetPoloScore, typ string) (any, *protocol.Error) {
	if e := faults[b.NodeID]; e != nil {
		return nil, e
	}
	switch b.NodeID {
	case 9010:
		r.rotations = "unknown, applied"
	case 9011:
		r.rotations = "unknown, not applied"
	case 9012:
		r.rotations = "refused"
	case 9013, 9014:
		r.rotations = ""
	default:
		r.nodes[b.NodeID].polo = int64(*b.PoloScore)
	}
	return protocol.PoloScoreReply{NodeID: b.NodeID, PoloScore: int64(*b.PoloScore), Type: typ}, nil
}

func (r *registry) rotate(b *protocol.RotateKey, typ string) (any, *protocol.Error) {
	mode := r.rotations
	if mode == "refused" {
		return nil, protocol.Refusef(protocol.CodeConflict, "key already in use by another node")
	}
	if !strings.Contains(mode, "not applied") {
		r.nodes[b.NodeID].key, _ = protocol.ParsePublicKey(b.NewPublicKey)
	}
	if mode != "" {
		return nil, protocol.Unknownf(protocol.CodeOutcomeUnknown, "leadership was lost")
	}
	return protocol.RotateKeyReply{Address: protocol.Address{Node: b.NodeID}.String(), NodeID: b.NodeID, PublicKey: b.NewPublicKey, Type: typ}, nil
}
