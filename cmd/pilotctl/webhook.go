// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

func webhookCommand(a *app) *cobra.Command {
	set := wireCommand(a, "set [url]", "set_webhook", between(0, 1), nil)
	set.Example = "  pilotctl webhook set https://hooks.example.org/audit --secret-file webhook.secret\n  pilotctl webhook set --off"
	secret := addSecretFile(set, "the signing secret: whsec_ and base64")
	off := addOff(set)
	set.RunE = runner(a, "set_webhook", func(s *session, args []string) (protocol.Body, error) {
		if *off == (len(args) == 1) || len(args) == 1 && args[0] == "" {
			return nil, usagef(s.cmd, "give a URL, or --off")
		}
		r := &protocol.SetWebhook{}
		if *off {
			return r, nil
		}
		var err error
		r.URL = args[0]
		r.Secret, err = secret.read()
		return r, err
	})
	return groupCommand("webhook", "set and show the audit webhook and its dead letters", set, wireCommand(a, "show", "get_webhook", exactly(0), nil),
		groupCommand("dlq", "list, retry and drop dead letters", deadLetters(a), wireCommand(a, "events", "get_webhook_dlq", exactly(0), nil), changeLetters(a, "retry [event-id]", "dlq_retry"),
			asking(changeLetters(a, "drop [event-id]", "dlq_drop"))))
}

// letterTable is what the table shows of dead letters; -o json has all of it.
type letterTable struct {
	Letters []letterRow `json:"letters"`
}

type letterRow struct {
	EventID  uint64 `json:"event_id"`
	Action   string `json:"action"`
	Happened string `json:"timestamp"`
	Attempts uint32 `json:"attempts"`
	FailedAt string `json:"failed_at"`
	Retrying bool   `json:"retrying,omitempty"`
	Reason   string `json:"reason"`
}

func addSink(a *app, cmd *cobra.Command) *string {
	name := cmd.Flags().String("sink", protocol.SinkNameWebhook, "`name` of the sink")
	completeFlag(a, cmd, "sink", "sink")
	return name
}

func deadLetters(a *app) *cobra.Command {
	cmd := wireCommand(a, "list", "dlq_list", exactly(0), nil)
	sink := addSink(a, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		raw, err := s.call("dlq_list", &protocol.DeadLetters{Name: *sink})
		if *sink == protocol.SinkNameWebhook && client.CodeOf(err) == protocol.CodeNotFound {
			s.say("no webhook is configured, so there are no dead letters; set one with: pilotctl webhook set")
			return a.printValue(protocol.DLQListReply{Type: "dlq_list_ok", Letters: []protocol.DeadLetter{}}, &letterTable{})
		}
		if err != nil {
			return err
		}
		return s.print(raw, &letterTable{})
	}
	return cmd
}

func changeLetters(a *app, use, wire string) *cobra.Command {
	cmd := wireCommand(a, use, wire, between(0, 1), nil)
	sink := addSink(a, cmd)
	all := cmd.Flags().Bool("all", false, "all dead letters of the sink")
	cmd.RunE = runner(a, wire, func(s *session, args []string) (protocol.Body, error) {
		r := &protocol.DeadLetters{Name: *sink}
		if *all == (len(args) == 1) {
			return nil, usagef(s.cmd, "give an event id, or --all")
		}
		if *all {
			return r, nil
		}
		id, err := strconv.ParseUint(args[0], 10, 64)
		if err != nil || id == 0 {
			return nil, usagef(s.cmd, "invalid event id %q: want a number; pilotctl webhook dlq list shows them", args[0])
		}
		r.EventID = id
		return r, nil
	})
	return cmd
}
