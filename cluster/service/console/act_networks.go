// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

var joinRules = []string{protocol.JoinOpen, protocol.JoinToken, protocol.JoinInvite}

// networkActions are about a network as a whole.
var networkActions = []action{
	{Path: "create-network", Title: "Create a network", Verb: "Create", Wire: "create_network",
		Lead: "A node owns the new network and may change it.", Fields: createFields, Plan: planCreate},
	{Path: "rename-network", Title: "Rename a network", Verb: "Rename", Wire: "rename_network",
		Lead: "Members stay, and so does the id of the network.", Fields: renameFields, Plan: planRename},
	{Path: "delete-network", Title: "Delete a network", Verb: "Delete", Wire: "delete_network",
		Lead: "All memberships, roles and settings of the network go with it.", Fields: networkOnly, Plan: planDelete},
	{Path: "set-enterprise", Title: "Switch enterprise features", Verb: "Switch", Wire: "set_network_enterprise",
		Lead: "Roles, invites, policies and directories need an enterprise network.", Fields: enterpriseFields, Plan: planEnterprise},
	{Path: "set-policy", Title: "Change a policy", Verb: "Change", Wire: "set_network_policy",
		Lead: "Daemons of members read the policy and keep to it.", Fields: policyFields, Plan: planPolicy},
}

// network finds the network that a form is about.
func (v *visit) network(in values) (*protocol.ListedNetwork, *protocol.Error) {
	id, e := in.number("network")
	if e != nil {
		return nil, e
	}
	list, e := ask[protocol.ListNetworksReply](v, "list_networks", nil)
	if e != nil {
		return nil, e
	}
	n := slices.IndexFunc(list.Networks, func(n protocol.ListedNetwork) bool { return uint64(n.ID) == id })
	if n < 0 || id == 0 {
		return nil, protocol.Refusef(protocol.CodeNotFound, "network %s: network not found", protocol.Quote(in["network"]))
	}
	return &list.Networks[n], nil
}

// networkField names the network and takes it along.
func (v *visit) networkField(in values) (field, *protocol.ListedNetwork, *protocol.Error) {
	n, e := v.network(in)
	if e != nil {
		return field{}, nil, e
	}
	return field{Name: "network", Label: "Network", Kind: kindFixed, Value: strconv.Itoa(int(n.ID)), Hint: n.Name}, n, nil
}

func networkOnly(v *visit, in values) ([]field, *protocol.Error) {
	f, _, e := v.networkField(in)
	return []field{f}, e
}

// ofNetwork begins the plan of a change to a network.
func ofNetwork(n *protocol.ListedNetwork, fields map[string]any) *plan {
	fields["network_id"] = n.ID
	return &plan{Subject: fmt.Sprintf("Network %s (%d)", n.Name, n.ID), Fields: fields, Back: fmt.Sprintf("/networks/%d", n.ID)}
}

func createFields(*visit, values) ([]field, *protocol.Error) {
	return []field{
		{Name: "name", Label: "Name", Kind: kindText, Required: true, Hint: "small letters, digits and hyphens"},
		{Name: "node", Label: "Owner", Kind: kindNumber, Required: true, Hint: "id of a node"},
		{Name: "join_rule", Label: "Who may join", Kind: kindChoice, Choices: joinRules, Value: protocol.JoinOpen, Hint: "invite needs enterprise features"},
		{Name: "token", Label: "Join token", Kind: kindSecret, Hint: "with the join rule token"},
		{Name: "enterprise", Label: "Enterprise features: roles, invites, policy, directory", Kind: kindCheck},
		{Name: "network_admin_token", Label: "Token of the network", Kind: kindSecret, Hint: "optional; whoever has it has the owner's rights in this network"},
	}, nil
}

func planCreate(v *visit, in values) (*plan, *protocol.Error) {
	node, who, e := v.node(in, "node")
	if e != nil {
		return nil, e
	}
	p := &plan{Subject: "Network " + in["name"], Back: "/networks?q=" + in["name"], Fields: map[string]any{
		"node_id": node, "name": in["name"], "join_rule": in["join_rule"], "enterprise": in.yes("enterprise")}}
	in.set(p.Fields, "token", "network_admin_token")
	p.add("Network", "", in["name"])
	p.add("Owner", "", who)
	p.add("Join rule", "", in["join_rule"])
	p.add("Enterprise features", "", yesNo(in.yes("enterprise")))
	if in["token"] != "" {
		p.add("Join token", "", "set")
	}
	if in["network_admin_token"] != "" {
		p.add("Token of the network", "", "set")
	}
	p.Command = fmt.Sprintf("pilotctl network create %s --node-id %d --join-rule %s", quoted(in["name"]), node, in["join_rule"])
	if in.yes("enterprise") {
		p.Command += " --enterprise"
	}
	return p, nil
}

func renameFields(v *visit, in values) ([]field, *protocol.Error) {
	f, n, e := v.networkField(in)
	if e != nil {
		return nil, e
	}
	return []field{f, {Name: "new_name", Label: "New name", Kind: kindText, Value: n.Name, Required: true}}, nil
}

func planRename(v *visit, in values) (*plan, *protocol.Error) {
	n, e := v.network(in)
	if e != nil {
		return nil, e
	}
	if e := protocol.CheckNetworkName(in["new_name"]); e != nil {
		return nil, e
	}
	p := ofNetwork(n, map[string]any{"name": in["new_name"]})
	p.add("Name", n.Name, in["new_name"])
	p.Command = fmt.Sprintf("pilotctl network rename %d %s", n.ID, quoted(in["new_name"]))
	return p, nil
}

func planDelete(v *visit, in values) (*plan, *protocol.Error) {
	n, e := v.network(in)
	if e != nil {
		return nil, e
	}
	p := ofNetwork(n, map[string]any{})
	p.Type, p.Back = n.Name, "/networks"
	p.add("Network", n.Name, "deleted")
	p.add("Memberships", count(n.Members), "none")
	p.Warnings = append(p.Warnings, fmt.Sprintf("%s lose their membership, their role and their address in this network. This cannot be undone.", members(n.Members)))
	p.Command = fmt.Sprintf("pilotctl network delete %d", n.ID)
	return p, nil
}

func members(n int) string {
	if n == 1 {
		return "1 node"
	}
	return count(n) + " nodes"
}

func enterpriseFields(v *visit, in values) ([]field, *protocol.Error) {
	f, n, e := v.networkField(in)
	if e != nil {
		return nil, e
	}
	box := field{Name: "enterprise", Label: "Enterprise features", Kind: kindCheck}
	if n.Enterprise {
		box.Value = "on"
	}
	return []field{f, box}, nil
}

func planEnterprise(v *visit, in values) (*plan, *protocol.Error) {
	n, e := v.network(in)
	if e != nil {
		return nil, e
	}
	on := in.yes("enterprise")
	p := ofNetwork(n, map[string]any{"enterprise": on})
	p.add("Enterprise features", yesNo(n.Enterprise), yesNo(on))
	if n.Enterprise && !on {
		p.Type = n.Name
		p.Warnings = append(p.Warnings, "Roles, invites, the policy and the directory of this network cannot be changed while the features are off.")
	}
	p.Command = fmt.Sprintf("pilotctl network enterprise %d %s", n.ID, map[bool]string{true: "on", false: "off"}[on])
	return p, nil
}

func (v *visit) policy(n *protocol.ListedNetwork) (*protocol.NetworkPolicyReply, *protocol.Error) {
	return ask[protocol.NetworkPolicyReply](v, "get_network_policy", map[string]any{"network_id": n.ID})
}

func policyFields(v *visit, in values) ([]field, *protocol.Error) {
	f, n, e := v.networkField(in)
	if e != nil {
		return nil, e
	}
	have, e := v.policy(n)
	if e != nil {
		return nil, e
	}
	return []field{f,
		{Name: "max_members", Label: "Members at most", Kind: kindNumber, Value: strconv.Itoa(int(have.MaxMembers)), Hint: "0 for any number", Required: true},
		{Name: "ports", Label: "Allowed ports", Kind: kindText, Value: portList(have.AllowedPorts), Hint: "as in 80, 443; none for any"},
		{Name: "description", Label: "Description", Kind: kindLines, Value: have.Description},
	}, nil
}

func portList(ports []uint16) string {
	texts := make([]string, len(ports))
	for i, p := range ports {
		texts[i] = strconv.Itoa(int(p))
	}
	return strings.Join(texts, ", ")
}

func planPolicy(v *visit, in values) (*plan, *protocol.Error) {
	n, e := v.network(in)
	if e != nil {
		return nil, e
	}
	have, e := v.policy(n)
	if e != nil {
		return nil, e
	}
	limit, e := in.number("max_members")
	if e != nil {
		return nil, e
	}
	ports := []uint16{}
	for _, text := range strings.FieldsFunc(in["ports"], func(r rune) bool { return r == ',' || r == ' ' }) {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return nil, protocol.Errorf(protocol.CodeInvalid, "%s is not a port", protocol.Quote(text))
		}
		ports = append(ports, uint16(port))
	}
	p := ofNetwork(n, map[string]any{"max_members": limit, "allowed_ports": ports, "description": in["description"]})
	p.add("Members at most", limitText(uint64(have.MaxMembers)), limitText(limit))
	p.add("Allowed ports", or(portList(have.AllowedPorts), "any"), or(portList(ports), "any"))
	p.add("Description", or(have.Description, "none"), or(in["description"], "none"))
	p.Command = fmt.Sprintf("pilotctl network policy %d --max-members %d --allowed-ports %s --description %s", n.ID, limit,
		quoted(or(strings.ReplaceAll(portList(ports), " ", ""), "none")), quoted(in["description"]))
	return p, nil
}

func limitText(n uint64) string {
	if n == 0 {
		return "no limit"
	}
	return count(n)
}
