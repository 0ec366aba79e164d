// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// difference is a setting that a blueprint and the registry have differently.
type difference struct {
	Setting  string `json:"setting"`
	Registry string `json:"registry"`
	File     string `json:"file"`
}

// settings are the values of a blueprint by path, without secrets, which
// nobody gives back.
func (b *blueprint) settings() map[string]string {
	out := map[string]string{}
	put := func(path, value string, given bool) {
		if given {
			out[path] = value
		}
	}
	put("join_rule", b.JoinRule, b.JoinRule != "")
	put("enterprise", "true", b.Enterprise)
	if p := b.Policy; p != nil {
		if p.MaxMembers != nil {
			put("policy.max_members", fmt.Sprint(*p.MaxMembers), true)
		}
		put("policy.allowed_ports", strings.Trim(strings.ReplaceAll(fmt.Sprint(p.AllowedPorts), " ", ", "), "[]"), len(p.AllowedPorts) > 0)
		put("policy.description", p.Description, p.Description != "")
	}
	put("expr_policy", inOneForm(b.ExprPolicy), len(b.ExprPolicy) > 0)
	for _, r := range b.Roles {
		put("roles."+protocol.FoldExternalID(r.ExternalID), r.Role, true)
	}
	if i := b.IdentityProvider; i != nil {
		for key, value := range map[string]string{"type": i.Type, "url": i.URL, "issuer": i.Issuer, "client_id": i.ClientID, "tenant_id": i.TenantID, "domain": i.Domain} {
			put("identity_provider."+key, value, value != "")
		}
	}
	if w := b.Webhooks; w != nil {
		put("webhooks.audit_url", w.AuditURL, w.AuditURL != "")
	}
	if e := b.AuditExport; e != nil {
		for key, value := range map[string]string{"format": e.Format, "endpoint": e.Endpoint, "index": e.Index, "source": e.Source} {
			put("audit_export."+key, value, value != "")
		}
	}
	return out
}

// inOneForm writes equal documents alike, whatever the order of their keys.
func inOneForm(document json.RawMessage) string {
	var value any
	if json.Unmarshal(document, &value) != nil {
		return string(document)
	}
	out, err := json.Marshal(value)
	if err != nil {
		return string(document)
	}
	return string(out)
}

// differences compares what a blueprint says with what the registry has. What
// the blueprint does not mention it leaves alone; its roles are the whole list.
func differences(file, registry *blueprint) []difference {
	want, have := file.settings(), registry.settings()
	out := []difference{}
	for path, value := range want {
		if have[path] != value {
			out = append(out, difference{Setting: path, Registry: have[path], File: value})
		}
	}
	for path, value := range have {
		if _, listed := want[path]; !listed && len(file.Roles) > 0 && strings.HasPrefix(path, "roles.") {
			out = append(out, difference{Setting: path, Registry: value})
		}
	}
	slices.SortFunc(out, func(a, b difference) int { return cmp.Compare(a.Setting, b.Setting) })
	return out
}
