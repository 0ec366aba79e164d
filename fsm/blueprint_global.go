package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

// planGlobal plans what a blueprint says about the whole registry. What is
// configured so already is listed and left alone.
func (v *view) planGlobal(r *protocol.ProvisionNetwork, add func(action string, changes bool, do func(*txn))) {
	b, now := r.Blueprint, v.config()
	if p := b.IdentityProvider; p != nil {
		idp := protocol.IDP{Type: p.Type, URL: p.URL, Issuer: p.Issuer, ClientID: p.ClientID, TenantID: p.TenantID, Domain: p.Domain}
		add("configured "+p.Type+" identity provider", now.idp != idp, func(x *txn) { x.setIDP(idp, x.config().requireIdentity) })
	}
	if w := b.Webhooks; w != nil && w.AuditURL != "" {
		s := protocol.SinkConfig{Name: protocol.SinkNameWebhook, Kind: protocol.SinkWebhook, Endpoint: w.AuditURL}
		old, had := v.sinks.get(s.Name)
		add("configured audit webhook", !had || old.Endpoint != s.Endpoint, func(x *txn) { x.setWebhook(s, protocol.Sealed{}, true) })
	}
	if w := b.Webhooks; w != nil && w.IdentityURL != "" {
		add("configured identity webhook", now.identityURL != w.IdentityURL, func(x *txn) { x.setIdentityWebhook(w.IdentityURL) })
	}
	if b.AuditExport != nil {
		v.planExport(r, add)
	}
}

// planExport leaves what a blueprint cannot say about an export as it is.
func (v *view) planExport(r *protocol.ProvisionNetwork, add func(action string, changes bool, do func(*txn))) {
	s := r.Sink()
	old, had := v.sinks.get(s.Name)
	changes := true
	if had {
		s.Ack, s.Required, s.MaxLag, s.Actions, s.Networks = old.Ack, old.Required, old.MaxLag, old.Actions, old.Networks
		sameToken := r.ExportTokenMAC.IsZero() || sameMAC(old.token, r.ExportTokenMAC)
		changes = !sameToken || old.Format != s.Format || old.Endpoint != s.Endpoint || old.Index != s.Index || old.Source != s.Source
	}
	add("configured "+s.Format+" audit export to "+s.Endpoint, changes, func(x *txn) {
		x.setAuditExport(s, r.ExportToken, true)
		if made, ok := x.sinks.get(s.Name); ok && !r.ExportTokenMAC.IsZero() {
			known := *made
			known.token = r.ExportTokenMAC
			x.sinks.put(x, s.Name, &known)
		}
	})
}

// globalStatus adds the registry-wide part of get_provision_status.
func (v *view) globalStatus(reply *protocol.ProvisionStatusReply) {
	now := v.config()
	reply.IDPType, reply.ConfigRevision = now.idp.Type, now.revision
	if s, ok := v.sinks.get(protocol.SinkNameExport); ok {
		reply.AuditExport = s.Format
	}
	reply.WebhookEnabled = v.sinks.holds(protocol.SinkNameWebhook)
}
