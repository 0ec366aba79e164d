// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

func (a *app) webhookCommand() *cobra.Command {
	set := a.wireCommand("set [url]", "set_webhook", between(0, 1), nil)
	set.Example = "  pilotctl webhook set https://hooks.example.org/audit --secret-file webhook.secret\n  pilotctl webhook set --off"
	secret := addSecretFile(set, "the signing secret: whsec_ and base64")
	off := addOff(set)
	set.RunE = a.runner("set_webhook", func(s *session, args []string) (protocol.Body, error) {
		if *off == (len(args) == 1) || len(args) == 1 && args[0] == "" {
			return nil, usagef(s.cmd, "give a URL, or --off")
		}
		r := &protocol.SetWebhook{}
		if *off {
			return r, nil
		}
		var err error
		r.URL = args[0]
		r.Secret, err = secret.read()
		return r, err
	})
	return groupCommand("webhook", "set and show the audit webhook and its dead letters", set, a.wireCommand("show", "get_webhook", exactly(0), nil),
		groupCommand("dlq", "list, retry and drop dead letters", a.deadLetters(), a.changeLetters("retry [event-id]", "dlq_retry"),
			a.changeLetters("drop [event-id]", "dlq_drop")))
}

// letterTable is what the table shows of dead letters; -o json has all of it.
type letterTable struct {
	Letters []letterRow `json:"letters"`
}

type letterRow struct {
	EventID  uint64 `json:"event_id"`
	Action   string `json:"action"`
	Happened string `json:"timestamp"`
	Attempts uint32 `json:"attempts"`
	FailedAt string `json:"failed_at"`
	Retrying bool   `json:"retrying,omitempty"`
	Reason   string `json:"reason"`
}

func addSink(cmd *cobra.Command) *string {
	name := cmd.Flags().String("sink", protocol.SinkNameWebhook, "`name` of the sink")
	must(cmd.RegisterFlagCompletionFunc("sink", cobra.NoFileCompletions))
	return name
}

func (a *app) deadLetters() *cobra.Command {
	cmd := a.wireCommand("list", "dlq_list", exactly(0), nil)
	sink := addSink(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		raw, err := s.call("dlq_list", &protocol.DeadLetters{Name: *sink})
		if *sink == protocol.SinkNameWebhook && client.CodeOf(err) == protocol.CodeNotFound {
			s.say("no webhook is configured, so there are no dead letters; set one with: pilotctl webhook set")
			return a.printValue(protocol.DLQListReply{Type: "dlq_list_ok", Letters: []protocol.DeadLetter{}}, &letterTable{})
		}
		if err != nil {
			return err
		}
		return s.print(raw, &letterTable{})
	}
	return cmd
}

func (a *app) changeLetters(use, wire string) *cobra.Command {
	cmd := a.wireCommand(use, wire, between(0, 1), nil)
	sink := addSink(cmd)
	all := cmd.Flags().Bool("all", false, "all dead letters of the sink")
	cmd.RunE = a.runner(wire, func(s *session, args []string) (protocol.Body, error) {
		r := &protocol.DeadLetters{Name: *sink}
		if *all == (len(args) == 1) {
			return nil, usagef(s.cmd, "give an event id, or --all")
		}
		if *all {
			return r, nil
		}
		id, err := strconv.ParseUint(args[0], 10, 64)
		if err != nil || id == 0 {
			return nil, usagef(s.cmd, "invalid event id %q: want a number; pilotctl webhook dlq list shows them", args[0])
		}
		r.EventID = id
		return r, nil
	})
	return cmd
}

func (a *app) idpCommand() *cobra.Command {
	set := a.wireCommand("set", "set_idp_config", exactly(0), nil)
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
	set.RunE = a.runner("set_idp_config", func(s *session, _ []string) (protocol.Body, error) {
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
	show := a.wireCommand("show", "get_idp_config", exactly(0), nil)
	show.Aliases = []string{"get"}
	show.RunE = a.showIDP
	return groupCommand("idp", "set and show the identity provider, and validate its tokens", set, show, a.validateToken(), a.identityWebhook())
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
		return fmt.Errorf("unreadable reply: %w", err)
	}
	idp := protocol.IDP{Type: r.IDPType}
	if !r.Configured || !idp.BuiltIn() || r.KeysFetchedAt != "" || a.flags.json || a.flags.output != "table" {
		return a.print(raw, &r)
	}
	r.Keys = []string{"not fetched yet"}
	return printTable(a.stdout, &r)
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
