// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// The command line alone gives access to the whole protocol.
func TestEveryWireCommandHasAVerb(t *testing.T) {
	t.Parallel()
	verbs := map[string]string{}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if wire := wireOf(cmd); wire != "" {
			verbs[wire] = cmd.CommandPath()
		}
	}
	walk((&app{}).rootCommand())
	for _, row := range protocol.Commands {
		if verbs[row.Name] == "" {
			t.Errorf("no verb of pilotctl sends %s", row.Name)
		}
	}
}

// A hint that names a remedy for something else sends people the wrong way.
func TestHintsFitTheCommand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ code, command, want, never string }{
		{protocol.CodeAlreadyExists, "transfer_ownership", "nothing to do", "choose another name"},
		{protocol.CodeAlreadyExists, "promote_member", "nothing to do", "choose another name"},
		{protocol.CodeAlreadyExists, "create_network", "choose another name", "nothing to do"},
		{protocol.CodeNotFound, "dlq_list", "pilotctl audit sinks", "register"},
		{protocol.CodeNotFound, "cluster_remove", "pilotctl cluster members", "register"},
		{protocol.CodeNotFound, "rename_network", "pilotctl network list", "register"},
		{protocol.CodeNotFound, "lookup", "pilotctl register", "sinks"},
		{protocol.CodeNotFound, "set_idp_config", "pilotctl network list", "register"},
		{protocol.CodeFeatureNotActive, "lookup", "cluster status", ""},
		{protocol.CodeTokenInvalid, "validate_token", "three parts", "owner of the network"},
		{protocol.CodeTokenInvalid, "register", "three parts", "owner of the network"},
		{protocol.CodeTokenInvalid, "join_network", "owner of the network", ""},
		{protocol.CodeTokenInvalid, "subscribe_replication", "check the token", "network"},
	} {
		got := hint(c.code, &client.Error{Code: c.code, Command: c.command})
		if !strings.Contains(got, c.want) || c.never != "" && strings.Contains(got, c.never) {
			t.Errorf("%s after %s: %q", c.code, c.command, got)
		}
	}
}

// Hints for codes unrelated to the cluster's health do not point there.
func TestEveryCodeHasAHintOfItsOwn(t *testing.T) {
	t.Parallel()
	health := map[string]bool{protocol.CodeNoLeader: true, protocol.CodeTimeout: true, protocol.CodeQuarantined: true, protocol.CodeFeatureNotActive: true}
	for _, c := range protocol.ErrorCodes {
		got := hint(c.Code, &client.Error{Code: c.Code, Command: "validate_token"})
		if got == "" && c.Code != protocol.CodeOutcomeUnknown || strings.Contains(got, "cluster status") != health[c.Code] {
			t.Errorf("%s: %q", c.Code, got)
		}
	}
	if got := hint("code_of_a_newer_version", &client.Error{}); got != "" {
		t.Errorf("a code that is not known: %q", got)
	}
}

// Programs that drive the original's command line begin with context.
func TestContextDescribesTheCommands(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	if code := run([]string{"context"}, &out, &errs); code != failure.OK {
		t.Fatal(errs.String())
	}
	var c contextOf
	if err := json.Unmarshal(out.Bytes(), &c); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, row := range c.Commands {
		found = found || row.Command == "network create" && row.Returns == "the reply to create_network"
	}
	if !found || len(c.ErrorCodes) == 0 || len(c.GlobalFlags) == 0 || c.Version == "" && buildInfo().Version != "" {
		t.Errorf("%s", out.String())
	}
}
