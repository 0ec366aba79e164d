package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

// SealedExportToken names the token of the audit export among the sealed
// secrets; it is the associated data of the ciphertext.
const SealedExportToken = "audit-export-token"

// planGlobal plans what a blueprint says about the whole registry.
func (v *view) planGlobal(r *protocol.ProvisionNetwork, add func(action string, changes bool, do func(*txn))) {
	b := r.Blueprint
	if p := b.IdentityProvider; p != nil {
		add("configured "+p.Type+" identity provider", true, nil)
	}
	if w := b.Webhooks; w != nil && w.AuditURL != "" {
		add("configured audit webhook", true, nil)
	}
	if w := b.Webhooks; w != nil && w.IdentityURL != "" {
		add("configured identity webhook", true, nil)
	}
	if e := b.AuditExport; e != nil {
		add("configured "+e.Format+" audit export to "+e.Endpoint, true, nil)
	}
}

// globalStatus adds the registry-wide part of get_provision_status.
func (v *view) globalStatus(*protocol.ProvisionStatusReply) {}
