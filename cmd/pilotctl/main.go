// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/cmd/internal/helptext"
	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run executes one command line and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	return (&app{stdout: stdout, stderr: stderr, provisioner: sdkProvisioner{}}).run(args)
}

func (a *app) run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := a.rootCommand()
	a.flags.json = slices.Contains(args, "--json") // also for errors found before flags are read
	if output.AsksForJSON(args) {
		a.flags.output = output.JSON
	}
	root.SetArgs(protectNegatives(args))
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return failure.OK
	case errors.Is(err, errLooked):
		return failure.OK
	case errors.Is(err, errPending):
		return failure.Pending
	}
	return a.report(cmd, err)
}

// protectNegatives keeps "polo add 7 -5" from being read as a flag: a lone
// negative number becomes one with the typographic minus, which parseInt reads.
func protectNegatives(args []string) []string {
	out := append([]string(nil), args...)
	for i, arg := range out {
		digits, negative := strings.CutPrefix(arg, "-")
		if negative && digits != "" && strings.Trim(digits, "0123456789") == "" {
			out[i] = "\u2212" + digits
		}
	}
	return out
}

// app is one run of the program.
type app struct {
	stdout, stderr io.Writer
	flags          globalFlags
	provisioner    provisioner
	// splunkToken is a secret that was an argument, as the original takes it.
	splunkToken string
	moving      bool // something moves on the terminal
}

// whileRead has a command that follows something end when nobody reads what it
// writes.
func whileRead(a *app, cmd *cobra.Command) {
	f, is := a.stdout.(*os.File)
	if !is {
		return
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	cmd.SetContext(ctx)
	go func() { awaitUnread(f); cancel() }()
}

const rootLong = `pilotctl talks to a Pilot registry: it registers and manages nodes, trust,
networks and keys, reads and exports the audit trail, and shows and changes
the cluster.

Any member of the cluster answers every command. With several addresses the
first that works is used. A context (pilotctl context set) keeps how a cluster
is reached; pilot-registry dev and pilot-registry init make one.

Settings, first wins:
  address      --addr, --context, PILOT_ADDR, PILOT_REGISTRY, the context in
               use, "registry" in ~/.pilot/config.json, 127.0.0.1:9000
  admin token  --admin-token-file, PILOT_ADMIN_TOKEN, the context,
               "admin_token" in ~/.pilot/config.json
  TLS          --tls-pin, --tls-ca, --tls; PILOT_TLS_PIN, PILOT_TLS_CA; the
               context; "tls_pin" or "tls_ca" in ~/.pilot/config.json;
               otherwise plain
  identity     --identity, ~/.pilot/identity.json

What a context says of TLS and of the token holds for its own addresses only.
Tokens do not go to other machines in clear text, unless --insecure or the
context allows it.

Output: data on stdout, prose on stderr, never coloured. -o chooses the form:
a table of 80 columns, wide with everything, json, yaml, or what a JSONPath
selects, as in -o 'jsonpath=$.members[*].id'. --json is the envelope {"data":...,"status":"ok"} for scripts. With both
kinds of JSON an error is a line of JSON on stderr, with its code.

` + failure.Codes

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "pilotctl",
		Short:         "operate a Pilot registry and its nodes",
		Long:          rootLong,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       protocol.Version,
		Args:          cobra.ArbitraryArgs, // so that groupRun sees unknown commands
		RunE:          groupRun,
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usagef(cmd, "%s", failure.FlagProblem(cmd, err)) })
	a.flags.register(root)
	completeFlag(a, root, "node-id", "node")
	root.AddGroup(
		&cobra.Group{ID: "node", Title: "Nodes:"},
		&cobra.Group{ID: "other", Title: "Trust and keys:"},
		&cobra.Group{ID: "network", Title: "Networks:"},
		&cobra.Group{ID: "audit", Title: "Audit trail and identity provider:"},
		&cobra.Group{ID: "cluster", Title: "Cluster:"},
		&cobra.Group{ID: "alias", Title: "Short forms:"},
	)
	group := func(id string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	group("node", registerCommand(a), heartbeatCommand(a), lookupCommand(a), resolveCommand(a), deregisterCommand(a),
		rotateKeyCommand(a, "rotate-key"), nodeCommand(a), findCommand(a, "find"), punchCommand(a))
	group("other", trustCommand(a), handshakeCommand(a), poloCommand(a), beaconCommand(a), keyCommand(a))
	group("network", networkCommand(a), memberCommand(a), memberTagsCommand(a), inviteCommand(a), policyCommand(a), identityCommand(a), badgeCommand(a), recoveryCommand(a), personCommand(a), settingCommand(a),
		blueprintCommand(a), directoryCommand(a))
	group("audit", auditCommand(a), exportCommand(a), webhookCommand(a), idpCommand(a))
	group("cluster", clusterCommand(a), watchCommand(a), doctorCommand(a), debugCommand(a), benchCommand(a))
	group("alias", aliases(a)...)
	root.AddCommand(versionCommand(a), commandsCommand(a), explainCommand(a), a.contextCommand())
	helptext.Fit(root)
	return root
}

// groupCommand is a noun; its verbs do the work.
func groupCommand(use, short string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, RunE: groupRun}
	c.AddCommand(verbs...)
	return c
}

// groupRun runs when no verb was given, or one that does not exist.
func groupRun(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef(cmd, "%s needs a command", cmd.CommandPath())
	}
	return usagef(cmd, "unknown command %q for %q%s", args[0], cmd.CommandPath(), failure.Suggest(cmd, args[0]))
}
