// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/ask"
	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// clearScreen moves to the beginning and clears what is below.
const clearScreen = "\x1b[H\x1b[2J"

// watchCommand shows the cluster until it is interrupted.
func watchCommand(a *app) *cobra.Command {
	row := protocol.Must("cluster_status")
	cmd := &cobra.Command{Use: "watch", Short: "follow the state of the cluster", Args: exactly(0), ValidArgsFunction: cobra.NoFileCompletions,
		Long: longHelp(row, "follow the state of the cluster") + "\n\nOn a terminal the view is drawn in place; elsewhere views follow each other. With -o json or --json\n" +
			"each is a JSON object on a line. While no member answers it says so and goes on. An interrupt (Ctrl-C) ends it.",
		Example: "  pilotctl watch\n  pilotctl watch --count 1 --json | jq .leader_id"}
	interval := cmd.Flags().Duration("interval", time.Second, "ask this often, 100ms or more")
	count := cmd.Flags().Int("count", 0, "end after this `number` of views (default: never)")
	for _, flag := range []string{"interval", "count"} {
		must(cmd.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions))
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *interval < 100*time.Millisecond || *count < 0 {
			return usagef(cmd, "invalid --interval or --count: want 100ms or more, and 0 or more")
		}
		whileRead(a, cmd)
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		w := &watch{session: s}
		for n := 1; ; n++ {
			if err := w.view(); err != nil || n == *count {
				return err
			}
			select {
			case <-cmd.Context().Done():
				return nil
			case <-time.After(*interval):
			}
		}
	}
	return cmd
}

// watch is a view that is drawn again and again.
type watch struct {
	*session
	last protocol.ClusterStatusReply
	at   time.Time
}

// view asks and shows once. That no member answers is part of what is shown.
func (w *watch) view() error {
	ctx, cancel := context.WithTimeout(w.cmd.Context(), w.flags.timeout)
	defer cancel()
	res, err := w.status(ctx)
	switch {
	case w.cmd.Context().Err() != nil:
		return nil
	case err != nil && !passing(err):
		return err
	case err != nil:
		w.say("no member answers (%v); waiting", err)
		return nil
	}
	if !w.printer().ForPeople() {
		line, err := jsonLine(res)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w.stdout, "%s\n", line)
		return err
	}
	var screen bytes.Buffer
	if err := w.draw(&screen, res); err != nil {
		return err
	}
	if ask.IsTerminal(w.stdout) {
		fmt.Fprint(w.stdout, clearScreen)
	} else if !w.at.IsZero() {
		fmt.Fprintln(w.stdout)
	}
	w.last, w.at = *res, time.Now()
	_, err = w.stdout.Write(screen.Bytes())
	return err
}

func (w *watch) status(ctx context.Context) (*protocol.ClusterStatusReply, error) {
	res, err := w.client.Do(ctx, "cluster_status", nil)
	if err != nil {
		return nil, err
	}
	reply := &protocol.ClusterStatusReply{}
	if err := json.Unmarshal(res.Raw, reply); err != nil {
		return nil, unreadable(err, res.Raw)
	}
	return reply, nil
}

// draw writes what a person looks for first: who leads, whether it moves, who
// is behind, and what to do.
func (w *watch) draw(screen *bytes.Buffer, r *protocol.ClusterStatusReply) error {
	leader := "none"
	if r.LeaderID != "" {
		leader = clean(r.LeaderID)
	}
	rate := ""
	if !w.at.IsZero() && r.CommitIndex >= w.last.CommitIndex {
		rate = fmt.Sprintf(", %.0f a second", float64(r.CommitIndex-w.last.CommitIndex)/max(time.Since(w.at).Seconds(), 0.001))
	}
	fmt.Fprintf(screen, "leader  %s, term %d\nlog     committed %d%s\nnodes   %d\nlevel   %d, version %s\n\n", leader, r.Term, r.CommitIndex, rate, r.Nodes, r.FeatureLevel, clean(r.Version))
	p := &output.Printer{Out: screen, Form: w.flags.output}
	if err := p.Value(&protocol.ClusterMembersReply{Members: r.Members}); err != nil {
		return err
	}
	for i, problem := range r.Problems {
		output.Paragraph(screen, "\nproblem: ", problem)
		if i < len(r.NextSteps) {
			output.Paragraph(screen, "  next: ", r.NextSteps[i])
		}
	}
	return nil
}
