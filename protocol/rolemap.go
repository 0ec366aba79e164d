// SPDX-License-Identifier: Apache-2.0

package protocol

// RoleMapping gives those whose tokens have a value in the role claim a role
// in a network.
type RoleMapping struct {
	Value     string `json:"value"`
	NetworkID uint16 `json:"network_id"`
	// Role is admin or member.
	Role string `json:"role"`
}

// MaxRoleMappings is how many mappings there may be.
const MaxRoleMappings = 64

func checkRoleMap(claim string, list []RoleMapping) *Error {
	if (claim == "") != (len(list) == 0) {
		return Errorf(CodeInvalid, "role_claim and role_map are required together: the claim, and what its values mean")
	}
	if len(list) > MaxRoleMappings {
		return Errorf(CodeTooLarge, "role_map is too long (max %d entries)", MaxRoleMappings)
	}
	for i, m := range list {
		switch {
		case m.Value == "" || len(m.Value) > MaxTextBytes:
			return Errorf(CodeInvalid, "invalid role_map: entry %d: value is required (max %d bytes)", i+1, MaxTextBytes)
		case m.NetworkID == 0:
			return Errorf(CodeInvalid, "invalid role_map: entry %d: network_id is required", i+1)
		case m.Role != RoleAdmin && m.Role != RoleMember:
			return Errorf(CodeInvalid, "invalid role_map: entry %d: role is %s, want admin or member", i+1, Quote(m.Role))
		}
	}
	return nil
}
