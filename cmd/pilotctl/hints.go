// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// hints is the next thing to do, by code.
var hints = map[string]string{
	"connection_failed":             "check that a member runs there, and the address: --addr, PILOT_ADDR",
	"auth_required":                 "set PILOT_ADMIN_TOKEN or give --admin-token-file",
	client.CodeUntrusted:            "compare --tls-pin or --tls-ca with what pilot-registry prints at start; use --no-tls for a plain listener",
	client.CodeNoSigner:             "register first: pilotctl register; or give --identity",
	client.CodeCanceled:             "try again, with a longer --timeout",
	client.CodeMalformedReply:       "check that the address is a Pilot registry",
	protocol.CodeInvalid:            "correct the argument and try again",
	protocol.CodeUnknownField:       "leave it out, or upgrade the registry, which does not know it; the versions are shown by: pilotctl cluster members -o wide",
	protocol.CodeNotFound:           "check the id or name",
	protocol.CodePermissionDenied:   "act for another node (--node-id, --identity), establish trust, or use the admin token",
	protocol.CodeSignatureRequired:  "give the node's identity with --identity, or the admin token",
	protocol.CodeSignatureInvalid:   "the identity is not this node's current key: check --identity and --node-id, or finish a rotation with: pilotctl rotate-key",
	protocol.CodeAdminDisabled:      "a cluster gets its admin token when it is made: pilot-registry init --admin-token-file FILE; without one use the signature of a node (--identity)",
	protocol.CodeAdminToken:         "check PILOT_ADMIN_TOKEN or --admin-token-file",
	protocol.CodeTokenInvalid:       "ask the owner of the network for its token",
	protocol.CodeKeyExpired:         "extend it: pilotctl key set-expiry, or pilotctl key clear-expiry",
	protocol.CodeEnterpriseRequired: "use a network that was created with --enterprise",
	protocol.CodeRateLimited:        "wait a minute and try again",
	protocol.CodeNoLeader:           "wait a few seconds and try again; reads still work with --consistency stale; if it stays, see: pilotctl cluster status",
	protocol.CodeOverloaded:         "wait a few seconds and try again",
	protocol.CodeTimeout:            "see whether there is a leader: pilotctl cluster status; reads still work with --consistency stale; or try again, with a longer --timeout",
	protocol.CodeTimeoutRead:        "try again or ask another member with --addr; see: pilotctl cluster members",
	protocol.CodeShuttingDown:       "ask another member with --addr",
	protocol.CodeQuarantined:        "ask another member with --addr, and have this one repaired; see: pilotctl cluster status",
	protocol.CodeStaleTerm:          "try again",
	protocol.CodeConflict:           "look at the present state and try again",
	protocol.CodeAlreadyExists:      "choose another name, or use what exists",
	protocol.CodeLimitReached:       "make room first",
	protocol.CodeRequestIDReused:    "use another --request-id, or none",
	protocol.CodeNotImplemented:     "see what is: pilotctl commands",
	protocol.CodeUnknownCommand:     "the member is of a version that does not have it: upgrade the registry; the versions are shown by: pilotctl cluster members -o wide",
	protocol.CodeFeatureNotActive:   "wait until the cluster serves, or finish the upgrade of all members; see: pilotctl cluster status",
	protocol.CodeTooLarge:           "ask for less, as with --limit, or send less at a time",
	protocol.CodeJWKS:               "see what the last fetch of the provider's keys met: pilotctl idp show; once its URL answers, try again",
	protocol.CodeIdentityFailed:     "see which webhook or provider verifies tokens: pilotctl idp show; once it answers as it should, try again",
	protocol.CodeSignatureExpired:   "set the clock of this machine and run the command again",
	protocol.CodeSignatureEarly:     "set the clock of this machine and run the command again",
	protocol.CodeLegacySignature:    "run a pilotctl of the cluster's version: it signs whole requests",
	protocol.CodeURLRefused:         "give another address, or have every member allow it with outbound.allow_targets",
	protocol.CodeIDPNotConfigured:   "configure one: pilotctl idp set",
	protocol.CodeAlgorithm:          "have the provider sign with an algorithm and key that are accepted; see: pilotctl idp show",
	protocol.CodeJWKSKey:            "see which keys are in use and which are left out: pilotctl idp show",
	protocol.CodeIdentityRejected:   "get a new token from the provider; what one is worth says: pilotctl idp validate",
	protocol.CodeIdentityRequired:   "register with --identity-token-file, or have an administrator run: pilotctl identity set-external-id",
	protocol.CodeAuditBehind:        "see which sink is behind, and why: pilotctl audit sinks",
	protocol.CodeInternal:           "look into the log of the member that answered",
}

// commandHint is the next thing to do after a certain command, "" when what
// the code says is as good.
func commandHint(code, command string) string {
	switch {
	case code == protocol.CodeTokenInvalid && (command == "validate_token" || command == "register"):
		return "give the token as the provider issues it: three parts with dots between them, nothing before or after"
	case code == protocol.CodeTokenInvalid && !strings.Contains(command, "network"):
		return "check the token"
	case code == protocol.CodeAlreadyExists && slices.Contains([]string{"transfer_ownership", "promote_member", "demote_member", "join_network"}, command):
		return "it is so already: there is nothing to do"
	case code != protocol.CodeNotFound:
		return ""
	case strings.HasPrefix(command, "dlq_"), strings.HasPrefix(command, "audit_"):
		return "see which sinks there are: pilotctl audit sinks; the audit webhook is set with: pilotctl webhook set"
	case strings.HasPrefix(command, "cluster_join_token"):
		return "see which tokens there are: pilotctl cluster join-token list"
	case strings.HasPrefix(command, "cluster_"):
		return "see which members there are: pilotctl cluster members"
	case strings.Contains(command, "network"), strings.HasSuffix(command, "_policy"), strings.HasPrefix(command, "directory_"), command == "set_idp_config":
		return "check the id or name: pilotctl network list"
	}
	if command == "resolve_hostname" {
		return "check the name; a private node is found only by nodes that may see it, and one that went quiet comes back with: pilotctl register"
	}
	if row := protocol.ByName(command); row != nil && strings.Contains(row.Doc, "node") {
		return "check the id or name; a node that went quiet comes back with: pilotctl register"
	}
	return ""
}

func hint(code string, e *client.Error) string {
	if e.Outcome == protocol.OutcomeUnknown {
		if e.RequestID != "" {
			return "settle it within five minutes: run the same command with --request-id " + e.RequestID
		}
		return "look at the present state before trying again"
	}
	if h := commandHint(code, e.Command); h != "" {
		return h
	}
	return hints[code]
}
