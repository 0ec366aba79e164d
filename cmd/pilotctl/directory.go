// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func directoryCommand(a *app) *cobra.Command {
	return groupCommand("directory", "keep a network as a directory of people says",
		validateListing(a), planDirectory(a), a.syncDirectory("sync"), directoryStatus(a, "status"))
}

const listingFileHelp = `
The file is CSV with a line of column names, or JSON or YAML, in UTF-8 or UTF-16;
- is standard input. CSV has commas, semicolons or tabs. Entries have external_id,
role (owner, admin or member), display_name, and disabled or its opposite: enabled,
active or accountEnabled, or a status in words; email and groups are accepted. In
CSV, groups are separated by ; or |

Exports of Entra ID, Google Workspace, Okta and Active Directory are read as they
are, as far as their column names leave no doubt; columns they have besides are not
used. Where there is doubt, and for other exports, --column says which column, or
key of an entry, is what:

  --column external_id=userPrincipalName --column status=Zustand`

func validateListing(a *app) *cobra.Command {
	var columns func() (map[string]string, error)
	cmd := &cobra.Command{
		Use: "validate <file>", Short: "check a directory listing without a registry", Args: exactly(1),
		Long:              "Check a directory listing without a registry. All mistakes are listed at once, with their lines; the exit code is then 2.\n" + listingFileHelp,
		Example:           "  pilotctl directory validate people.csv",
		ValidArgsFunction: completeFiles("csv", "yaml", "yml", "json"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.checkOutput(cmd); err != nil {
				return err
			}
			asked, err := columns()
			if err != nil {
				return err
			}
			l, d, err := readListing(args[0], asked)
			if err != nil {
				return err
			}
			return a.reportValid(d, validated{File: args[0], Entries: len(l.Entries), Columns: l.columns.from, Unused: l.columns.unused})
		},
	}
	columns = addColumns(cmd)
	return cmd
}

// listingFlags say more about a listing than its file does.
type listingFlags struct {
	network        string
	removeUnlisted bool
	columns        func() (map[string]string, error)
}

func addListing(cmd *cobra.Command, a *app) *listingFlags {
	f := &listingFlags{columns: addColumns(cmd)}
	cmd.Flags().StringVar(&f.network, "network", "", "`id` of the network (default: network_id of the file)")
	cmd.Flags().BoolVar(&f.removeUnlisted, "remove-unlisted", false, "remove members that have an external id and are not in the listing")
	must(cmd.RegisterFlagCompletionFunc("network", func(cmd *cobra.Command, _ []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return live(a, cmd, "network", nil)
	}))
	return f
}

// directoryRun reads the listing and finds it valid before anything is sent.
func directoryRun(a *app, f *listingFlags, do func(s *session, l *listing) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := a.checkOutput(cmd); err != nil {
			return err
		}
		asked, err := f.columns()
		if err != nil {
			return err
		}
		l, d, err := readListing(args[0], asked)
		if err != nil {
			return err
		}
		if err := d.err(); err != nil {
			return err
		}
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		if l.columns.exported {
			s.say("%s: %s", clean(args[0]), l.columns.summary())
		}
		if f.network != "" {
			if l.NetworkID, err = s.networkArg(f.network); err != nil {
				return err
			}
		}
		if l.NetworkID == 0 {
			return usagef(cmd, "no network: give --network, or network_id in the file")
		}
		l.RemoveUnlisted = l.RemoveUnlisted || f.removeUnlisted
		return do(s, l)
	}
}

func planDirectory(a *app) *cobra.Command {
	cmd := wireCommand(a, "plan <file>", "directory_sync", exactly(1), nil)
	cmd.Short = "show what applying a directory listing would change"
	cmd.Long = longHelp(protocol.Must("directory_sync"), cmd.Short) +
		"\n\nThe exit code is 2 when something would change, 0 when nothing would." + "\n" + listingFileHelp
	cmd.Example = "  pilotctl directory plan people.csv --network 1 --remove-unlisted"
	cmd.ValidArgsFunction = completeFiles("csv", "yaml", "yml", "json")
	f, out := addListing(cmd, a), addOut(cmd)
	cmd.RunE = directoryRun(a, f, func(s *session, l *listing) error {
		return s.plan("directory", l, *out, &directoryReply{}, func() (json.RawMessage, error) { return s.provisioner.syncDirectory(s, l, change{dryRun: true}) })
	})
	return cmd
}

func (a *app) syncDirectory(use string) *cobra.Command {
	cmd := wireCommand(a, use+" <file>", "directory_sync", exactly(1), nil)
	cmd.Long += `

Members are found by their external ids. Listed roles are given, disabled
members removed; roles of people who are not members yet wait for them. Nobody
is made a member. With --remove-unlisted the members who would go are told first,
and go when --confirm-removals has their number, or --plan the same plan.` + "\n" + listingFileHelp
	cmd.Example = "  pilotctl directory sync people.csv --network 1\n  pilotctl directory sync people.csv --network 1 --remove-unlisted --confirm-removals 12"
	cmd.ValidArgsFunction = completeFiles("csv", "yaml", "yml", "json")
	f, revision := addListing(cmd, a), addRevision(cmd)
	confirm := cmd.Flags().Uint32("confirm-removals", 0, "agree that this `number` of members is removed; needed when they are not listed, or many")
	must(cmd.RegisterFlagCompletionFunc("confirm-removals", cobra.NoFileCompletions))
	cmd.RunE = directoryRun(a, f, func(s *session, l *listing) error {
		c, err := revision.change(s.cmd, "directory", l)
		if err != nil {
			return err
		}
		if s.cmd.Flags().Changed("confirm-removals") {
			c.confirm = confirm
		}
		if l.RemoveUnlisted {
			look := c
			look.dryRun = true
			raw, err := s.provisioner.syncDirectory(s, l, look)
			if err != nil {
				return err
			}
			if err := unconfirmed(raw, &c); err != nil {
				return err
			}
		}
		raw, err := s.provisioner.syncDirectory(s, l, c)
		if err != nil {
			return err
		}
		s.sayRemoved(raw, l.NetworkID)
		return s.print(raw, &directoryReply{})
	})
	return cmd
}

// unconfirmed refuses to remove members for not being listed, unless their
// number was given: a listing that was cut off between two rows looks like a
// whole one. A plan that was looked at has the number.
func unconfirmed(raw json.RawMessage, c *change) error {
	var reply directoryReply
	if err := json.Unmarshal(raw, &reply); err != nil {
		return unreadable(err, raw)
	}
	unlisted := removed(reply.Actions, actionUnlisted)
	switch all := uint32(reply.Disabled); {
	case len(unlisted) == 0 || c.confirm != nil && *c.confirm == all:
		return nil
	case c.confirm == nil && c.planned != nil && *c.planned == all:
		c.confirm = c.planned
		return nil
	}
	return &failure.Error{Err: fmt.Errorf("this would remove %s in all, these for not being listed: %s", plural(reply.Disabled, "member"), strings.Join(unlisted, ", ")),
		Code: protocol.CodeConflict, Exit: failure.Conflict, Hint: fmt.Sprintf("if that is meant: --confirm-removals %d; else list them, or disable them by name", reply.Disabled)}
}

// How actions that remove a member begin.
const (
	actionDisabled = "disabled "
	actionUnlisted = "removed unlisted "
)

// removed are those whom actions remove, for these reasons.
func removed(actions []string, reasons ...string) (gone []string) {
	for _, action := range actions {
		for _, reason := range reasons {
			if who, is := strings.CutPrefix(action, reason); is {
				gone = append(gone, clean(who))
			}
		}
	}
	return gone
}

// sayRemoved lists those who are no longer members.
func (s *session) sayRemoved(raw json.RawMessage, network uint16) {
	var reply directoryReply
	if json.Unmarshal(raw, &reply) != nil {
		return
	}
	gone := removed(reply.Actions, actionDisabled, actionUnlisted)
	if len(gone) > 0 {
		s.say("removed %s from network %d: %s", plural(len(gone), "member"), network, strings.Join(gone, ", "))
	}
}

func directoryStatus(a *app, use string) *cobra.Command {
	cmd := wireCommand(a, use+" <network>", "directory_status", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		network, err := s.networkArg(args[0])
		return &protocol.NetworkRequest{NetworkID: network}, err
	})
	cmd.Example = "  pilotctl directory status 1"
	return cmd
}
