// SPDX-License-Identifier: Apache-2.0

package console

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

type networksData struct {
	Query    string
	Networks []protocol.ListedNetwork
	Total    int
	turns
}

func (c *Console) networksPage(v *visit) (*content, *protocol.Error) {
	list, e := ask[protocol.ListNetworksReply](v, "list_networks", nil)
	if e != nil {
		return nil, e
	}
	d := &networksData{Query: strings.TrimSpace(v.r.URL.Query().Get("q"))}
	kept := slices.DeleteFunc(slices.Clone(list.Networks), func(n protocol.ListedNetwork) bool {
		return d.Query != "" && !strings.Contains(strings.ToLower(n.Name), strings.ToLower(d.Query)) && strconv.Itoa(int(n.ID)) != d.Query
	})
	d.Total = len(kept)
	if d.Total > 0 && kept[0].ID == 0 {
		d.Total-- // the backbone is there always
	}
	d.Networks, d.turns = paged(kept, v.r.URL)
	return &content{Template: "networks", Title: "Which networks are there?", Data: d, Command: "pilotctl network list"}, nil
}

type networkData struct {
	Network   protocol.ListedNetwork
	Policy    *protocol.NetworkPolicyReply
	Directory *protocol.DirectoryStatusReply
	// Waiting are roles that nodes get when they join; More is how many are not shown.
	Waiting []protocol.BlueprintRole
	More    int
	Members []protocol.ListedNode
	Total   int
	turns
	Events []protocol.AuditEntry
}

func (c *Console) networkPage(v *visit) (*content, *protocol.Error) {
	id, e := v.networkID()
	if e != nil {
		return nil, e
	}
	list, e := ask[protocol.ListNetworksReply](v, "list_networks", nil)
	if e != nil {
		return nil, e
	}
	n := slices.IndexFunc(list.Networks, func(n protocol.ListedNetwork) bool { return n.ID == id })
	if n < 0 {
		return nil, protocol.Refusef(protocol.CodeNotFound, "network %d: network not found", id)
	}
	d := &networkData{Network: list.Networks[n]}
	if d.Policy, e = ask[protocol.NetworkPolicyReply](v, "get_network_policy", map[string]any{"network_id": id}); e != nil {
		return nil, e
	}
	if d.Network.Enterprise {
		if d.Directory, e = ask[protocol.DirectoryStatusReply](v, "directory_status", map[string]any{"network_id": id}); e != nil {
			return nil, e
		}
	}
	if e := d.waiting(v); e != nil {
		return nil, e
	}
	members, _, e := v.nodes(id, func(*protocol.ListedNode) bool { return true })
	if e != nil {
		return nil, e
	}
	rank := map[string]int{"owner": 0, "admin": 1}
	slices.SortFunc(members, func(a, b protocol.ListedNode) int {
		return cmp.Or(roleRank(rank, a.Role)-roleRank(rank, b.Role), cmp.Compare(a.NodeID, b.NodeID))
	})
	d.Total = len(members)
	d.Members, d.turns = paged(members, v.r.URL)
	log, e := ask[protocol.GetAuditLogReply](v, "get_audit_log", map[string]any{"network_id": id, "limit": 20})
	if e != nil {
		return nil, e
	}
	d.Events = log.Entries
	title := fmt.Sprintf("Who may do what in %s?", d.Network.Name)
	return &content{Template: "network", Title: title, Data: d, Command: fmt.Sprintf("pilotctl network members %d", id)}, nil
}

// waiting finds the roles that wait for someone.
func (d *networkData) waiting(v *visit) *protocol.Error {
	if d.Directory == nil || d.Directory.PreAssignments == 0 {
		return nil
	}
	known, e := v.provisioned(d.Network.ID)
	if e != nil {
		return e
	}
	d.Waiting = known.Roles[:min(len(known.Roles), perPage)]
	d.More = len(known.Roles) - len(d.Waiting)
	return nil
}

// networkID is the network in the address.
func (v *visit) networkID() (uint16, *protocol.Error) {
	id, err := strconv.ParseUint(v.r.PathValue("id"), 10, 16)
	if err != nil {
		return 0, protocol.Errorf(protocol.CodeInvalid, "%s is not a network id", protocol.Quote(v.r.PathValue("id")))
	}
	return uint16(id), nil
}

func roleRank(rank map[string]int, role string) int {
	if n, ok := rank[role]; ok {
		return n
	}
	return len(rank)
}
