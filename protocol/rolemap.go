// SPDX-License-Identifier: Apache-2.0

package protocol

import "strconv"

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

// decodeField reads role_map; all else is read by its type.
func (r *SetIDPConfig) decodeField(in *reader, name string, raw any) bool {
	if name != "role_map" {
		return false
	}
	list, ok := raw.([]any)
	if !ok && raw != nil {
		in.complain(name, "a list of objects", raw)
	}
	for i, e := range list {
		entry, ok := e.(map[string]any)
		where := name + "[" + strconv.Itoa(i) + "]"
		if !ok {
			in.complain(where, "an object with value, network_id and role", e)
			continue
		}
		for field := range entry {
			if field != "value" && field != "network_id" && field != "role" {
				in.refuse(Errorf(CodeInvalid, "invalid %s: it has no field %s: want value, network_id and role", where, Quote(field)))
			}
		}
		r.RoleMap = append(r.RoleMap, RoleMapping{
			Value: in.text(where+".value", entry["value"]), Role: in.text(where+".role", entry["role"]),
			NetworkID: uint16(in.whole(where+".network_id", entry["network_id"], 0xffff)),
		})
	}
	return true
}
