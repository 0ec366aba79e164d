// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// tail follows the audit log.
type tail struct {
	*session
	filter *protocol.GetAuditLog
	after  uint64
	// left is how many events are still to be shown, below 0 for any number.
	left     int
	interval time.Duration
}

func auditTail(a *app) *cobra.Command {
	row := protocol.Must("get_audit_log")
	cmd := &cobra.Command{Use: "tail", Short: "follow the audit log", Args: exactly(0), ValidArgsFunction: cobra.NoFileCompletions,
		Long: longHelp(row, "follow the audit log") + "\n\nIt begins with what happens from now on, or after --after. Events are lines; with -o json or --json\n" +
			"each is a JSON object on a line. While no member answers it waits. An interrupt (Ctrl-C) ends it.",
		Example: "  pilotctl audit tail --class security\n  pilotctl audit tail --after 0 --json | jq .action"}
	filter := addAuditFilter(a, cmd)
	after := cmd.Flags().Uint64("after", 0, "begin after the event of this `number`, 0 for all that are kept (default: from now on)")
	count := cmd.Flags().Int("count", 0, "end after this `number` of events (default: never)")
	interval := cmd.Flags().Duration("interval", time.Second, "ask for new events this often")
	for _, flag := range []string{"after", "count", "interval"} {
		must(cmd.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions))
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		whileRead(a, cmd)
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		if *interval < 10*time.Millisecond || *count < 0 {
			return usagef(cmd, "invalid --interval or --count: want 10ms or more, and 0 or more")
		}
		if a.flags.output != output.Table && a.flags.output != output.JSON {
			return usagef(cmd, "tail writes lines or JSON, not %s", a.flags.output)
		}
		t := &tail{session: s, after: *after, left: *count, interval: *interval}
		if *count == 0 {
			t.left = -1
		}
		if t.filter, err = filter.request(s); err != nil {
			return err
		}
		if !cmd.Flags().Changed("after") {
			if t.after, err = t.newest(); err != nil {
				return err
			}
		}
		return t.follow()
	}
	return cmd
}

// follow shows events until it is interrupted.
func (t *tail) follow() error {
	lost := false
	for t.left != 0 {
		err := t.catchUp()
		switch {
		case t.cmd.Context().Err() != nil:
			return nil
		case err != nil && !passing(err):
			return err
		case err != nil && !lost:
			t.say("no member answers (%v); waiting", err)
		}
		lost = err != nil
		if t.left == 0 {
			break
		}
		select {
		case <-t.cmd.Context().Done():
			return nil
		case <-time.After(t.interval):
		}
	}
	return nil
}

// passing reports whether an error may be over soon.
func passing(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && exitCode(e) == failure.Unavailable
}

// newest is the number of the newest event.
func (t *tail) newest() (uint64, error) {
	ctx, cancel := t.callContext()
	defer cancel()
	ends, err := t.client.AuditChain(ctx)
	if err != nil {
		return 0, err
	}
	newest := uint64(0)
	for _, c := range ends.Chains {
		newest = max(newest, c.HeadSeq)
	}
	return newest, nil
}

// callContext is for one call: --timeout bounds calls here, not the command.
func (t *tail) callContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.cmd.Context(), t.flags.timeout)
}

// catchUp shows what there is. The end of the log is asked for first: the
// page is read from that state or a newer one, so what lies before and was
// filtered out is not looked at again.
func (t *tail) catchUp() error {
	newest, err := t.newest()
	if err != nil || newest <= t.after {
		return err
	}
	for cursor := ""; t.left != 0; {
		var opts []client.CallOption
		if cursor != "" {
			opts = append(opts, client.WithCursor(cursor))
		}
		r := *t.filter
		r.AfterSeq, r.Ascending = t.after, true
		reply, err := t.page(r, opts)
		if err != nil {
			return err
		}
		for i := range reply.Entries {
			if err := t.show(&reply.Entries[i]); err != nil || t.left == 0 {
				return err
			}
		}
		if cursor = reply.NextCursor; cursor == "" {
			t.after = max(t.after, newest)
			return nil
		}
	}
	return nil
}

func (t *tail) page(r protocol.GetAuditLog, opts []client.CallOption) (*protocol.GetAuditLogReply, error) {
	ctx, cancel := t.callContext()
	defer cancel()
	return t.client.GetAuditLog(ctx, r, opts...)
}

func (t *tail) show(e *protocol.AuditEntry) error {
	t.after = e.Seq
	if t.left > 0 {
		t.left--
	}
	text := line(e)
	if t.flags.json || t.flags.output == output.JSON {
		raw, err := jsonLine(e)
		if err != nil {
			return err
		}
		text = string(raw)
	}
	_, err := fmt.Fprintln(t.stdout, text)
	return err
}
