// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// roleRequest is what the commands on a network's members and settings have
// in common.
type roleRequest struct {
	args    []string
	network uint16
	// actor is the node whose role counts, 0 when a token does.
	actor uint32
	// about is what told says about the change, learnt before it was made.
	about string
}

// roleCommand is a command that a network's owner or admin, its token or the
// admin token authorises. The first argument is the network. told, which may
// be nil, says what was done.
func roleCommand(a *app, use, wire string, args cobra.PositionalArgs,
	build func(s *session, r *roleRequest) (protocol.Body, error), told func(r *roleRequest) string) *cobra.Command {
	cmd := wireCommand(a, use, wire, args, nil)
	token := addSecret(cmd, "network-admin-token", "of the network, instead of a member's role")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		r := &roleRequest{args: args}
		if r.network, err = s.networkArg(args[0]); err != nil {
			return err
		}
		opts, err := s.actAs(r, token)
		if err != nil {
			return err
		}
		body, err := build(s, r)
		if err != nil {
			return err
		}
		if err := s.confirm(body); err != nil {
			return err
		}
		raw, err := s.call(wire, body, opts...)
		if err != nil {
			return err
		}
		if told != nil {
			s.say("%s", told(r))
		}
		return s.print(raw, protocol.Must(wire).NewReply())
	}
	return cmd
}

// actAs finds out who acts: the own node, or the holder of the token.
func (s *session) actAs(r *roleRequest, token *secretFlags) ([]client.CallOption, error) {
	secret, err := token.read(s.cmd)
	if err != nil {
		return nil, err
	}
	r.actor = s.ownNode()
	if secret != "" && s.clearTo != "" {
		return nil, s.inClear("the network's token")
	}
	if secret != "" {
		return []client.CallOption{client.WithAdminToken(string(secret))}, nil
	}
	if r.actor == 0 && s.opts.AdminToken == "" {
		return nil, &failure.Error{Err: fmt.Errorf("nobody to act as: no identity at %s and no token", s.identityPath),
			Code: protocol.CodeSignatureRequired, Exit: failure.Denied,
			Hint: "give a member's key with --identity, or a token with --admin-token-file or --network-admin-token-file"}
	}
	return nil, nil
}

// secretFlags are the two ways to give a secret: --x-file, and --x as the
// original has it.
type secretFlags struct{ name, file, text string }

func addSecret(cmd *cobra.Command, name, what string) *secretFlags {
	f := &secretFlags{name: "--" + name}
	cmd.Flags().StringVar(&f.file, name+"-file", "", "`file` with the token "+what)
	cmd.Flags().StringVar(&f.text, name, "", "the `token` itself; others on this machine can see it, prefer --"+name+"-file")
	must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	return f
}

func (f *secretFlags) given() bool { return f.file != "" || f.text != "" }

func (f *secretFlags) read(cmd *cobra.Command) (protocol.Secret, error) {
	switch {
	case f.file != "" && f.text != "":
		return "", usagef(cmd, "%s and %s-file exclude each other", f.name, f.name)
	case f.file == "":
		return protocol.Secret(f.text), nil
	}
	secret, err := readSecret(f.name+"-file", f.file)
	return protocol.Secret(secret), err
}

// forFlag is --for: how long something lasts.
type forFlag struct{ text string }

func addFor(cmd *cobra.Command, what string) *forFlag {
	f := &forFlag{}
	cmd.Flags().StringVar(&f.text, "for", "", "end "+what+" after this `time`, as in 4h or 30d (default: never)")
	must(cmd.RegisterFlagCompletionFunc("for", cobra.NoFileCompletions))
	return f
}

// seconds is the time in whole seconds, 0 when it was not given.
func (f *forFlag) seconds(cmd *cobra.Command) (uint32, error) {
	if f.text == "" {
		return 0, nil
	}
	d, ok := span(f.text)
	if !ok || d < time.Second || d > protocol.MaxKeyExpiryDays*24*time.Hour {
		return 0, usagef(cmd, "invalid --for %q: want 1s to 3650d, as in 4h or 30d", f.text)
	}
	return uint32(d / time.Second), nil
}

// membersOfArg offers the members of the network in the first argument.
func (a *app) membersOfArg(cmd *cobra.Command, args []string) []cobra.Completion {
	if len(args) == 0 {
		return nil
	}
	out, _ := live(a, cmd, "node", args[:1])
	return out
}

// offerMembers are a network's members, with hostname and role.
func offerMembers(s *session, network uint16) []cobra.Completion {
	reply, err := s.client.ListNodes(s.ctx, network)
	if err != nil {
		return nil
	}
	var out []cobra.Completion
	for _, n := range reply.Nodes {
		out = append(out, cobra.CompletionWithDesc(fmt.Sprint(n.NodeID), clean(strings.TrimSpace(n.Hostname+" "+n.Role))))
	}
	return out
}
