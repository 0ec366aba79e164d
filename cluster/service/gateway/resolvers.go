// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// resolvers has a row for every command, as fsm has a handler. Who signs is in
// the rows of protocol.Commands.
var resolvers = map[string]resolver{
	"audit_chain":                 {},
	"audit_replay":                {},
	"audit_sink_delete":           {},
	"audit_sink_list":             {},
	"audit_sink_put":              {calls: true, seals: true},
	"beacon_list":                 {},
	"beacon_register":             {facts: (*Gateway).resolveBeacon},
	"check_trust":                 {},
	"cluster_id":                  {},
	"cluster_join_token":          {},
	"cluster_join_token_list":     {},
	"cluster_join_token_revoke":   {},
	"cluster_members":             {},
	"cluster_promote":             {},
	"cluster_remove":              {},
	"cluster_repair":              {},
	"cluster_snapshot":            {},
	"cluster_status":              {},
	"cluster_transfer_leadership": {},
	"create_network":              {facts: (*Gateway).resolveNetwork},
	"delete_network":              {role: true},
	"demote_member":               {role: true},
	"deregister":                  {former: goneKey, leaves: true},
	"directory_status":            {},
	"directory_sync":              {names: true},
	"dlq_drop":                    {},
	"dlq_list":                    {},
	"dlq_retry":                   {},
	"enroll_recovery":             {facts: (*Gateway).resolveStatement},
	"get_audit_export":            {},
	"get_audit_log":               {names: true},
	"get_expr_policy":             {},
	"get_identity":                {},
	"get_idp_config":              {},
	"get_key_info":                {},
	"get_member_role":             {},
	"get_member_tags":             {},
	"get_network_policy":          {},
	"get_polo_score":              {},
	"get_provision_status":        {},
	"get_webhook":                 {},
	"get_webhook_dlq":             {},
	"heartbeat":                   {},
	"invite_to_network":           {role: true},
	"join_network":                {facts: (*Gateway).resolveJoin},
	"kick_member":                 {role: true},
	"leave_network":               {},
	"list_networks":               {},
	"list_nodes":                  {},
	"list_settings":               {},
	"lookup":                      {},
	"person_export":               {names: true},
	"person_forget":               {names: true},
	"poll_handshakes":             {},
	"poll_invites":                {},
	"promote_member":              {role: true},
	"provision_network":           {calls: true, seals: true, facts: (*Gateway).resolveBlueprint, names: true},
	"punch":                       {},
	"recover_identity":            {facts: (*Gateway).resolveStatement},
	"register":                    {facts: (*Gateway).resolveRegister, names: true, noted: true},
	"rename_network":              {role: true},
	"report_trust":                {},
	"request_handshake":           {},
	"resolve":                     {},
	"resolve_hostname":            {},
	"respond_handshake":           {},
	"respond_invite":              {},
	"revoke_trust":                {},
	"rotate_key":                  {former: replacedKey},
	"set_audit_export":            {calls: true, seals: true},
	"set_expr_policy":             {role: true, facts: (*Gateway).resolvePolicy},
	"set_external_id":             {names: true},
	"set_hostname":                {},
	"set_identity_webhook":        {calls: true},
	"set_idp_config":              {calls: true},
	"set_key_expiry":              {},
	"set_member_tags":             {role: true},
	"set_network_enterprise":      {},
	"set_network_policy":          {role: true},
	"set_polo_score":              {facts: (*Gateway).resolvePolo},
	"set_setting":                 {},
	"set_signed_register":         {},
	"set_tags":                    {},
	"set_task_exec":               {},
	"set_visibility":              {},
	"set_webhook":                 {calls: true, seals: true},
	"submit_badge":                {facts: (*Gateway).resolveStatement},
	"subscribe_replication":       {},
	"transfer_ownership":          {role: true},
	"update_polo_score":           {facts: (*Gateway).resolvePolo},
	"validate_token":              {},
}

// resolveRegister finds out what a registration proves and where the node is.
func (g *Gateway) resolveRegister(r *resolution) *protocol.Error {
	req, b := r.req, r.req.Body.(*protocol.Register)
	signed, proven := req.Signed != nil, req.Signed != nil || req.Signature != ""
	if signed {
		if e := signedRegister(r.root, req.Signed, b); e != nil {
			return e
		}
	}
	if req.Signature != "" {
		key, err := protocol.ParsePublicKey(b.PublicKey)
		if err != nil {
			return protocol.Errorf(protocol.CodeInvalid, "invalid public key: %v", err)
		}
		if e := identity.CheckSignature(key, protocol.ChallengeText(req.Command, b), req.Signature); e != nil {
			e.Stateful = false // the key is in the request itself
			return e
		}
	}
	b.Proven, b.SignedRequest = proven, signed
	b.OwnerReclaim, b.UnsignedIdentity = g.policy.OwnerReclaim, g.policy.UnsignedIdentity
	if proven { // the signature covers listen_addr
		b.Endpoint = signedEndpoint(r.conn.Source, b.ListenAddr)
	} else {
		b.Endpoint = protocol.SanitizeEndpoint(r.conn.Source, b.ListenAddr)
	}
	return access(g.policy.Register, r.call, proven, "auth.register")
}

// resolveNetwork checks a new network's policy and replaces its tokens. A token
// network without a token is refused, for which its MAC has to be missing.
func (g *Gateway) resolveNetwork(r *resolution) (e *protocol.Error) {
	b := r.req.Body.(*protocol.CreateNetwork)
	b.SetProblem(checkPolicy(b.ExprPolicy))
	if b.TokenMAC, e = g.secrets.newMAC(r.root, purposeNetwork, b.Token); e != nil {
		return e
	}
	b.NetworkAdminTokenMAC, e = g.secrets.newMAC(r.root, purposeNetworkAdmin, b.NetworkAdminToken)
	return e
}

// resolveBlueprint checks a blueprint's policy and turns its secrets into what
// may be stored and logged. The one that has to be sent on is sealed besides.
func (g *Gateway) resolveBlueprint(r *resolution) (e *protocol.Error) {
	b := r.req.Body.(*protocol.ProvisionNetwork)
	var wanted protocol.Blueprint
	if b.Blueprint != nil {
		wanted = *b.Blueprint
	}
	policy, export := string(wanted.ExprPolicy), protocol.Secret("")
	if x := wanted.AuditExport; x != nil {
		export = x.Token
	}
	b.SetProblem(checkPolicy(&policy))
	if b.JoinTokenMAC, e = g.secrets.newMAC(r.root, purposeNetwork, wanted.JoinToken); e != nil {
		return e
	}
	if b.NetworkAdminTokenMAC, e = g.secrets.newMAC(r.root, purposeNetworkAdmin, wanted.NetworkAdminToken); e != nil {
		return e
	}
	b.ExportTokenMAC, e = g.secrets.newMAC(r.root, purposeExportToken, export)
	return e
}

// resolveJoin replaces the token by its MAC, under the key of the network's.
func (g *Gateway) resolveJoin(r *resolution) (e *protocol.Error) {
	b := r.req.Body.(*protocol.JoinNetwork)
	var m protocol.MAC
	if version, ok := r.root.NetworkTokenKey(b.NetworkID); ok {
		m, e = g.secrets.mac(version, purposeNetwork, b.Token)
	}
	b.TokenMAC = m
	return e
}

func (g *Gateway) resolveBeacon(r *resolution) *protocol.Error {
	b, at := r.req.Body.(*protocol.BeaconRegister), int64(0)
	if r.req.Signed != nil {
		at = r.req.Signed.TS
	}
	b.SignedAt = at
	return access(g.policy.Beacon, r.call, r.call.Actor.Node != 0, "auth.beacon")
}

func (g *Gateway) resolvePolo(r *resolution) *protocol.Error {
	return access(g.policy.Polo, r.call, r.call.Actor.Node != 0, "auth.polo")
}

func (g *Gateway) resolvePolicy(r *resolution) *protocol.Error {
	b := r.req.Body.(*protocol.SetExprPolicy)
	b.SetProblem(checkPolicy(b.ExprPolicy))
	return nil
}

// resolveStatement verifies what a verifier of accounts has signed.
func (g *Gateway) resolveStatement(r *resolution) *protocol.Error {
	switch b := r.req.Body.(type) {
	case *protocol.SubmitBadge:
		b.SetProblem(g.verifier.CheckBadge(b.Badge, b.BadgeSig))
	case *protocol.EnrollRecovery:
		b.SetProblem(g.verifier.CheckEnrollment(b.Enrollment, b.EnrollmentSig))
	case *protocol.RecoverIdentity:
		b.SetProblem(g.verifier.CheckRecovery(b.Recovery, b.RecoverySig))
	}
	return nil
}
