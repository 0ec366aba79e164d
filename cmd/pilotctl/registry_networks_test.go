package main

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

// networkToken is the admin token of the registry's network 3.
const networkToken = "net-s3cret"

// answerMembers answers for roles, invites, policies and identities. What a
// request asked for comes back in the reply.
func (r *registry) answerMembers(req *protocol.Request, typ string) (any, *protocol.Error) {
	switch b := req.Body.(type) {
	case *protocol.DeleteNetwork:
		if b.NetworkID != 3 {
			return nil, protocol.Refusef(protocol.CodeNotFound, "network %d: network not found", b.NetworkID)
		}
		return protocol.DeleteNetworkReply{NetworkID: b.NetworkID, Type: typ}, nil
	case *protocol.RenameNetwork:
		return protocol.RenameNetworkReply{Name: b.Name, NetworkID: b.NetworkID, Type: typ}, nil
	case *protocol.SetNetworkEnterprise:
		return protocol.SetNetworkEnterpriseReply{Enterprise: b.Enterprise, NetworkID: b.NetworkID, Type: typ}, nil
	case *protocol.TransferOwnership:
		return protocol.TransferOwnershipReply{NetworkID: b.NetworkID, OldOwner: 1, NewOwner: b.NewOwnerID, Type: typ}, nil
	case *protocol.PromoteMember:
		reply := protocol.MemberRoleReply{NetworkID: b.NetworkID, Role: "admin", TargetNodeID: b.TargetNodeID, Type: typ}
		if b.ForSeconds == 4*3600 {
			reply.ExpiresAt = "2026-01-31T14:00:00Z"
		}
		return reply, nil
	case *protocol.DemoteMember:
		return protocol.MemberRoleReply{NetworkID: b.NetworkID, Role: "member", TargetNodeID: b.TargetNodeID, Type: typ}, nil
	case *protocol.KickMember:
		return protocol.KickMemberReply{NetworkID: b.NetworkID, TargetNodeID: b.TargetNodeID, Type: typ}, nil
	case *protocol.InviteToNetwork:
		reply := protocol.InviteToNetworkReply{NetworkID: b.NetworkID, TargetNodeID: b.TargetNodeID, Type: typ}
		if b.ForSeconds == 30*24*3600 {
			reply.Status = "already_invited"
		}
		return reply, nil
	case *protocol.RespondInvite:
		return protocol.RespondInviteReply{Accepted: b.Accept, NetworkID: b.NetworkID, Type: typ}, nil
	case *protocol.SetNetworkPolicy:
		return r.setPolicy(b, typ)
	case *protocol.NetworkRequest:
		return r.policy(b.NetworkID, typ), nil
	case *protocol.SetExternalID:
		r.nodes[b.NodeID].externalID = b.ExternalID
		return protocol.SetExternalIDReply{ExternalID: b.ExternalID, NodeID: b.NodeID, Type: typ}, nil
	}
	return nil, nil
}

func (r *registry) setPolicy(b *protocol.SetNetworkPolicy, typ string) (any, *protocol.Error) {
	if e := b.Check(); e != nil {
		return nil, e
	}
	if b.MaxMembers != nil {
		r.maxMembers = uint32(*b.MaxMembers)
	}
	if b.AllowedPorts != nil {
		r.ports = b.Ports()
	}
	if b.Description != nil {
		r.description = *b.Description
	}
	r.revision++
	return r.policy(b.NetworkID, typ), nil
}

func (r *registry) policy(network uint16, typ string) protocol.NetworkPolicyReply {
	return protocol.NetworkPolicyReply{AllowedPorts: append([]uint16{}, r.ports...), Description: r.description, MaxMembers: r.maxMembers,
		NetworkID: network, Revision: r.revision, Type: typ}
}
