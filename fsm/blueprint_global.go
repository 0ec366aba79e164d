package fsm

import (
	"slices"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// planGlobal plans what a blueprint says about the whole registry. What it
// does not mention stays.
func (p *blueprintPlan) planGlobal(v *view, r *protocol.ProvisionNetwork) *protocol.Error {
	now := v.config()
	if b := r.Blueprint.IdentityProvider; b != nil {
		idp := b.IDP()
		p.add("configured "+idp.Type+" identity provider", idp != now.idp, func(x *txn) { x.setIDP(idp, x.config().requireIdentity) })
	}
	if w := r.Blueprint.Webhooks; w != nil && w.AuditURL != "" {
		if e := v.checkSinks(protocol.SinkNameWebhook); e != nil {
			return e
		}
		s := protocol.SinkConfig{Name: protocol.SinkNameWebhook, Kind: protocol.SinkWebhook, Endpoint: w.AuditURL}
		old, had := v.sinks.get(s.Name)
		p.add("configured audit webhook", !had || old.Endpoint != s.Endpoint, func(x *txn) { x.setWebhook(s, protocol.Sealed{}, true) })
	}
	if w := r.Blueprint.Webhooks; w != nil && w.IdentityURL != "" {
		p.add("configured identity webhook", w.IdentityURL != now.identityURL, func(x *txn) { x.setIdentityWebhook(w.IdentityURL) })
	}
	if r.Blueprint.AuditExport == nil {
		return nil
	}
	return p.planExport(v, r)
}

// planExport configures the audit export. Of an export that is there what a
// blueprint cannot say stays: filters, and whether writes wait for it.
func (p *blueprintPlan) planExport(v *view, r *protocol.ProvisionNetwork) *protocol.Error {
	if e := v.checkSinks(protocol.SinkNameExport); e != nil {
		return e
	}
	s := r.Blueprint.AuditExport.Sink()
	old, had := v.sinks.get(s.Name)
	changes := !had || old.Format != s.Format || old.Endpoint != s.Endpoint || old.Index != s.Index || old.Source != s.Source ||
		old.secret.IsZero() && !r.ExportToken.IsZero()
	if had {
		s.Ack, s.Required, s.MaxLag = old.Ack && s.Format == protocol.FormatSplunk, old.Required, old.MaxLag
		s.Actions, s.Networks = slices.Clone(old.Actions), slices.Clone(old.Networks)
	}
	p.add("configured "+s.Format+" audit export to "+s.Endpoint, changes, func(x *txn) { x.setAuditExport(s, r.ExportToken, true) })
	if !changes && !r.ExportToken.IsZero() {
		// The token is there as ciphertext only: whether this one is another
		// cannot be seen, so it is set.
		p.steps[len(p.steps)-1].always = true
		p.warnings = append(p.warnings, "the token of the audit export is set again: whether it differs cannot be seen")
	}
	return nil
}

// globalStatus adds the registry-wide part of get_provision_status.
func (v *view) globalStatus(reply *protocol.ProvisionStatusReply) {
	reply.IDPType, reply.ConfigRevision = v.config().idp.Type, v.config().revision
	if s, ok := v.sinks.get(protocol.SinkNameExport); ok {
		reply.AuditExport = s.Format
	}
	reply.WebhookEnabled = v.sinks.holds(protocol.SinkNameWebhook)
}
