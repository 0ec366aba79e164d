// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"slices"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// The registry-wide configuration: the identity provider, the webhook that
// verifies identity tokens and, through its revision, the sinks.

var noSettings settings

// settings is the configuration; the zero one when nothing was ever configured.
func (st *clusterStore) config() *settings {
	if s, ok := st.settings.Get(0); ok {
		return s
	}
	return &noSettings
}

// reconfigured stores a changed configuration. Changes of sinks come by here
// too, so that one revision stands for all that is registry-wide.
func (x *txn) reconfigured(change func(*settings)) {
	s := *x.cluster.config()
	change(&s)
	s.revision++
	putSettings(x, &s)
}

// setIDP replaces the identity provider; the zero value clears it. The keys
// of another provider are forgotten with it.
func setIDP(x *txn, idp protocol.IDP, requireIdentity bool, roles []protocol.RoleMapping) {
	old := x.cluster.config()
	if old.idp != idp || old.requireIdentity != requireIdentity || !slices.Equal(old.roleMap, roles) {
		x.reconfigured(func(s *settings) { s.idp, s.requireIdentity, s.roleMap = idp, requireIdentity, roles })
	}
	if old.idp.URL != idp.URL || !idp.BuiltIn() {
		dropJWKS(x, old.idp.URL)
	}
	w := x.begin(protocol.EventIDPConfigured)
	if idp.Type == "" {
		w.str("status", protocol.StatusDisabled).end()
		return
	}
	w.str("type", idp.Type).str("url", shownURL(idp.URL)).end()
}

// shownURL is an address as events show it: what stands after the question
// mark may be a token, and events go to every sink.
func shownURL(url string) string {
	if shown, _, hidden := strings.Cut(url, "?"); hidden {
		return shown + "?[redacted]"
	}
	return url
}

func statusOf(on bool) string {
	if on {
		return protocol.StatusEnabled
	}
	return protocol.StatusDisabled
}

func decideSetIDP(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetIDPConfig)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	idp := r.IDP()
	require := r.RequireIdentity && idp.Type != ""
	reply := &protocol.SetIDPConfigReply{Type: "set_idp_config_ok", Status: statusOf(idp.Type != ""), IDPType: idp.Type}
	if now := v.cluster.config(); now.idp == idp && now.requireIdentity == require && slices.Equal(now.roleMap, r.RoleMap) {
		return c.unchanged(reply)
	}
	for _, m := range r.RoleMap {
		if _, ok := v.networks.records.Get(m.NetworkID); !ok {
			return nil, noNetwork(m.NetworkID)
		}
	}
	return func(x *txn) any {
		setIDP(x, idp, require, r.RoleMap)
		return reply
	}, nil
}

func readIDP(v *view, c *invocation) (any, *protocol.Error) {
	if e := v.admin(c); e != nil {
		return nil, e
	}
	s := v.cluster.config()
	reply := &protocol.GetIDPConfigReply{Type: "get_idp_config_ok", Configured: s.idp.Type != "", IDPType: s.idp.Type, URL: s.idp.URL,
		Issuer: s.idp.Issuer, ClientID: s.idp.ClientID, TenantID: s.idp.TenantID, Domain: s.idp.Domain, RefuseHS256: s.idp.RefuseHS256, RequireIdentity: s.requireIdentity,
		ExternalIDClaim: s.idp.ExternalIDClaim, RoleClaim: s.idp.RoleClaim, RoleMap: s.roleMap}
	if j := v.cluster.keysOf(s.idp); j != nil {
		reply.KeysFetchedAt, reply.KeysFailingSince = utcOrNone(j.fetched), utcOrNone(j.failing)
		reply.Keys, reply.KeysLeftOut, reply.KeysError = j.keys, j.leftOutTexts(), j.failed
	}
	return reply, nil
}

// identified refuses a node without an external id where the configuration
// asks for one.
func (st *clusterStore) identified(net *network, n *node) *protocol.Error {
	if st.config().requireIdentity && net.enterprise && n.externalID == "" {
		return protocol.Refusef(protocol.CodeIdentityRequired,
			"node %d has no verified identity, which is required in enterprise networks: register it with an identity_token", n.id)
	}
	return nil
}

// IDP is the configured identity provider; ok is false when there is none.
func (r *Root) IDP() (idp protocol.IDP, ok bool) {
	idp = r.cluster.config().idp
	return idp, idp.Type != ""
}

// RoleMap says what the values of the role claim mean. The slice must not be changed.
func (r *Root) RoleMap() []protocol.RoleMapping { return r.cluster.config().roleMap }

// ConfigRevision counts the changes of the registry-wide configuration.
func (r *Root) ConfigRevision() uint64 { return r.cluster.config().revision }
