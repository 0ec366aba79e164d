// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func exportBlueprint(a *app) *cobra.Command {
	cmd := wireCommand(a, "export <network>", "get_provision_status", exactly(1), nil)
	cmd.Short = "write a network down as a blueprint"
	cmd.Long = longHelp(protocol.Must("get_provision_status"), cmd.Short) + `

The network is named by id or name. Applying the result changes nothing.
Secrets are never given back: what needs one is left out, and said on stderr.
So are the settings of the whole registry, which belong to no network.
It is YAML unless -o json asks for JSON.`
	cmd.Example = "  pilotctl blueprint export prod-fleet > prod-fleet.yaml"
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		c, err := s.current(args[0])
		if err != nil {
			return err
		}
		if c.blueprint.JoinRule == protocol.JoinToken {
			c.blueprint.JoinRule = "" // which leaves it as it is
			s.say("note: the join token is not given back; to make the network again add join_rule: token and join_token")
		}
		return a.printBlueprint(c.blueprint)
	}
	return cmd
}

func (a *app) printBlueprint(b *blueprint) error {
	raw, err := json.Marshal(b)
	if err != nil {
		return err
	}
	if a.printer().ForPeople() {
		return output.WriteYAML(a.stdout, raw)
	}
	return a.print(raw, nil)
}

func diffBlueprint(a *app) *cobra.Command {
	cmd := wireCommand(a, "diff <file>", "get_provision_status", exactly(1), nil)
	cmd.Short = "compare a blueprint with the registry, setting by setting"
	cmd.Long = longHelp(protocol.Must("get_provision_status"), cmd.Short) + `

Settings that the blueprint does not mention, secrets and the identity
webhook, which nobody gives back, are not compared.
The exit code is 2 when there are differences.` + "\n" + blueprintFileHelp
	cmd.Example = "  pilotctl blueprint diff prod-fleet.yaml"
	cmd.ValidArgsFunction = completeFiles("yaml", "yml", "json")
	cmd.RunE = blueprintRun(a, func(s *session, b *blueprint) error {
		c, err := s.current(b.Name)
		if err != nil {
			return err
		}
		if err := s.addGlobal(c.blueprint, b); err != nil {
			return err
		}
		v := diffed{Name: b.Name, NetworkID: c.id, Revision: c.revision, Differences: differences(b, c.blueprint)}
		if err := a.printValue(v, &diffed{}); err != nil {
			return err
		}
		if len(v.Differences) > 0 {
			return errPending
		}
		return nil
	})
	return cmd
}

// diffed is what diff found.
type diffed struct {
	Name        string       `json:"name"`
	NetworkID   uint16       `json:"network_id"`
	Revision    uint64       `json:"revision"`
	Differences []difference `json:"differences"`
}
