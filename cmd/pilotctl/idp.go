// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/spf13/cobra"
)

func idpCommand(a *app) *cobra.Command {
	set := wireCommand(a, "set", "set_idp_config", exactly(0), nil)
	set.Example = "  pilotctl idp set --type oidc --url https://id.example.org/keys --issuer https://id.example.org --client-id pilot\n  pilotctl idp set --off"
	r, flags := &protocol.SetIDPConfig{}, set.Flags()
	flags.StringVar(&r.IDPType, "type", "", "`type` of the provider: oidc, saml, webhook, entra_id or ldap")
	flags.StringVar(&r.URL, "url", "", "`URL` of its keys or discovery document, or of the webhook that verifies tokens")
	flags.StringVar(&r.Issuer, "issuer", "", "expected `issuer` of tokens (default: not checked)")
	flags.StringVar(&r.ClientID, "client-id", "", "expected `audience` of tokens (default: not checked)")
	flags.StringVar(&r.TenantID, "tenant-id", "", "`tenant`, for those who read the configuration")
	flags.StringVar(&r.Domain, "domain", "", "`domain`, for those who read the configuration")
	flags.BoolVar(&r.RefuseHS256, "refuse-hs256", false, "refuse tokens that are signed with a secret shared with the provider")
	flags.StringVar(&r.ExternalIDClaim, "external-id-claim", "", "`claim` with the external id, as in oid, preferred_username or email (default: sub)")
	flags.StringVar(&r.RoleClaim, "role-claim", "", "`claim` with groups or roles, as in groups or realm_access.roles")
	roles := flags.StringArray("role", nil, "role for those with a value in the role claim, as in `VALUE=NETWORK:admin`; repeat it")
	flags.BoolVar(&r.RequireIdentity, "require-identity", false, "let only nodes with an external id into enterprise networks")
	off := addOff(set)
	must(set.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(
		[]cobra.Completion{protocol.IDPOIDC, protocol.IDPSAML, protocol.IDPWebhook, protocol.IDPEntra, protocol.IDPLDAP}, cobra.ShellCompDirectiveNoFileComp)))
	for _, name := range []string{"url", "issuer", "client-id", "tenant-id", "domain", "external-id-claim", "role-claim", "role"} {
		must(set.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
	set.RunE = runner(a, "set_idp_config", func(s *session, _ []string) (protocol.Body, error) {
		if *off && (r.IDPType != "" || r.URL != "") || !*off && (r.IDPType == "" || r.URL == "") {
			return nil, usagef(s.cmd, "give --type and --url, or --off")
		}
		for _, text := range *roles {
			m, err := s.roleMapping(text)
			if err != nil {
				return nil, err
			}
			r.RoleMap = append(r.RoleMap, m)
		}
		return r, nil
	})
	show := wireCommand(a, "show", "get_idp_config", exactly(0), nil)
	show.Aliases = []string{"get"}
	show.RunE = a.showIDP
	return groupCommand("idp", "set and show the identity provider, and validate its tokens", set, show, validateToken(a), identityWebhook(a))
}

// showIDP says also of keys that were never fetched that they were not.
func (a *app) showIDP(cmd *cobra.Command, _ []string) error {
	s, done, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer done()
	raw, err := s.call("get_idp_config", nil)
	if err != nil {
		return err
	}
	var r protocol.GetIDPConfigReply
	if err := json.Unmarshal(raw, &r); err != nil {
		return unreadable(err, raw)
	}
	idp := protocol.IDP{Type: r.IDPType}
	if !r.Configured || !idp.BuiltIn() || r.KeysFetchedAt != "" || !a.printer().ForPeople() {
		return a.print(raw, &r)
	}
	r.Keys = []string{"not fetched yet"}
	return a.printer().Value(&r)
}

// roleMapping reads VALUE=NETWORK:ROLE; a value may have both signs itself.
func (s *session) roleMapping(text string) (m protocol.RoleMapping, err error) {
	at, colon := strings.LastIndexByte(text, '='), strings.LastIndexByte(text, ':')
	if at < 1 || colon < at {
		return m, usagef(s.cmd, "invalid --role %q: want a value of the role claim, a network and a role, as in pilot-admins=1:admin", text)
	}
	m.Value, m.Role = text[:at], text[colon+1:]
	m.NetworkID, err = s.networkArg(text[at+1 : colon])
	return m, err
}
