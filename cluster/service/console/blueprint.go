// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// provisioned is a network as blueprints see it.
func (v *visit) provisioned(id uint16) (*protocol.ProvisionedNetwork, *protocol.Error) {
	cursor := ""
	for {
		fields := map[string]any{"details": true, "limit": pageOfNodes}
		if cursor != "" {
			fields["cursor"] = cursor
		}
		status, e := ask[protocol.ProvisionStatusReply](v, "get_provision_status", fields)
		if e != nil {
			return nil, e
		}
		for i := range status.Networks {
			if status.Networks[i].NetworkID == id {
				return &status.Networks[i], nil
			}
		}
		if cursor = status.NextCursor; cursor == "" {
			return nil, protocol.Refusef(protocol.CodeNotFound, "network %d: network not found", id)
		}
	}
}

// blueprintOf writes a network down. A join token is never given back, so a
// network that needs one keeps its join rule by not mentioning it.
func blueprintOf(n *protocol.ProvisionedNetwork) map[string]any {
	b := map[string]any{"name": n.Name}
	if n.JoinRule != protocol.JoinToken {
		b["join_rule"] = n.JoinRule
	}
	if n.Enterprise {
		b["enterprise"] = true
	}
	policy := map[string]any{}
	if n.MaxMembers != 0 {
		policy["max_members"] = n.MaxMembers
	}
	if len(n.AllowedPorts) > 0 {
		policy["allowed_ports"] = n.AllowedPorts
	}
	if n.Description != "" {
		policy["description"] = n.Description
	}
	if len(policy) > 0 {
		b["policy"] = policy
	}
	var expr any
	if len(n.ExprPolicy) > 0 && json.Unmarshal(n.ExprPolicy, &expr) == nil {
		b["expr_policy"] = expr
	}
	var roles []any
	for _, r := range n.Roles {
		roles = append(roles, map[string]any{"external_id": r.ExternalID, "role": r.Role})
	}
	if len(roles) > 0 {
		b["roles"] = roles
	}
	return b
}

// blueprintFile is the blueprint of a network, to keep.
func (c *Console) blueprintFile(v *visit) (*content, *protocol.Error) {
	id, e := v.networkID()
	if e != nil {
		return nil, e
	}
	n, e := v.provisioned(id)
	if e != nil {
		return nil, e
	}
	raw, e := blueprintYAML(n)
	return &content{File: n.Name + ".yaml", Raw: raw}, e
}

func blueprintYAML(n *protocol.ProvisionedNetwork) ([]byte, *protocol.Error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(blueprintOf(n)); err != nil {
		return nil, protocol.Errorf(protocol.CodeInternal, "the blueprint cannot be written: %v", err)
	}
	return out.Bytes(), nil
}

// flatten has the values of a document by their paths. Roles are named by the
// person they are for.
func flatten(into map[string]string, path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			flatten(into, joined(path, key), inner)
		}
	case []any:
		for i, inner := range v {
			entry, isRole := inner.(map[string]any)
			if id, named := entry["external_id"]; isRole && named {
				into[path+"."+protocol.FoldExternalID(fmt.Sprint(id))] = fmt.Sprint(entry["role"])
				continue
			}
			if i == 0 {
				into[path] = fmt.Sprint(inner)
			} else {
				into[path] += ", " + fmt.Sprint(inner)
			}
		}
	case nil:
	default:
		into[path] = fmt.Sprint(v)
	}
}

func joined(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// secretPaths are the parts of a blueprint that are not shown.
var secretPaths = []string{"join_token", "network_admin_token", "audit_export.token"}

// differences compares what a blueprint says with what the network has. What it
// does not mention stays; its roles are the whole list.
func differences(blueprint any, n *protocol.ProvisionedNetwork) []change {
	want, have := map[string]string{}, map[string]string{}
	flatten(want, "", blueprint)
	raw, err := json.Marshal(blueprintOf(n))
	var current any
	if err == nil {
		err = json.Unmarshal(raw, &current)
	}
	if err != nil {
		return nil
	}
	flatten(have, "", current)
	var out []change
	for _, path := range slices.Sorted(maps.Keys(want)) {
		switch {
		case slices.Contains(secretPaths, path):
			out = append(out, change{path, "not shown", "set"})
		case want[path] != have[path] && (path != "enterprise" || want[path] == "true"):
			out = append(out, change{path, cmp.Or(have[path], "none"), want[path]})
		}
	}
	roles, _ := blueprint.(map[string]any)
	if roles["roles"] == nil {
		return out
	}
	for _, path := range slices.Sorted(maps.Keys(have)) {
		if _, listed := want[path]; !listed && len(path) > 6 && path[:6] == "roles." {
			out = append(out, change{path, have[path], "none"})
		}
	}
	return out
}
