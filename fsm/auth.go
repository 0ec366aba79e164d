// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

// signed checks that node n signed the command with its current key
// (docs/protocol/authentication.md#challenges). A keyless node is served by the admin token instead.
func (v *view) signed(c *invocation, n *node) *protocol.Error {
	if n.has(flagKeyless) {
		if v.adminToken(c) {
			return nil
		}
		return protocol.Refusef(protocol.CodeSignatureRequired, "node has no public key: signature or admin token required")
	}
	if v.signedBy(c, n) {
		return nil
	}
	return signatureError(c)
}

// signedBy reports whether the command carries a valid signature of n.
func (v *view) signedBy(c *invocation, n *node) bool {
	return c.actor.Node == n.id && c.actor.KeyGen == n.keyGen && !n.has(flagKeyless)
}

// signedOrAdmin checks the signature first and then the admin token; when
// neither is good the signature's error is the answer (docs/protocol/authentication.md#challenges).
func (v *view) signedOrAdmin(c *invocation, n *node) *protocol.Error {
	e := v.signed(c, n)
	if e != nil && v.adminToken(c) {
		return nil
	}
	return e
}

// signatureError says why no signature was accepted. In Apply the reason is
// that the key has changed since the signature was verified.
func signatureError(c *invocation) *protocol.Error {
	if c.sigError == nil {
		return protocol.Refusef(protocol.CodeSignatureInvalid, "signature verification failed")
	}
	e := *c.sigError
	e.Stateful = true
	return &e
}

// adminToken reports whether the command was made with an admin token that
// still exists as it was then.
func (v *view) adminToken(c *invocation) bool {
	if c.actor.Token == "" {
		return false
	}
	t, ok := v.cluster.tokens.Get(tokenKey(TokenAdmin, c.actor.Token))
	return ok && t.Generation == c.actor.TokenGen && !v.expired(t)
}

func (v *view) expired(t *token) bool { return t.Expires != 0 && t.Expires <= v.meta.now }

// admin checks the admin token (docs/protocol/authentication.md#tokens).
func (v *view) admin(c *invocation) *protocol.Error {
	if v.adminToken(c) {
		return nil
	}
	exists := false
	v.cluster.tokens.Ascend(tokenKey(TokenAdmin, ""), func(_ string, t *token) bool {
		exists = t.Kind == TokenAdmin
		return false
	})
	if !exists {
		return protocol.Refusef(protocol.CodeAdminDisabled, "network creation is disabled")
	}
	return protocol.Refusef(protocol.CodeAdminToken, "invalid admin token")
}

// Errors that several commands share.

func noNode(id uint32) *protocol.Error {
	return protocol.Refusef(protocol.CodeNotFound, "node %d: node not found", id)
}

func notRegistered(id uint32) *protocol.Error {
	if id == 0 {
		return protocol.Refusef(protocol.CodeInvalid, "node_id required: the node that this is for")
	}
	return protocol.Refusef(protocol.CodeNotFound, "node %d not registered", id)
}

func noNetwork(id uint16) *protocol.Error {
	return protocol.Refusef(protocol.CodeNotFound, "network %d: network not found", id)
}

func notMember(id uint32, net uint16) *protocol.Error {
	return protocol.Refusef(protocol.CodeNotFound, "node %d is not a member of network %d", id, net)
}
