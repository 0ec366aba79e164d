// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

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
	case *protocol.SetExprPolicy:
		r.expr = *b.ExprPolicy
		return protocol.SetExprPolicyReply{NetworkID: b.NetworkID, Cleared: r.expr == "", Type: typ}, nil
	case *protocol.SetMemberTags:
		r.memberTags = append([]string{}, b.Tags...)
		return protocol.SetMemberTagsReply{NetworkID: b.NetworkID, TargetNodeID: b.TargetNodeID, Tags: r.memberTags, Type: typ}, nil
	case *protocol.GetMemberTags:
		if b.TargetNodeID != 0 {
			return protocol.GetMemberTagsReply{NetworkID: b.NetworkID, TargetNodeID: b.TargetNodeID, Tags: r.memberTags, Type: typ}, nil
		}
		return protocol.GetMemberTagsReply{NetworkID: b.NetworkID, Members: map[string][]string{"10": {}, "9": r.memberTags}, Type: typ}, nil
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
		if req.Type == "directory_status" {
			return protocol.DirectoryStatusReply{Enterprise: true, NetworkID: b.NetworkID, Total: 3, Mapped: 2, Unmapped: 1, LastSync: "2026-01-31T10:00:00Z", Type: typ}, nil
		}
		if req.Type == "get_expr_policy" {
			return protocol.GetExprPolicyReply{NetworkID: b.NetworkID, ExprPolicy: protocol.ExprPolicyJSON(r.expr), Type: typ}, nil
		}
		return r.policy(b.NetworkID, typ), nil
	case *protocol.GetProvisionStatus:
		reply := protocol.ProvisionStatusReply{Type: typ, Networks: []protocol.ProvisionedNetwork{{AllowedPorts: r.ports, Description: r.description, Enterprise: true,
			JoinRule: "token", MaxMembers: r.maxMembers, Members: 1, Name: "lab", NetworkID: 3, Revision: r.revision, RBACPreAssignments: 1}}}
		if b.Details {
			reply.Networks[0].Roles = []protocol.BlueprintRole{{ExternalID: "ann@x", Role: "admin"}}
		}
		return reply, nil
	case *protocol.ProvisionNetwork:
		if e := b.Check(); b.Blueprint == nil || b.Blueprint.JoinRule != "token" && e != nil {
			return nil, e
		}
		return protocol.ProvisionNetworkReply{Actions: []string{"found existing network 3 (lab)", "applied network policy"}, DryRun: req.DryRun, Name: b.Blueprint.Name,
			NetworkID: 3, Revision: r.revision, Warnings: []string{"a\x1b[31mwarning"}, Type: typ}, nil
	case *protocol.DirectorySync:
		if b.IfRevision != nil && *b.IfRevision != r.revision {
			return nil, protocol.Refusef(protocol.CodeConflict, "network 3 is at revision %d", r.revision)
		}
		reply := protocol.DirectorySyncReply{Actions: []string{}, DryRun: req.DryRun, Mapped: uint32(len(b.Entries)), NetworkID: b.NetworkID, Revision: r.revision, PreAssigned: 1, Type: typ}
		if b.ConfirmRemovals != nil {
			reply.Actions, reply.Disabled = append(reply.Actions, "disabled ann@x (node 2)"), uint32(*b.ConfirmRemovals)
		}
		return reply, nil
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

func (r *registry) answerNetworks(req *protocol.Request, typ string) (any, *protocol.Error) {
	switch b := req.Body.(type) {
	case *protocol.CreateNetwork:
		if b.JoinRule == protocol.JoinToken && b.Token != "open sesame" {
			return nil, protocol.Errorf(protocol.CodeInvalid, "wrong test token")
		}
		return protocol.CreateNetworkReply{Enterprise: b.Enterprise, Name: b.Name, NetworkID: 3, Type: typ}, nil
	case *protocol.JoinNetwork:
		if b.Token != "" && b.Token != "open sesame" {
			return nil, protocol.Errorf(protocol.CodeTokenInvalid, "invalid token for network %d", b.NetworkID)
		}
		return protocol.JoinNetworkReply{Address: protocol.Address{Network: b.NetworkID, Node: b.NodeID}.String(), NetworkID: b.NetworkID, Type: typ}, nil
	case *protocol.LeaveNetwork:
		return protocol.LeaveNetworkReply{NetworkID: b.NetworkID, Type: typ}, nil
	case *protocol.ListNetworks:
		return protocol.ListNetworksReply{Type: typ, Networks: []protocol.ListedNetwork{
			{ID: 0, Name: "backbone", JoinRule: "open", Members: 2}, {ID: 3, Name: "lab", JoinRule: "token", Members: 1, Enterprise: true, Created: 1769853600}}}, nil
	case *protocol.ListNodes:
		public, score := true, int64(4)
		all := []protocol.ListedNode{
			{Address: "3:0003.0000.0001", NodeID: 1, Hostname: "alpha\x1b[31m", Public: &public, PoloScore: &score, Role: "owner", Tags: []string{"a", "b"}},
			{Address: "3:0003.0000.0009", NodeID: 9, Offline: true, Role: "member"}}
		if req.Options.Limit == 1 {
			return protocol.ListNodesReply{NextCursor: "after-1", Nodes: all[:1], Type: typ}, nil
		}
		return protocol.ListNodesReply{Nodes: all, Type: typ}, nil
	case *protocol.GetMemberRole:
		return protocol.GetMemberRoleReply{NetworkID: b.NetworkID, Role: "owner", TargetNodeID: b.TargetNodeID, Type: typ}, nil
	case *protocol.BeaconRegister:
		return protocol.BeaconRegisterReply{BeaconID: b.BeaconID, Type: typ}, nil
	case *protocol.BeaconList:
		return protocol.BeaconListReply{Beacons: []protocol.Beacon{}, Type: typ}, nil
	case *protocol.ClusterTarget:
		return protocol.ClusterChangeReply{MemberID: b.MemberID, Type: typ}, nil
	case *protocol.ClusterJoinToken:
		return protocol.ClusterJoinTokenReply{ExpiresAt: "2030-01-01T00:00:00Z", JoinToken: fmt.Sprintf("join-%v-%d", b.NonVoter, b.TTLSeconds), Type: typ}, nil
	}
	members := []protocol.ClusterMember{
		{ID: "m1", Address: "10.0.0.1:9100", Role: "leader", Suffrage: "voter", Reachable: true, AppliedIndex: 12},
		{ID: "m2", Address: "10.0.0.2:9100", Role: "follower", Suffrage: "voter", Problem: "connection refused"}}
	if req.Type == "cluster_members" {
		return protocol.ClusterMembersReply{Members: members, Type: typ}, nil
	}
	return protocol.ClusterStatusReply{ClusterID: "c1", MemberID: "m1", LeaderID: "m1", State: "Leader", Ready: true, Nodes: len(r.nodes), Members: members,
		Problems: []string{"m2 is not reachable", "member m2: it lags"}, NextSteps: []string{"start the members that are down", "look at member m2"}, Next: "start the members that are down", Term: 4, Type: typ}, nil
}
