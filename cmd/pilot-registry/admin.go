// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/cmd/internal/ask"
	"github.com/pilotregistry/pilotregistry/cmd/internal/backup"
	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/cmd/internal/named"
	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// adminTimeout bounds one administrative call.
const adminTimeout = 15 * time.Second

// healthTimeout bounds the question whether a member serves.
const healthTimeout = 5 * time.Second

// decideWithin is how long a person may think about a question.
const decideWithin = 5 * time.Minute

// dataDirDefault is the data directory of commands that read no other settings.
func dataDirDefault() string {
	return cmp.Or(os.Getenv("PILOT_REGISTRY_DATA_DIR"), defaultConfig().DataDir)
}

// adminCommand makes a command that talks to the member running on a data
// directory, with that member's own certificate.
func adminCommand(use, short string, args cobra.PositionalArgs, run func(ctx context.Context, a *cluster.AdminClient, cmd *cobra.Command, args []string) error) *cobra.Command {
	var dataDir string
	cmd := &cobra.Command{Use: use, Short: short, Args: args}
	cmd.Flags().StringVar(&dataDir, "data-dir", dataDirDefault(), "data directory of the running member on this machine")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a, err := cluster.DialAdmin(dataDir)
		if err != nil {
			return err
		}
		defer a.Close()
		within := adminTimeout
		if ask.Needed(cmd) && ask.IsTerminal(os.Stdin) {
			within += decideWithin
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), within)
		defer cancel()
		return run(ctx, a, cmd, args)
	}
	return cmd
}

func newStatus() *cobra.Command {
	var form func() (*output.Printer, error)
	cmd := adminCommand("status", "Show what the member on this machine knows of the cluster (works without a quorum)", cobra.NoArgs,
		func(ctx context.Context, a *cluster.AdminClient, cmd *cobra.Command, _ []string) error {
			p, err := form()
			if err != nil {
				return err
			}
			s, err := a.Status(ctx)
			if err != nil {
				return err
			}
			if err := printStatus(p, s); err != nil || s.LeaderID != "" {
				return err
			}
			return &failure.Error{Err: errors.New("there is no leader: nothing can be written"), Exit: failure.Unavailable,
				Hint: "do what the status says under next; reads work with pilotctl --consistency stale"}
		})
	cmd.Long = cmd.Short + ".\n\nThe exit code is 5 when there is no leader."
	form = addOutput(cmd)
	return cmd
}

func newHealth() *cobra.Command {
	var live bool
	cmd := adminCommand("health", "Exit with 0 while the member on this machine serves: for probes", cobra.NoArgs,
		func(ctx context.Context, a *cluster.AdminClient, cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(ctx, healthTimeout)
			defer cancel()
			s, err := a.Status(ctx)
			if err != nil || live || s.Ready {
				return err
			}
			return &failure.Error{Err: fmt.Errorf("the member runs and does not serve: %s", strings.Join(s.Problems, "; ")), Exit: failure.Unavailable,
				Hint: "see what is missing: pilot-registry status"}
		})
	cmd.Long = cmd.Short + `.

It prints nothing then. The exit code is 5 while the member does not run, does not answer within 5 seconds, or does not serve;
with --live a member that runs and does not serve is healthy too, as it should be where an unhealthy one is started again.`
	cmd.Flags().BoolVar(&live, "live", false, "ask only whether the member runs")
	return cmd
}

func printStatus(p *output.Printer, s protocol.ClusterStatusReply) error {
	if !p.ForPeople() {
		return p.Value(&s)
	}
	leader := s.LeaderID
	if leader == "" {
		leader = "none"
	}
	fmt.Fprintf(p.Out, "cluster        %s\nmember         %s (%s, ready: %t)\nleader         %s\nterm           %d\napplied        %d (committed %d, log ends at %d)\nfeature level  %d\nnodes          %d\nversion        %s\n\n",
		s.ClusterID, s.MemberID, s.State, s.Ready, leader, s.Term, s.AppliedIndex, s.CommitIndex, s.LastLogIndex, s.FeatureLevel, s.Nodes, s.Version)
	if err := printMembers(p, s.Members); err != nil {
		return err
	}
	for i, c := range s.Certificates {
		if i == 0 {
			fmt.Fprintln(p.Out)
		}
		fmt.Fprintln(p.Out, strings.TrimRight(fmt.Sprintf("certificate    %-6s  ends %s  %s", c.Certificate, c.Ends, c.MemberID), " "))
	}
	for i, problem := range s.Problems {
		output.Paragraph(p.Out, "\nproblem: ", problem)
		if i < len(s.NextSteps) {
			output.Paragraph(p.Out, "  next: ", s.NextSteps[i])
		}
	}
	return nil
}

func printMembers(p *output.Printer, members []protocol.ClusterMember) error {
	return p.Value(&protocol.ClusterMembersReply{Type: "cluster_members_ok", Members: members})
}

func newLeave() *cobra.Command {
	cmd := adminCommand("leave", "Take the member on this machine out of its cluster for good, and stop it", cobra.NoArgs,
		func(ctx context.Context, a *cluster.AdminClient, cmd *cobra.Command, _ []string) error {
			if goOn, err := confirmed(cmd, "take the member on this machine out of its cluster for good"); !goOn {
				return err
			}
			if err := a.Leave(ctx); err != nil {
				return err
			}
			return done(cmd, "left the cluster; the data directory can be removed")
		})
	cmd.Long = cmd.Short + "."
	ask.Flags(cmd)
	return cmd
}

// confirmed reports whether a change is meant and to be made.
func confirmed(cmd *cobra.Command, loss string) (bool, error) {
	if ask.DryRun(cmd) {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "would "+loss)
		return false, err
	}
	err := ask.Confirm(cmd, os.Stderr, false, loss)
	return err == nil, err
}

func newCluster() *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "Change the cluster through the member on this machine"}
	cmd.AddCommand(newClusterAdd(), newClusterMembers(), newClusterTransfer(), newClusterRemove(),
		adminCommand("promote MEMBER", "Make a non-voting member a voter", cobra.ExactArgs(1),
			func(ctx context.Context, a *cluster.AdminClient, cmd *cobra.Command, args []string) error {
				id, err := memberNamed(ctx, a, args[0])
				if err != nil {
					return err
				}
				if err := a.Promote(ctx, id); err != nil {
					return err
				}
				return done(cmd, "member %s has a vote", id)
			}),
		adminCommand("repair MEMBER", "Give a quarantined member the log and state of the others", cobra.ExactArgs(1),
			func(ctx context.Context, a *cluster.AdminClient, cmd *cobra.Command, args []string) error {
				id, err := memberNamed(ctx, a, args[0])
				if err != nil {
					return err
				}
				if err := a.Repair(ctx, id); err != nil {
					return err
				}
				return done(cmd, "member %s is not quarantined, or ends now: start it again, and it copies the others' state and then gets its vote back; see: pilot-registry cluster members", id)
			}))
	return cmd
}

// memberNamed is the id of the member that an id, a unique beginning of one or
// an address names.
func memberNamed(ctx context.Context, a *cluster.AdminClient, text string) (string, error) {
	members, err := a.Members(ctx)
	if err != nil {
		return "", err
	}
	return named.Member(members, text, "pilot-registry cluster members")
}

func newKeyring() *cobra.Command {
	cmd := &cobra.Command{Use: "keyring", Short: "Manage the keys that tokens and stored secrets are protected with"}
	rotate := adminCommand("rotate", "Give the cluster a new key for new secrets", cobra.NoArgs,
		func(ctx context.Context, a *cluster.AdminClient, cmd *cobra.Command, _ []string) error {
			version, err := a.RotateKeys(ctx)
			if err != nil {
				return err
			}
			return done(cmd, "keyring version %d is in force on every member; tokens stay valid", version)
		})
	rotate.Long = `rotate makes a new keyring version, hands it to every member, puts it into force and encrypts stored secrets again.
Every member has to be up. Tokens keep the version they were made with and stay valid; a backup needs the keyring of its
time or a later one. After an error, run it again: it continues where it was.`
	cmd.AddCommand(rotate, newKeyringExport())
	return cmd
}

// newKeyringExport copies a keyring for a place that is not a member's disk.
func newKeyringExport() *cobra.Command {
	var dataDir string
	keys := &backup.Keys{}
	cmd := &cobra.Command{
		Use: "export FILE", Short: "Copy the keyring into a file, encrypted, for the day of a restore", Args: cobra.ExactArgs(1),
		Long: `export copies the cluster's keyring from the data directory on this machine into an encrypted file. A restore needs
it beside a backup: tokens and stored secrets are protected with it. Keep the two apart. The file is good for backups of
its time and earlier: export again after each keyring rotate. A file that exists is not replaced; - is standard output.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !keys.Sealing() {
				return failure.Usagef(cmd, "the keyring is only exported encrypted: give --recipient or --passphrase-file")
			}
			k, err := keyring.Open(keyringFile(dataDir))
			if err != nil {
				return err
			}
			err = backup.Create(args[0], cmd.OutOrStdout(), keys, func(w io.Writer) error {
				_, err := w.Write(k.Export())
				return err
			})
			if err != nil {
				return err
			}
			return done(cmd, "keyring up to version %d exported", k.Latest())
		},
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", dataDirDefault(), "data directory of a member on this machine")
	keys.SealFlags(cmd.Flags())
	return cmd
}

func newClusterAdd() *cobra.Command {
	var nonvoter bool
	var ttl time.Duration
	var form func() (*output.Printer, error)
	cmd := adminCommand("add", "Print a token that lets one more member join", cobra.NoArgs,
		func(ctx context.Context, a *cluster.AdminClient, cmd *cobra.Command, _ []string) error {
			p, err := form()
			if err != nil {
				return err
			}
			if ttl < time.Second || ttl > maxTokenTTL {
				return failure.Usagef(cmd, "invalid --ttl %v: want 1s to 168h", ttl)
			}
			token, expires, err := a.JoinToken(ctx, nonvoter, ttl)
			if err != nil {
				return err
			}
			until := expires.UTC().Format(time.RFC3339)
			if !p.ForPeople() {
				return p.Value(map[string]any{"token": token, "expires_at": until, "nonvoter": nonvoter})
			}
			if ask.IsTerminal(cmd.OutOrStdout()) {
				_ = done(cmd, "On the new machine, before %s (the token works once, keep it secret):\n  pilot-registry join --token-file FILE --peer-advertise HOST:PORT", until)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		})
	cmd.Aliases = []string{"join-token"} // as pilotctl calls it
	cmd.Long = `add prints a token that lets one more member join, alone on stdout for files and scripts
(pilot-registry cluster add > token, then pilot-registry join --token-file token …).`
	form = addOutput(cmd)
	cmd.Flags().BoolVar(&nonvoter, "nonvoter", false, "the new member replicates and serves but never votes")
	cmd.Flags().DurationVar(&ttl, "ttl", time.Hour, "how long the token is valid, at most 168h")
	return cmd
}

// maxTokenTTL is how long a join token may be good, as pilotctl has it.
const maxTokenTTL = 7 * 24 * time.Hour

func newClusterMembers() *cobra.Command {
	var form func() (*output.Printer, error)
	cmd := adminCommand("members", "List the members", cobra.NoArgs,
		func(ctx context.Context, a *cluster.AdminClient, cmd *cobra.Command, _ []string) error {
			p, err := form()
			if err != nil {
				return err
			}
			members, err := a.Members(ctx)
			if err != nil {
				return err
			}
			return printMembers(p, members)
		})
	form = addOutput(cmd)
	return cmd
}

func newClusterTransfer() *cobra.Command {
	var ifLeader bool
	cmd := adminCommand("transfer-leadership [MEMBER]", "Hand leadership to another voter", cobra.MaximumNArgs(1),
		func(ctx context.Context, a *cluster.AdminClient, cmd *cobra.Command, args []string) error {
			if ifLeader {
				if s, err := a.Status(ctx); err != nil || s.LeaderID != s.MemberID {
					return err
				}
			}
			to := ""
			if len(args) == 1 {
				var err error
				if to, err = memberNamed(ctx, a, args[0]); err != nil {
					return err
				}
			}
			if err := a.Transfer(ctx, to); err != nil {
				return err
			}
			return done(cmd, "leadership was handed over; see: pilot-registry status")
		})
	cmd.Flags().BoolVar(&ifLeader, "if-leader", false, "do nothing unless the member on this machine leads, as before it is stopped")
	return cmd
}

func newClusterRemove() *cobra.Command {
	var force bool
	cmd := adminCommand("remove MEMBER", "Take a member out of the cluster, for example one whose machine is lost", cobra.ExactArgs(1),
		func(ctx context.Context, a *cluster.AdminClient, cmd *cobra.Command, args []string) error {
			id, err := memberNamed(ctx, a, args[0])
			if err != nil {
				return err
			}
			if goOn, err := confirmed(cmd, "remove member "+id+" from the cluster for good"); !goOn {
				return err
			}
			if err := a.Remove(ctx, id, force); err != nil {
				return err
			}
			return done(cmd, "member %s is out of the cluster", id)
		})
	ask.Flags(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "remove it even if too few reachable voters remain for a quorum")
	return cmd
}
