// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// policyCommands are the rows of commands.go about this subject.
var policyCommands = []Command{
	{Code: 25, Name: "set_network_policy", Group: GroupPolicy, Page: PageSignatureEnterprise, Auth: AuthRole, Roles: rolesAdmin, Enterprise: true, Mode: ModeWrite, RefusesUnknown: true,
		Challenge: "set_network_policy:{node_id}:{network_id}:{policy_sha256}", Signer: "node_id", Events: []string{EventPolicyChanged}, newBody: body[SetNetworkPolicy](), newReply: reply[NetworkPolicyReply](),
		Doc: "change a network's policy"},
	{Code: 54, Name: "get_network_policy", Group: GroupPolicy, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead, newBody: body[NetworkRequest](), newReply: reply[NetworkPolicyReply](),
		Doc: "show a network's policy"},
}

// Limits of a network's policy.
const (
	MaxPolicyMembers          = 10_000
	MaxPolicyPorts            = 100
	MaxPolicyDescriptionBytes = 256
	// MaxInvites is how many invites a node's inbox holds, InviteTTLDays how
	// long each waits.
	MaxInvites    = 100
	InviteTTLDays = 30
)

// SetNetworkPolicy changes the fields of a policy that are present.
type SetNetworkPolicy struct {
	RoleFacts
	NodeID       uint32     `json:"node_id,omitempty"`
	NetworkID    uint16     `json:"network_id"`
	MaxMembers   *float64   `json:"max_members,omitempty" read:"main"`
	AllowedPorts *[]float64 `json:"allowed_ports,omitempty" read:"main"`
	Description  *string    `json:"description,omitempty" text:"lines" read:"main"`
}

// ChallengeField computes policy_sha256, what the signature covers of the
// policy: the hexadecimal SHA-256 of the compact JSON object of those of
// allowed_ports, description and max_members that are present, in this order,
// ports without repetitions, characters beyond ASCII and < > & as they are.
func (r *SetNetworkPolicy) ChallengeField(name string) (string, bool) {
	if name != "policy_sha256" {
		return "", false
	}
	present := struct {
		AllowedPorts *[]float64 `json:"allowed_ports,omitempty"`
		Description  *string    `json:"description,omitempty"`
		MaxMembers   *float64   `json:"max_members,omitempty"`
	}{Description: r.Description, MaxMembers: r.MaxMembers}
	if r.AllowedPorts != nil {
		ports := []float64{}
		for _, p := range *r.AllowedPorts {
			if !slices.Contains(ports, p) {
				ports = append(ports, p)
			}
		}
		present.AllowedPorts = &ports
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(present); err != nil { // numbers come from JSON, so they are finite
		return "", false
	}
	return hexSHA256(bytes.TrimSuffix(out.Bytes(), []byte("\n"))), true
}

// Validate accepts everything: the values are looked at after the caller's
// role, see Check.
func (*SetNetworkPolicy) Validate() *Error { return nil }

// Check follows docs/protocol/networks.md#set_network_policy as far as it needs no state.
func (r *SetNetworkPolicy) Check() *Error {
	if m := r.MaxMembers; m != nil && !wholeIn(*m, 0, MaxPolicyMembers) {
		return Errorf(CodeInvalid, "invalid max_members (must be integer 0-10000)")
	}
	return nil
}

// CheckRest follows the checks after the one that compares max_members with
// the number of members.
func (r *SetNetworkPolicy) CheckRest() *Error {
	if r.AllowedPorts != nil {
		if len(*r.AllowedPorts) > MaxPolicyPorts {
			return Errorf(CodeInvalid, "too many allowed_ports (max 100)")
		}
		for _, p := range *r.AllowedPorts {
			if !wholeIn(p, 1, 65535) {
				return Errorf(CodeInvalid, "invalid port number in allowed_ports (must be integer 1-65535)")
			}
		}
	}
	if r.Description != nil && len(*r.Description) > MaxPolicyDescriptionBytes {
		return Errorf(CodeInvalid, "policy description too long (max 256 chars)")
	}
	return nil
}

// Ports are the allowed ports without repetitions, in the order given.
func (r *SetNetworkPolicy) Ports() []uint16 {
	ports := []uint16{}
	if r.AllowedPorts != nil {
		for _, p := range *r.AllowedPorts {
			if !slices.Contains(ports, uint16(p)) {
				ports = append(ports, uint16(p))
			}
		}
	}
	return ports
}

func wholeIn(f float64, lo, hi float64) bool { return f >= lo && f <= hi && f == float64(int64(f)) }

// NetworkPolicyReply answers set_network_policy and get_network_policy.
// Revision grows with every change of the network's configuration.
type NetworkPolicyReply struct {
	AllowedPorts []uint16 `json:"allowed_ports"`
	Description  string   `json:"description"`
	MaxMembers   uint32   `json:"max_members"`
	NetworkID    uint16   `json:"network_id"`
	Revision     uint64   `json:"revision"`
	Type         string   `json:"type"`
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
