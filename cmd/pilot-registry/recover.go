// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cmd/internal/ask"
)

// recoverable is what recover shows of a data directory.
type recoverable struct {
	DataDir   string `json:"data_dir"`
	Member    string `json:"member_id"`
	Epoch     uint64 `json:"epoch"`
	Term      uint64 `json:"term"`
	LastIndex uint64 `json:"last_index"`
	Committed uint64 `json:"known_committed"`
	LogTime   string `json:"log_time"`
	Nodes     int    `json:"nodes"`
	Digest    string `json:"digest"`
}

// recovered is what recover answers.
type recovered struct {
	Cluster     string            `json:"cluster_id"`
	Directories []recoverable     `json:"directories"`
	LeftBehind  map[string]string `json:"left_behind"`
	Epoch       uint64            `json:"epoch"`
	Backup      string            `json:"backup,omitempty"`
	Done        bool              `json:"done"`
}

func newRecover() *cobra.Command {
	var cfg cluster.RecoverConfig
	cmd := &cobra.Command{
		Use: "recover", Short: "Go on with one member after most voters were lost for good", Args: cobra.NoArgs,
		Long: `recover makes the cluster go on with the member on this machine as its only one, after so many voters were lost for good
that no leader can be elected. It works offline: stop the member first. The cluster keeps its id, its tokens and its
certificates; more members join as usual.

Give every data directory that was saved with --other: recover shows what each holds and refuses one that lacks entries
which another has. Writes that were acknowledged only by lost members are gone; with one directory of three nobody can
know how many those are. recover refuses while another voter runs.

The log and the snapshots are kept beside the new ones, in before-recover-TIME. Members that are left behind and come
back after all are told so and end with code 78; they join again with an empty data directory.`,
	}
	ask.Flags(cmd)
	form := addOutput(cmd)
	f := cmd.Flags()
	f.StringVar(&cfg.DataDir, "data-dir", dataDirDefault(), "data directory of the member to go on with")
	f.StringSliceVar(&cfg.Others, "other", nil, "data `directory` of another member of the cluster, to compare; may be repeated")
	f.StringVar(&cfg.PeerAdvertise, "peer-advertise", "", "host:port at which other members will reach this one (default: as it was)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := form()
		if err != nil {
			return err
		}
		cfg.Now = time.Now()
		plan, err := cluster.PlanRecover(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		r := recoverySummary(plan)
		if p.ForPeople() {
			printRecovery(cmd, r)
		}
		if ask.DryRun(cmd) {
			if !p.ForPeople() {
				return p.Value(r)
			}
			return nil
		}
		if err := ask.Confirm(cmd, cmd.ErrOrStderr(), !p.ForPeople(), fmt.Sprintf("make %s the only member of cluster %s and leave %d voters behind for good", r.Directories[0].Member, r.Cluster, len(r.LeftBehind))); err != nil {
			return err
		}
		if plan, err = cluster.Recover(cmd.Context(), cfg); err != nil {
			return err
		}
		r.Done, r.Backup = true, plan.Backup
		if !p.ForPeople() {
			return p.Value(r)
		}
		out := cmd.OutOrStdout()
		_, err = fmt.Fprintf(out, "\nrecovered; log and snapshots as they were: %s\n\nStart this member as before, here reachable at %s:\n  pilot-registry run --data-dir %s\nThen a token for each new member:\n  pilot-registry cluster add --data-dir %s\n",
			plan.Backup, plan.Address, cfg.DataDir, cfg.DataDir)
		return err
	}
	return cmd
}

func recoverySummary(plan *cluster.RecoverPlan) *recovered {
	r := &recovered{Cluster: plan.Survivors[0].ClusterID, LeftBehind: plan.LeftBehind, Epoch: plan.Epoch}
	for _, s := range plan.Survivors {
		digest := s.Root.Digest()
		r.Directories = append(r.Directories, recoverable{DataDir: s.DataDir, Member: s.MemberID, Epoch: s.Epoch, Term: s.Term, LastIndex: s.LastIndex, Committed: s.Known,
			LogTime: s.LogTime().Format(time.RFC3339), Nodes: s.Root.NodeCount(), Digest: hex.EncodeToString(digest[:])})
	}
	return r
}

func printRecovery(cmd *cobra.Command, r *recovered) {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "cluster %s\n", r.Cluster)
	for i, d := range r.Directories {
		mark := "compared"
		if i == 0 {
			mark = "chosen"
		}
		fmt.Fprintf(out, "\n%s: %s\n  member     %s\n  ends at    entry %d of term %d (known committed: %d)\n  log time   %s\n  nodes      %d\n  digest     %s\n",
			mark, d.DataDir, d.Member, d.LastIndex, d.Term, d.Committed, d.LogTime, d.Nodes, d.Digest)
	}
	fmt.Fprintln(out, "\nleft behind:")
	for _, id := range slices.Sorted(maps.Keys(r.LeftBehind)) {
		fmt.Fprintf(out, "  %s  %s\n", id, r.LeftBehind[id])
	}
}
