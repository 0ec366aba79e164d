// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

// planGlobal plans what a blueprint says about the whole registry. What is
// configured so already is listed and left alone.
func (p *blueprintPlan) planGlobal(v *view, r *protocol.ProvisionNetwork) *protocol.Error {
	now := v.cluster.config()
	if b := r.Blueprint.IdentityProvider; b != nil {
		idp := b.IDP()
		var roles []protocol.RoleMapping
		if idp.Type == now.idp.Type && idp.URL == now.idp.URL { // what a blueprint cannot say
			idp.RefuseHS256, idp.ExternalIDClaim, idp.RoleClaim = now.idp.RefuseHS256, now.idp.ExternalIDClaim, now.idp.RoleClaim
			roles = now.roleMap
		}
		p.add("configured "+idp.Type+" identity provider", idp != now.idp, func(x *txn) { setIDP(x, idp, x.cluster.config().requireIdentity, roles) })
	}
	if w := r.Blueprint.Webhooks; w != nil && w.AuditURL != "" {
		if e := v.audit.roomForSink(protocol.SinkNameWebhook); e != nil {
			return e
		}
		s := protocol.SinkConfig{Name: protocol.SinkNameWebhook, Kind: protocol.SinkWebhook, Endpoint: w.AuditURL}
		old, had := v.audit.sinks.Get(s.Name)
		p.add("configured audit webhook", !had || old.Endpoint != s.Endpoint, func(x *txn) { setWebhook(x, s, protocol.Sealed{}, true) })
	}
	if w := r.Blueprint.Webhooks; w != nil && w.IdentityURL != "" {
		p.add("configured identity webhook", w.IdentityURL != now.identityURL, func(x *txn) { setIdentityWebhook(x, w.IdentityURL) })
	}
	if r.Blueprint.AuditExport == nil {
		return nil
	}
	return p.planExport(v, r)
}

// planExport leaves what a blueprint cannot say about an export as it is:
// filters, and whether writes wait for it.
func (p *blueprintPlan) planExport(v *view, r *protocol.ProvisionNetwork) *protocol.Error {
	if e := v.audit.roomForSink(protocol.SinkNameExport); e != nil {
		return e
	}
	s, known := r.Blueprint.AuditExport.Sink(), r.ExportTokenMAC
	old, had := v.audit.sinks.Get(s.Name)
	changes := !had || old.Format != s.Format || old.Endpoint != s.Endpoint || old.Index != s.Index || old.Source != s.Source ||
		!known.IsZero() && !sameMAC(old.token, known)
	if had {
		s.Ack, s.Required, s.MaxLag = old.Ack && s.Format == protocol.FormatSplunk, old.Required, old.MaxLag
		if old.Format == s.Format && old.Endpoint == s.Endpoint {
			s.Framing = old.Framing
		}
		s.Batch = old.Batch && old.Format == s.Format && old.Endpoint == s.Endpoint
		s.Actions, s.Networks = old.Actions, old.Networks
		if known.IsZero() && old.Format == s.Format && old.Endpoint == s.Endpoint {
			known = old.token // which stays, as its secret does
		}
	}
	p.add("configured "+s.Format+" audit export to "+s.Endpoint, changes, func(x *txn) {
		setAuditExport(x, s, r.ExportToken, true)
		if made, ok := x.audit.sinks.Get(s.Name); ok && !known.IsZero() {
			next := *made
			next.token = known
			putSink(x, s.Name, &next)
		}
	})
	return nil
}

// globalStatus adds the registry-wide part of get_provision_status.
func globalStatus(v *view, reply *protocol.ProvisionStatusReply) {
	now := v.cluster.config()
	reply.IDPType, reply.ConfigRevision = now.idp.Type, now.revision
	if s, ok := v.audit.sinks.Get(protocol.SinkNameExport); ok {
		reply.AuditExport = s.Format
	}
	reply.WebhookEnabled = v.audit.sinks.Holds(protocol.SinkNameWebhook)
}
