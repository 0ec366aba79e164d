// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

// existing finds a live node; the texts of the identity commands do not name it.
func (st *nodeStore) existing(id uint32) (*node, *protocol.Error) {
	if n := st.live(id); n != nil {
		return n, nil
	}
	return nil, protocol.Refusef(protocol.CodeNotFound, "node not found")
}

func decideSetExternalID(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetExternalID)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	n, e := v.nodes.existing(r.NodeID)
	if e != nil {
		return nil, e
	}
	reply := &protocol.SetExternalIDReply{Type: "set_external_id_ok", NodeID: n.id, ExternalID: r.ExternalID}
	if n.externalID == r.ExternalID {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		x.edit(n, func(n *node) { n.bind(r.ExternalID, r.Keys) })
		return reply
	}, nil
}

func readIdentity(v *view, c *invocation) (any, *protocol.Error) {
	if e := v.admin(c); e != nil {
		return nil, e
	}
	n, e := v.nodes.existing(c.body.(*protocol.NodeRequest).NodeID)
	if e != nil {
		return nil, e
	}
	return &protocol.GetIdentityReply{Type: "get_identity_ok", NodeID: n.id, ExternalID: n.externalID, Owner: n.owner}, nil
}

// readValidateToken reports what the member found out about a token: the
// state machine checks neither keys nor signatures.
func readValidateToken(v *view, c *invocation) (any, *protocol.Error) {
	r := c.body.(*protocol.ValidateToken)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	switch {
	case r.Token == "":
		return nil, protocol.Errorf(protocol.CodeInvalid, "token is required")
	case v.cluster.config().idp.Type == "":
		return nil, protocol.Refusef(protocol.CodeIDPNotConfigured, "no identity provider configured; configure one with set_idp_config")
	case r.Outcome == nil:
		return nil, protocol.NotAppliedf(protocol.CodeInternal, "the token was not looked at; ask again")
	case r.Outcome.Err != nil:
		return nil, r.Outcome.Err
	}
	reply := &protocol.ValidateTokenReply{Type: "validate_token_ok", Verified: r.Outcome.Verified,
		Subject: r.Outcome.Subject, Issuer: r.Outcome.Issuer, Error: r.Outcome.Reason, RoleValues: r.Outcome.Roles}
	if v.cluster.config().idp.ExternalIDClaim != "" {
		reply.ExternalID = r.Outcome.ExternalID
	}
	return reply, nil
}

// shownIdentity is the external id of a node as far as a caller of an open
// command may see it: by the setting, who signs for the requester, and the
// admin token.
func (v *view) shownIdentity(c *invocation, requester uint32, n *node) string {
	if n == nil || !n.live() || n.externalID == "" {
		return ""
	}
	mode := v.cluster.setting(protocol.SettingExternalID)
	if mode == protocol.ShownOpen || v.adminToken(c) {
		return n.externalID
	}
	asker := v.nodes.live(requester)
	if mode == protocol.ShownMembers && asker != nil && v.signedBy(c, asker) && (asker.id == n.id || v.networks.shared(asker.id, n.id)) {
		return n.externalID
	}
	return ""
}

// setIdentityWebhook replaces the webhook that verifies identity tokens.
func setIdentityWebhook(x *txn, url string) {
	if x.cluster.config().identityURL != url {
		x.reconfigured(func(s *settings) { s.identityURL = url })
	}
	x.begin(protocol.EventIdentityWebhook).str("status", statusOf(url != "")).str("url", shownURL(url)).end()
}

func decideSetIdentityWebhook(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetIdentityWebhook)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	reply := &protocol.SetIdentityWebhookReply{Type: "set_identity_webhook_ok", Status: statusOf(r.URL != "")}
	if v.cluster.config().identityURL == r.URL {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		setIdentityWebhook(x, r.URL)
		return reply
	}, nil
}

// IdentityWebhook is the webhook that verifies identity tokens: the one that
// was set, else that of a provider that is one; "" when there is none.
func (r *Root) IdentityWebhook() string {
	s := r.cluster.config()
	if s.identityURL == "" && s.idp.Type != "" && !s.idp.BuiltIn() {
		return s.idp.URL
	}
	return s.identityURL
}
