// SPDX-License-Identifier: Apache-2.0

package protocol

import "encoding/json"

// ProvisionNetworkReply answers provision_network.
type ProvisionNetworkReply struct {
	Actions []string `json:"actions"`
	// ConfigRevision is of the registry-wide configuration.
	ConfigRevision uint64   `json:"config_revision"`
	Created        bool     `json:"created"`
	DryRun         bool     `json:"dry_run,omitempty"`
	Name           string   `json:"name"`
	NetworkID      uint16   `json:"network_id"`
	Revision       uint64   `json:"revision"`
	Type           string   `json:"type"`
	Warnings       []string `json:"warnings,omitempty"`
}

// ProvisionedNetwork is an entry of get_provision_status.
type ProvisionedNetwork struct {
	AllowedPorts       []uint16        `json:"allowed_ports,omitempty"`
	Description        string          `json:"description,omitempty"`
	Enterprise         bool            `json:"enterprise"`
	ExprPolicy         json.RawMessage `json:"expr_policy,omitempty"`
	JoinRule           string          `json:"join_rule"`
	MaxMembers         uint32          `json:"max_members,omitempty"`
	Members            uint32          `json:"members"`
	Name               string          `json:"name"`
	NetworkID          uint16          `json:"network_id"`
	RBACPreAssignments uint32          `json:"rbac_pre_assignments,omitempty"`
	Revision           uint64          `json:"revision"`
	Roles              []BlueprintRole `json:"roles,omitempty"`
}

// ProvisionStatusReply answers get_provision_status, networks ascending by
// id, without the backbone.
type ProvisionStatusReply struct {
	AuditExport    string               `json:"audit_export,omitempty"`
	ConfigRevision uint64               `json:"config_revision"`
	IDPType        string               `json:"idp_type,omitempty"`
	Networks       []ProvisionedNetwork `json:"networks"`
	NextCursor     string               `json:"next_cursor,omitempty"`
	Type           string               `json:"type"`
	WebhookEnabled bool                 `json:"webhook_enabled,omitempty"`
}
