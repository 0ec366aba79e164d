// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// adminTimeout bounds one administrative call.
const adminTimeout = 15 * time.Second

// adminCommand makes a command that talks to the member running on a data
// directory, with that member's own certificate.
func adminCommand(use, short string, args cobra.PositionalArgs, run func(ctx context.Context, a *cluster.AdminClient, cmd *cobra.Command, args []string) error) *cobra.Command {
	var dataDir string
	cmd := &cobra.Command{Use: use, Short: short, Args: args}
	cmd.Flags().StringVar(&dataDir, "data-dir", defaultConfig().DataDir, "data directory of the running member on this machine")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a, err := cluster.DialAdmin(dataDir)
		if err != nil {
			return err
		}
		defer a.Close()
		ctx, cancel := context.WithTimeout(cmd.Context(), adminTimeout)
		defer cancel()
		return withExitCode(run(ctx, a, cmd, args))
	}
	return cmd
}

// Exit codes of administrative commands, the same as pilotctl's.
const (
	exitUnavailable = 5
	exitUnknown     = 7
)

// withExitCode tells what was not done from what may have been done.
func withExitCode(err error) error {
	var refused *protocol.Error
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.Outcome {
	case protocol.OutcomeNotApplied:
		return &exitError{code: exitUnavailable, err: err}
	case protocol.OutcomeUnknown:
		return &exitError{code: exitUnknown, err: err}
	}
	return err
}

func newStatus() *cobra.Command {
	var asJSON bool
	cmd := adminCommand("status", "Show what the member on this machine knows of the cluster (works without a quorum)", cobra.NoArgs,
		func(ctx context.Context, a *cluster.AdminClient, cmd *cobra.Command, _ []string) error {
			s, err := a.Status(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(s)
			}
			return printStatus(cmd.OutOrStdout(), s)
		})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printStatus(out io.Writer, s protocol.ClusterStatusReply) error {
	leader := s.LeaderID
	if leader == "" {
		leader = "none"
	}
	fmt.Fprintf(out, "cluster        %s\nmember         %s (%s, ready: %t)\nleader         %s\nterm           %d\napplied        %d (committed %d, log ends at %d)\nfeature level  %d\nnodes          %d\nversion        %s\n\n",
		s.ClusterID, s.MemberID, s.State, s.Ready, leader, s.Term, s.AppliedIndex, s.CommitIndex, s.LastLogIndex, s.FeatureLevel, s.Nodes, s.Version)
	if err := printMembers(out, s.Members); err != nil {
		return err
	}
	for i, p := range s.Problems {
		fmt.Fprintf(out, "\nproblem: %s\n", p)
		if i < len(s.NextSteps) {
			fmt.Fprintf(out, "  next: %s\n", s.NextSteps[i])
		}
	}
	return nil
}

func printMembers(out io.Writer, members []protocol.ClusterMember) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MEMBER\tADDRESS\tSUFFRAGE\tROLE\tREACHABLE\tAPPLIED\tVERSION\tPROBLEM")
	for _, m := range members {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%t\t%d\t%s\t%s\n", m.ID, m.Address, m.Suffrage, m.Role, m.Reachable, m.AppliedIndex, m.Version, m.Problem)
	}
	return w.Flush()
}

func newLeave() *cobra.Command {
	return adminCommand("leave", "Take the member on this machine out of its cluster for good, and stop it", cobra.NoArgs,
		func(ctx context.Context, a *cluster.AdminClient, cmd *cobra.Command, _ []string) error {
			if err := a.Leave(ctx); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "left the cluster; the data directory can be removed")
			return err
		})
}

func newCluster() *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "Change the cluster through the member on this machine"}
	cmd.AddCommand(newClusterAdd(), newClusterMembers(), newClusterTransfer(), newClusterRemove(),
		adminCommand("promote MEMBER", "Make a non-voting member a voter", cobra.ExactArgs(1),
			func(ctx context.Context, a *cluster.AdminClient, _ *cobra.Command, args []string) error {
				return a.Promote(ctx, args[0])
			}))
	return cmd
}

func newKeyring() *cobra.Command {
	cmd := &cobra.Command{Use: "keyring", Short: "Manage the keys that tokens and stored secrets are protected with"}
	rotate := adminCommand("rotate", "Give the cluster a new key for new secrets", cobra.NoArgs,
		func(ctx context.Context, a *cluster.AdminClient, cmd *cobra.Command, _ []string) error {
			version, err := a.RotateKeys(ctx)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "keyring version %d is in force on every member; tokens stay valid\n", version)
			return err
		})
	rotate.Long = `rotate makes a new keyring version, hands it to every member, puts it into force and encrypts stored secrets again.
Every member has to be up. Tokens keep the version they were made with and stay valid; a backup needs the keyring of its
time or a later one. After an error, run it again: it continues where it was.`
	cmd.AddCommand(rotate)
	return cmd
}

func newClusterAdd() *cobra.Command {
	var nonvoter, asJSON bool
	var ttl time.Duration
	cmd := adminCommand("add", "Print a token that lets one more member join", cobra.NoArgs,
		func(ctx context.Context, a *cluster.AdminClient, cmd *cobra.Command, _ []string) error {
			token, expires, err := a.JoinToken(ctx, nonvoter, ttl)
			if err != nil {
				return err
			}
			until := expires.UTC().Format(time.RFC3339)
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"token": token, "expires_at": until, "nonvoter": nonvoter})
			}
			if !onTerminal(cmd.OutOrStdout()) {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "On the new machine, before %s (the token works once, keep it secret):\n  pilot-registry join --token %s --peer-advertise HOST:PORT\n", until, token)
			return err
		})
	cmd.Long = `add prints a token that lets one more member join: on a terminal with the command that uses it, otherwise alone, for
files and scripts (pilot-registry cluster add > token, then pilot-registry join --token-file token …).`
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&nonvoter, "nonvoter", false, "the new member replicates and serves but never votes")
	cmd.Flags().DurationVar(&ttl, "ttl", time.Hour, "how long the token is valid")
	return cmd
}

// onTerminal reports whether a person reads what is written.
func onTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func newClusterMembers() *cobra.Command {
	return adminCommand("members", "List the members", cobra.NoArgs,
		func(ctx context.Context, a *cluster.AdminClient, cmd *cobra.Command, _ []string) error {
			members, err := a.Members(ctx)
			if err != nil {
				return err
			}
			return printMembers(cmd.OutOrStdout(), members)
		})
}

func newClusterTransfer() *cobra.Command {
	return adminCommand("transfer-leadership [MEMBER]", "Hand leadership to another voter", cobra.MaximumNArgs(1),
		func(ctx context.Context, a *cluster.AdminClient, _ *cobra.Command, args []string) error {
			to := ""
			if len(args) == 1 {
				to = args[0]
			}
			return a.Transfer(ctx, to)
		})
}

func newClusterRemove() *cobra.Command {
	var force bool
	cmd := adminCommand("remove MEMBER", "Take a member out of the cluster, for example one whose machine is lost", cobra.ExactArgs(1),
		func(ctx context.Context, a *cluster.AdminClient, _ *cobra.Command, args []string) error {
			return a.Remove(ctx, args[0], force)
		})
	cmd.Flags().BoolVar(&force, "force", false, "remove it even if too few reachable voters remain for a quorum")
	return cmd
}
