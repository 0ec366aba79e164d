// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// auditExportAlias is export under the original's name and verbs.
func (a *app) auditExportAlias() *cobra.Command {
	set := a.exportSet()
	token := set.Flags().String("splunk-token", "", "the `token`; others on the machine can see it: --secret-file is better")
	must(set.RegisterFlagCompletionFunc("splunk-token", cobra.NoFileCompletions))
	set.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if *token != "" && cmd.Flags().Changed("secret-file") {
			return usagef(cmd, "--splunk-token and --secret-file exclude each other")
		}
		a.splunkToken = *token
		return nil
	}
	set.Example = "  pilotctl audit-export set --format splunk_hec --endpoint https://splunk:8088/services/collector --secret-file hec.token"
	off := a.wireCommand("disable", "set_audit_export", exactly(0), func(*session, []string) (protocol.Body, error) {
		return &protocol.SetAuditExport{}, nil
	})
	off.Short, off.Long = "switch the audit export off", longHelp(protocol.Must("set_audit_export"), "switch the audit export off")
	return groupCommand("audit-export", "set and show the audit export, like export", set, a.wireCommand("get", "get_audit_export", exactly(0), nil), off)
}

// contextOf is what a program that drives pilotctl has to know of it.
type contextOf struct {
	Version     string           `json:"version"`
	Commands    []contextCommand `json:"commands"`
	ErrorCodes  []string         `json:"error_codes"`
	GlobalFlags []string         `json:"global_flags"`
	Environment []string         `json:"environment"`
	ConfigFile  string           `json:"config_file"`
}

type contextCommand struct {
	Command     string `json:"command"`
	Args        string `json:"args,omitempty"`
	Description string `json:"description"`
	Returns     string `json:"returns,omitempty"`
}

func (a *app) contextCommand() *cobra.Command {
	return &cobra.Command{
		Use: "context", Short: "describe pilotctl to programs", Args: exactly(0), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Describe pilotctl to programs: its commands, error codes, global flags and settings.\n\nIt asks no member.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.checkOutput(cmd); err != nil {
				return err
			}
			c := describe(cmd.Root())
			if a.flags.output == "table" && !a.flags.json {
				a.flags.output = "json" // it is for programs
			}
			return a.printValue(c, &contextOf{})
		},
	}
}

func describe(root *cobra.Command) contextOf {
	c := contextOf{Version: buildInfo().Version, ConfigFile: "~/.pilot/config.json",
		Environment: []string{"PILOT_ADDR", "PILOT_REGISTRY", "PILOT_ADMIN_TOKEN", "PILOT_TLS_PIN", "PILOT_TLS_CA"}}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd.HasSubCommands() || cmd.Hidden {
			return
		}
		path := strings.TrimPrefix(cmd.CommandPath(), root.Name()+" ")
		_, args, _ := strings.Cut(cmd.Use, " ")
		row := contextCommand{Command: path, Args: args, Description: cmd.Short}
		if wire := wireOf(cmd); wire != "" {
			row.Returns = "the reply to " + wire
		}
		c.Commands = append(c.Commands, row)
	}
	walk(root)
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) { c.GlobalFlags = append(c.GlobalFlags, "--"+f.Name) })
	for code := range hints {
		c.ErrorCodes = append(c.ErrorCodes, code)
	}
	slices.Sort(c.ErrorCodes)
	return c
}

// wireOf is the wire command that the help of a command names.
func wireOf(cmd *cobra.Command) string {
	_, after, _ := strings.Cut(cmd.Long, "Wire command: ")
	name, _, _ := strings.Cut(after, "\n")
	return name
}

// punchCommand asks for the endpoints of two nodes that want to meet.
func (a *app) punchCommand() *cobra.Command {
	cmd := a.wireCommand("punch <node> [node]", "punch", between(1, 2), func(s *session, args []string) (protocol.Body, error) {
		own, err := s.node()
		if err != nil {
			return nil, err
		}
		r := &protocol.Punch{RequesterID: own, NodeA: own}
		if len(args) == 2 {
			if r.NodeA, err = s.nodeArg(args[0]); err != nil {
				return nil, err
			}
		}
		r.NodeB, err = s.nodeArg(args[len(args)-1])
		return r, err
	})
	cmd.Long += "\n\nOf two nodes one is usually the own one: with one argument it is."
	return cmd
}

// subscribeCommand prints the replication stream, an object on each line.
func (a *app) subscribeCommand() *cobra.Command {
	row := protocol.Must("subscribe_replication")
	cmd := &cobra.Command{Use: "subscribe", Short: "follow the whole state", Args: exactly(0), ValidArgsFunction: cobra.NoFileCompletions,
		Long:    longHelp(row, "follow the whole state") + "\n\nThe state is printed now and after changes, a JSON object on each line. An interrupt (Ctrl-C) ends it.",
		Example: "  pilotctl cluster subscribe --token-file ./replication.token --count 1 | jq .total_nodes"}
	file := cmd.Flags().String("token-file", "", "`file` with the replication token; - is standard input")
	deltas := cmd.Flags().Bool("deltas", false, "after the first frame only what has changed")
	count := cmd.Flags().Int("count", 0, "end after this `number` of frames (default: never)")
	must(cmd.RegisterFlagCompletionFunc("count", cobra.NoFileCompletions))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *file == "" || *count < 0 {
			return usagef(cmd, "--token-file is required, and --count is 0 or more")
		}
		token, err := readSecret("--token-file", *file)
		if err != nil {
			return err
		}
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		return s.follow(cmd.Context(), token, *deltas, *count)
	}
	return cmd
}

// errEnough ends a stream of which enough was seen.
var errEnough = errors.New("enough")

func (s *session) follow(ctx context.Context, token string, deltas bool, count int) error {
	seen := 0
	err := s.client.Subscribe(ctx, token, deltas, func(frame json.RawMessage) error {
		if _, err := fmt.Fprintf(s.stdout, "%s\n", frame); err != nil {
			return err
		}
		if seen++; seen == count {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) || ctx.Err() != nil {
		return nil
	}
	return err
}

// validateToken asks what an identity token is worth.
func (a *app) validateToken() *cobra.Command {
	cmd := a.wireCommand("validate", "validate_token", exactly(0), nil)
	file := cmd.Flags().String("token-file", "", "`file` with the identity token; - is standard input")
	cmd.RunE = a.runner("validate_token", func(s *session, _ []string) (protocol.Body, error) {
		if *file == "" {
			return nil, usagef(s.cmd, "--token-file is required")
		}
		token, err := readSecret("--token-file", *file)
		return &protocol.ValidateToken{Token: protocol.Secret(token)}, err
	})
	cmd.Example = "  pilotctl idp validate --token-file ./alice.jwt"
	return cmd
}

// identityWebhook sets the webhook that verifies identity tokens.
func (a *app) identityWebhook() *cobra.Command {
	cmd := a.wireCommand("webhook [url]", "set_identity_webhook", between(0, 1), nil)
	cmd.Example = "  pilotctl idp webhook https://id.example.org/verify\n  pilotctl idp webhook --off"
	off := addOff(cmd)
	cmd.RunE = a.runner("set_identity_webhook", func(s *session, args []string) (protocol.Body, error) {
		if *off == (len(args) == 1) || len(args) == 1 && args[0] == "" {
			return nil, usagef(s.cmd, "give a URL, or --off")
		}
		r := &protocol.SetIdentityWebhook{}
		if !*off {
			r.URL = args[0]
		}
		return r, nil
	})
	return cmd
}
