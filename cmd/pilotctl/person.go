// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// personPage is how many nodes and roles are asked for at once.
const personPage = 500

func personCommand(a *app) *cobra.Command {
	return groupCommand("person", "show and erase what is known of a person", personExport(a), personForget(a))
}

// personDocument is all that a registry knows of a person.
type personDocument struct {
	ExternalID string                `json:"external_id"`
	Nodes      []protocol.PersonNode `json:"nodes"`
	Roles      []protocol.PersonRole `json:"roles"`
	// Events name the person, or one of the nodes, oldest first.
	Events []protocol.AuditEntry `json:"events"`
}

func personExport(a *app) *cobra.Command {
	row := protocol.Must("person_export")
	cmd := &cobra.Command{Use: "export <external-id>", Short: row.Doc, Args: exactly(1), ValidArgsFunction: cobra.NoFileCompletions,
		Long: longHelp(row, row.Doc) + "\n\nOne JSON document: the nodes that are bound to the person with all that is on record of them, the roles that wait\n" +
			"for the person, and the events that name the person or one of these nodes.\n--timeout bounds each page.",
		Example: "  pilotctl person export alice@example.org > alice.json"}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		doc, err := s.person(args[0])
		if err != nil {
			return err
		}
		if len(doc.Nodes)+len(doc.Roles)+len(doc.Events) == 0 {
			s.say(fmt.Sprintf("note: nothing is known of %s", args[0]))
		}
		raw, err := json.MarshalIndent(doc, "", "  ")
		if err != nil {
			return err
		}
		if a.printer().ForPeople() {
			_, err := fmt.Fprintf(a.stdout, "%s\n", raw)
			return err
		}
		return a.print(raw, nil)
	}
	return cmd
}

func (s *session) person(externalID string) (*personDocument, error) {
	doc := &personDocument{ExternalID: externalID, Nodes: []protocol.PersonNode{}, Roles: []protocol.PersonRole{}}
	for cursor := ""; ; {
		r, err := request[protocol.PersonExportReply](s, "person_export", &protocol.PersonRequest{ExternalID: externalID},
			client.WithLimit(personPage), client.WithCursor(cursor))
		if err != nil {
			return nil, err
		}
		doc.Nodes, doc.Roles = append(doc.Nodes, r.Nodes...), append(doc.Roles, r.Roles...)
		if cursor = r.NextCursor; cursor == "" {
			break
		}
	}
	events := map[uint64]protocol.AuditEntry{}
	filters := []protocol.GetAuditLog{{ExternalID: externalID}}
	for _, n := range doc.Nodes {
		filters = append(filters, protocol.GetAuditLog{NodeID: n.NodeID})
	}
	for i := range filters {
		if err := s.eventsOf(&filters[i], events); err != nil {
			return nil, err
		}
	}
	doc.Events = []protocol.AuditEntry{}
	for _, e := range events {
		doc.Events = append(doc.Events, e)
	}
	slices.SortFunc(doc.Events, func(a, b protocol.AuditEntry) int { return cmp.Compare(a.Seq, b.Seq) })
	return doc, nil
}

// eventsOf adds the events that a filter finds, by number.
func (s *session) eventsOf(filter *protocol.GetAuditLog, to map[uint64]protocol.AuditEntry) error {
	filter.Ascending = true
	for cursor := ""; ; {
		r, err := request[protocol.GetAuditLogReply](s, "get_audit_log", filter, client.WithLimit(1000), client.WithCursor(cursor))
		if err != nil {
			return err
		}
		for _, e := range r.Entries {
			to[e.Seq] = e
		}
		if cursor = r.NextCursor; cursor == "" {
			return nil
		}
	}
}

func personForget(a *app) *cobra.Command {
	row := protocol.Must("person_forget")
	cmd := &cobra.Command{Use: "forget <external-id>", Short: row.Doc, Args: exactly(1), ValidArgsFunction: cobra.NoFileCompletions,
		Long: longHelp(row, row.Doc) + `

The person's nodes are taken out for good, with their keys, names and addresses, and the
roles that wait for the person. Of a node its number stays. In the audit log the
person's external id and the names of these nodes are erased; the log still verifies.
It cannot be undone. What sinks, backups and older snapshots have is not touched.`,
		Example: "  pilotctl person export alice@example.org > alice.json\n  pilotctl person forget alice@example.org --yes"}
	asking(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		if err := s.confirm(&protocol.PersonRequest{ExternalID: args[0]}); err != nil {
			return err
		}
		all, err := s.forget(args[0])
		if err != nil {
			return err
		}
		if all.Nodes+all.Roles+all.Events == 0 {
			s.say(fmt.Sprintf("note: nothing was known of %s", args[0]))
		}
		return a.printValue(all, &protocol.PersonForgetReply{})
	}
	return cmd
}

// request sends one of several requests of a command, with the whole timeout.
func request[T any](s *session, wire string, body protocol.Body, opts ...client.CallOption) (*T, error) {
	ctx, cancel := context.WithTimeout(s.cmd.Context(), s.flags.timeout)
	defer cancel()
	defer waiting(s.app, wire)()
	res, err := s.client.Do(ctx, wire, body, opts...)
	if err != nil {
		return nil, err
	}
	s.tellAge(res)
	reply := new(T)
	if err := json.Unmarshal(res.Raw, reply); err != nil {
		return nil, unreadable(err, res.Raw)
	}
	return reply, nil
}

// forget continues until nothing is left of the person. A request id is of the
// first request alone: each takes out other nodes.
func (s *session) forget(externalID string) (*protocol.PersonForgetReply, error) {
	all, opts := &protocol.PersonForgetReply{Type: "person_forget_ok"}, s.callOptions()
	for {
		r, err := request[protocol.PersonForgetReply](s, "person_forget", &protocol.PersonRequest{ExternalID: externalID}, opts...)
		if err != nil {
			return nil, err
		}
		all.Nodes, all.Roles, all.Events = all.Nodes+r.Nodes, all.Roles+r.Roles, all.Events+r.Events
		if !r.More {
			return all, nil
		}
		opts = nil
	}
}
