// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

func auditCommand(a *app) *cobra.Command {
	list := wireCommand(a, "list", "get_audit_log", exactly(0), nil)
	list.Example = "  pilotctl audit list --action 'member.*' --network 1 --since 24h\n  pilotctl audit list --class security --limit 20 -o json"
	filter := addAuditFilter(a, list)
	every := list.Flags().Bool("all", false, "all pages, not the first one")
	page := tableRunner(a, "get_audit_log", func() any { return &auditTable{} }, func(s *session, _ []string) (protocol.Body, error) {
		return filter.request(s)
	})
	list.RunE = func(cmd *cobra.Command, args []string) error {
		if !*every {
			return page(cmd, args)
		}
		return a.allEvents(cmd, filter)
	}
	group := groupCommand("audit", "read, follow, export and verify the audit trail, and manage its sinks",
		list, auditTail(a), auditExport(a), auditVerify(a), auditReplay(a), auditSinks(a), wireCommand(a, "chain", "audit_chain", exactly(0), nil),
		groupCommand("sink", "create, replace and delete sinks of the audit trail", auditSinkPut(a), auditSinkDelete(a)))
	network := group.Flags().String("network", "", "without a command: list the events of this `network`, by id or name")
	completeFlag(a, group, "network", "network")
	group.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return groupRun(cmd, args)
		}
		filter.network = *network
		return list.RunE(cmd, nil)
	}
	return group
}

// tableRunner is runner for a reply that a table shows in part.
func tableRunner(a *app, wire string, table func() any, build builder) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		var body protocol.Body
		if build != nil {
			if body, err = build(s, args); err != nil {
				return err
			}
		}
		raw, err := s.call(wire, body)
		if err != nil {
			return err
		}
		return s.print(raw, table())
	}
}

// allEvents prints every page of a list as one.
func (a *app) allEvents(cmd *cobra.Command, filter *auditFilter) error {
	s, done, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer done()
	r, err := filter.request(s)
	if err != nil {
		return err
	}
	all := protocol.GetAuditLogReply{Type: "get_audit_log_ok", Entries: []protocol.AuditEntry{}}
	for cursor := ""; ; {
		page, err := request[protocol.GetAuditLogReply](s, "get_audit_log", r, client.WithLimit(1000), client.WithCursor(cursor))
		if err != nil {
			return err
		}
		all.Entries = append(all.Entries, page.Entries...)
		if cursor = page.NextCursor; cursor == "" {
			return a.printValue(all, &auditTable{})
		}
	}
}

// auditTable is what the table shows of an audit log; -o json has all of it.
type auditTable struct {
	Entries    []auditRow `json:"entries"`
	NextCursor string     `json:"next_cursor,omitempty"`
}

type auditRow struct {
	Seq       uint64 `json:"seq"`
	Timestamp string `json:"timestamp"`
	Class     string `json:"class"`
	Action    string `json:"action"`
	Actor     string `json:"actor"`
	Source    string `json:"source,omitempty"`
	NodeID    uint32 `json:"node_id,omitempty"`
	NetworkID uint16 `json:"network_id,omitempty"`
	Details   string `json:"details,omitempty"`
}

// auditFilter is what the flags of list and tail select.
type auditFilter struct {
	action, node, network, class, since, until string
}

func addAuditFilter(a *app, cmd *cobra.Command) *auditFilter {
	f, flags := &auditFilter{}, cmd.Flags()
	flags.StringVar(&f.action, "action", "", "only this `action`, as in member.kicked or member.*")
	flags.StringVar(&f.node, "node", "", "only what this `node` did or was named in: an id, address or hostname")
	flags.StringVar(&f.network, "network", "", "only events of this `network`, by id or name")
	flags.StringVar(&f.class, "class", "", "only this `class`: security or activity")
	flags.StringVar(&f.since, "since", "", "only from this `time` on: RFC 3339, or a span back from now, as in 24h or 7d")
	flags.StringVar(&f.until, "until", "", "only before this `time`")
	for _, name := range []string{"since", "until"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
	completeFlag(a, cmd, "node", "node")
	completeFlag(a, cmd, "network", "network")
	var actions []string
	for action := range protocol.Events {
		actions = append(actions, action)
	}
	must(cmd.RegisterFlagCompletionFunc("action", cobra.FixedCompletions(actions, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("class", cobra.FixedCompletions(
		[]cobra.Completion{protocol.ClassSecurity.String(), protocol.ClassActivity.String()}, cobra.ShellCompDirectiveNoFileComp)))
	return f
}

func (f *auditFilter) request(s *session) (r *protocol.GetAuditLog, err error) {
	r = &protocol.GetAuditLog{Action: f.action, Class: f.class}
	if f.node != "" {
		if r.NodeID, err = s.nodeArg(f.node); err != nil {
			return nil, err
		}
	}
	if f.network != "" {
		if r.NetworkID, err = s.networkArg(f.network); err != nil {
			return nil, err
		}
		if r.NetworkID == 0 {
			return nil, usagef(s.cmd, "invalid --network 0: events are not of the backbone")
		}
	}
	now := time.Now()
	if r.Since, err = past(s.cmd, "since", f.since, now); err != nil {
		return nil, err
	}
	r.Until, err = past(s.cmd, "until", f.until, now)
	return r, err
}

// past reads a point in time or a span back from now.
func past(cmd *cobra.Command, flag, text string, now time.Time) (string, error) {
	if _, err := time.Parse(time.RFC3339, text); text == "" || err == nil {
		return text, nil
	}
	d, ok := span(text)
	if !ok || d <= 0 {
		return "", usagef(cmd, "invalid --%s %q: want RFC 3339, as in 2027-01-31T10:00:00Z, or a span back from now, as in 24h or 7d", flag, text)
	}
	return now.Add(-d).UTC().Format(time.RFC3339), nil
}

func auditReplay(a *app) *cobra.Command {
	cmd := wireCommand(a, "replay", "audit_replay", exactly(0), nil)
	cmd.Example = "  pilotctl audit replay --sink audit_export --from 1200"
	name := cmd.Flags().String("sink", "", "`name` of the sink")
	from := cmd.Flags().Uint64("from", 0, "`number` of the first event to deliver again")
	for _, flag := range []string{"sink", "from"} {
		must(cmd.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions))
	}
	cmd.RunE = runner(a, "audit_replay", func(s *session, _ []string) (protocol.Body, error) {
		if *name == "" || *from == 0 {
			return nil, usagef(s.cmd, "--sink and --from are required")
		}
		return &protocol.AuditReplay{Name: *name, FromSeq: *from}, nil
	})
	return cmd
}

// line is an entry for people, on one line.
func line(e *protocol.AuditEntry) string {
	text := e.Timestamp + "  " + strconv.FormatUint(e.Seq, 10) + "  " + e.Action + "  " + e.Actor
	if e.NetworkID != 0 {
		text += fmt.Sprintf("  network_id=%d", e.NetworkID)
	}
	if e.NodeID != 0 {
		text += fmt.Sprintf("  node_id=%d", e.NodeID)
	}
	if e.Details != "" {
		text += "  " + e.Details
	}
	return clean(text)
}
