// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Who may use the commands that roles, tokens and the enterprise flag guard.
// Apply comes by here again, in the order of the log.

// networkToken reports whether the request brought the network's own admin token.
func networkToken(c *invocation, n *network) bool {
	b, ok := c.body.(protocol.RoleBody)
	return ok && !n.admin.IsZero() && sameMAC(n.admin, b.Role().NetworkToken)
}

// authorise checks a role command (docs/protocol/authentication.md#tokens): the admin
// token, the network's token, or the signature of a member with one of the
// roles that the row names. A member that acts is named by node.
func (v *view) authorise(c *invocation, node uint32, net uint16) *protocol.Error {
	if v.adminToken(c) {
		return nil
	}
	n, ok := v.networks.records.Get(net)
	if !ok {
		return noNetwork(net)
	}
	if networkToken(c, n) {
		c.via = "token:network:" + decimal(uint32(net))
		return nil
	}
	if node == 0 {
		return protocol.Refusef(protocol.CodeSignatureRequired, "rbac: node_id required for role-based authorization")
	}
	if e := v.actsAs(c, node); e != nil {
		return e
	}
	r := v.roleOf(net, node)
	if r == roleNone {
		return protocol.Refusef(protocol.CodePermissionDenied, "rbac: node %d has no role in network %d", node, net)
	}
	if slices.Contains(c.row.Roles, r.String()) {
		return nil
	}
	return protocol.Refusef(protocol.CodePermissionDenied, `rbac: node %d has role "%s", requires one of [%s]`, node, r, strings.Join(c.row.Roles, " "))
}

// actsAs checks that a node made a role command: with its signature
// or, where the operator allows it, with its bare name.
func (v *view) actsAs(c *invocation, id uint32) *protocol.Error {
	n := v.nodes.live(id)
	if n == nil {
		return noNode(id)
	}
	if v.signedBy(c, n) {
		return nil
	}
	if b, ok := c.body.(protocol.RoleBody); ok && b.Role().Unsigned {
		c.via = "unsigned:node:" + strconv.FormatUint(uint64(id), 10)
		return nil
	}
	return v.signed(c, n)
}

// gate finds the network of a command and refuses it when the command's row
// asks for an enterprise network and it is none.
func (st *networkStore) gate(c *invocation, net uint16) (*network, *protocol.Error) {
	n, ok := st.records.Get(net)
	switch {
	case !ok:
		return nil, noNetwork(net)
	case c.row.Enterprise && !n.enterprise:
		return nil, protocol.Refusef(protocol.CodeEnterpriseRequired, "enterprise feature: requires enterprise network")
	}
	return n, nil
}

// roleGate is authorise, then gate.
func (v *view) roleGate(c *invocation, node uint32, net uint16) (*network, *protocol.Error) {
	if e := v.authorise(c, node, net); e != nil {
		return nil, e
	}
	return v.networks.gate(c, net)
}

// afterRole marks a refusal of bad input that only those hear of whose role,
// which is state, lets them get that far.
func afterRole(e *protocol.Error) *protocol.Error {
	e.Stateful = true
	return e
}
