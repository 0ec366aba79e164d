// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// registryActions are about the whole registry.
var registryActions = []action{
	{Path: "set-provider", Title: "Set the identity provider", Verb: "Set", Wire: "set_idp_config",
		Lead: "It vouches for the people behind nodes. Without a type and an address there is none.", Fields: providerFields, Plan: planProvider},
	{Path: "set-setting", Title: "Change a setting", Verb: "Change", Wire: "set_setting",
		Lead: "All members keep to it at once.", Fields: settingFields, Plan: planSetting},
}

// noProvider is the choice that clears the provider.
const noProvider = "none"

var providerTypes = []string{noProvider, protocol.IDPOIDC, protocol.IDPEntra, protocol.IDPSAML, protocol.IDPLDAP, protocol.IDPWebhook}

// providerTexts are the texts of a provider, with how the form calls them.
var providerTexts = []struct{ name, label, hint string }{
	{"url", "Address", "of its keys or discovery document, or of the webhook that verifies tokens"},
	{"issuer", "Issuer", "not checked when empty"},
	{"client_id", "Audience", "not checked when empty"},
	{"tenant_id", "Tenant", ""},
	{"domain", "Domain", ""},
	{"external_id_claim", "Claim with the external id", "sub when empty; for oidc and entra_id"},
	{"role_claim", "Claim with groups or roles", "as in groups or realm_access.roles"},
}

var providerBoxes = []struct{ name, label string }{
	{"require_identity", "Let only people into enterprise networks"},
	{"refuse_hs256", "Refuse tokens that are signed with a shared secret"},
}

// provider is the provider that is set, by the names of the form.
func (v *visit) provider() (values, *protocol.Error) {
	have, e := ask[protocol.GetIDPConfigReply](v, "get_idp_config", nil)
	if e != nil {
		return nil, e
	}
	out := values{"type": or(have.IDPType, noProvider), "url": have.URL, "issuer": have.Issuer, "client_id": have.ClientID, "tenant_id": have.TenantID,
		"domain": have.Domain, "external_id_claim": have.ExternalIDClaim, "role_claim": have.RoleClaim}
	for name, on := range map[string]bool{"require_identity": have.RequireIdentity, "refuse_hs256": have.RefuseHS256} {
		if on {
			out[name] = "on"
		}
	}
	var roles []string
	for _, r := range have.RoleMap {
		roles = append(roles, fmt.Sprintf("%s=%d:%s", r.Value, r.NetworkID, r.Role))
	}
	out["roles"] = strings.Join(roles, "\n")
	return out, nil
}

func providerFields(v *visit, _ values) ([]field, *protocol.Error) {
	have, e := v.provider()
	if e != nil {
		return nil, e
	}
	fields := []field{{Name: "type", Label: "Type", Kind: kindChoice, Choices: providerTypes, Value: have["type"]}}
	for _, t := range providerTexts {
		fields = append(fields, field{Name: t.name, Label: t.label, Kind: kindText, Value: have[t.name], Hint: t.hint})
	}
	fields = append(fields, field{Name: "roles", Label: "Roles from the claim", Kind: kindLines, Value: have["roles"], Hint: "VALUE=NETWORK:admin, a line each"})
	for _, b := range providerBoxes {
		fields = append(fields, field{Name: b.name, Label: b.label, Kind: kindCheck, Value: have[b.name]})
	}
	return fields, nil
}

// roleMap reads lines of VALUE=NETWORK:ROLE.
func roleMap(text string) ([]any, *protocol.Error) {
	var out []any
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		at := strings.LastIndexByte(line, '=')
		network, role, ok := strings.Cut(line[at+1:], ":")
		id, err := strconv.ParseUint(network, 10, 16)
		if at <= 0 || !ok || err != nil {
			return nil, protocol.Errorf(protocol.CodeInvalid, "%s: want VALUE=NETWORK:ROLE, as in staff=3:admin", protocol.Quote(line))
		}
		out = append(out, map[string]any{"value": line[:at], "network_id": id, "role": role})
	}
	return out, nil
}

func planProvider(v *visit, in values) (*plan, *protocol.Error) {
	have, e := v.provider()
	if e != nil {
		return nil, e
	}
	p := &plan{Subject: "Identity provider", Back: "/identity", Fields: map[string]any{"idp_type": "", "url": ""}, Command: "pilotctl idp set --off"}
	p.add("Type", have["type"], in["type"])
	if in["type"] == noProvider {
		p.Type = "no provider"
		p.Warnings = append(p.Warnings, "Nobody vouches for people any more: registrations bring no external id, and roles from the provider end.")
		return p, nil
	}
	roles, e := roleMap(in["roles"])
	if e != nil {
		return nil, e
	}
	p.Fields["idp_type"] = in["type"]
	p.Command = "pilotctl idp set --type " + in["type"]
	for _, t := range providerTexts {
		in.set(p.Fields, t.name)
		p.add(t.label, or(have[t.name], "none"), or(in[t.name], "none"))
		if in[t.name] != "" {
			p.Command += " --" + strings.ReplaceAll(t.name, "_", "-") + " " + quoted(in[t.name])
		}
	}
	if len(roles) > 0 {
		p.Fields["role_map"] = roles
	}
	p.add("Roles from the claim", or(have["roles"], "none"), or(strings.ReplaceAll(in["roles"], "\r", ""), "none"))
	for line := range strings.Lines(in["roles"]) {
		if line = strings.TrimSpace(line); line != "" {
			p.Command += " --role " + quoted(line)
		}
	}
	for _, b := range providerBoxes {
		p.Fields[b.name] = in.yes(b.name)
		p.add(b.label, yesNo(have.yes(b.name)), yesNo(in.yes(b.name)))
		if in.yes(b.name) {
			p.Command += " --" + strings.ReplaceAll(b.name, "_", "-")
		}
	}
	return p, nil
}

// setting is the value that a setting has.
func (v *visit) setting(name string) (*protocol.SettingValue, *protocol.Error) {
	list, e := ask[protocol.ListSettingsReply](v, "list_settings", nil)
	if e != nil {
		return nil, e
	}
	n := slices.IndexFunc(list.Settings, func(s protocol.SettingValue) bool { return s.Name == name })
	if n < 0 {
		return nil, protocol.Refusef(protocol.CodeNotFound, "there is no setting %s", protocol.Quote(name))
	}
	return &list.Settings[n], nil
}

func settingFields(v *visit, in values) ([]field, *protocol.Error) {
	have, e := v.setting(in["name"])
	if e != nil {
		return nil, e
	}
	return []field{{Name: "name", Label: "Setting", Kind: kindFixed, Value: have.Name, Hint: protocol.FindSetting(have.Name).Doc},
		{Name: "value", Label: "Value", Kind: kindChoice, Choices: have.Values, Value: have.Value}}, nil
}

func planSetting(v *visit, in values) (*plan, *protocol.Error) {
	have, e := v.setting(in["name"])
	if e != nil {
		return nil, e
	}
	p := &plan{Subject: "Setting " + have.Name, Back: "/settings", Fields: map[string]any{"name": have.Name, "value": in["value"]}}
	p.add(have.Name, have.Value, in["value"])
	p.Command = fmt.Sprintf("pilotctl setting set %s %s", have.Name, in["value"])
	return p, nil
}
