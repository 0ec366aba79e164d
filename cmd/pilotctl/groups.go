// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func (a *app) trustCommand() *cobra.Command {
	check := a.wireCommand("check <node> [node]", "check_trust", between(1, 2), func(s *session, args []string) (protocol.Body, error) {
		r := &protocol.Trust{}
		var err error
		if len(args) == 1 {
			if r.NodeID, err = s.node(); err != nil {
				return nil, err
			}
		} else if r.NodeID, err = s.nodeArg(args[0]); err != nil {
			return nil, err
		}
		r.PeerID, err = s.nodeArg(args[len(args)-1])
		return r, err
	})
	return groupCommand("trust", "establish, end and check trust",
		a.trustPair("report <node>", "report_trust"), a.trustPair("revoke <node>", "revoke_trust"), check)
}

func (a *app) trustPair(use, wire string) *cobra.Command {
	return a.wireCommand(use, wire, exactly(1), func(s *session, args []string) (protocol.Body, error) {
		own, err := s.node()
		if err != nil {
			return nil, err
		}
		peer, err := s.nodeArg(args[0])
		return &protocol.Trust{NodeID: own, PeerID: peer}, err
	})
}

func (a *app) handshakeCommand() *cobra.Command {
	request := a.wireCommand("request <node> [justification...]", "request_handshake", atLeast(1), func(s *session, args []string) (protocol.Body, error) {
		own, err := s.node()
		if err != nil {
			return nil, err
		}
		peer, err := s.nodeArg(args[0])
		return &protocol.RequestHandshake{FromNodeID: own, ToNodeID: peer, Justification: strings.Join(args[1:], " ")}, err
	})
	poll := a.wireCommand("poll", "poll_handshakes", exactly(0), func(s *session, _ []string) (protocol.Body, error) {
		own, err := s.node()
		return &protocol.PollHandshakes{NodeID: own}, err
	})
	poll.Long += "\n\nWhat is shown is taken away; \"more\" says that something is left."
	return groupCommand("handshake", "ask for trust and answer", request, poll, a.respond("accept <node>", true), a.respond("reject <node>", false))
}

func (a *app) respond(use string, accept bool) *cobra.Command {
	cmd := a.wireCommand(use, "respond_handshake", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		own, err := s.node()
		if err != nil {
			return nil, err
		}
		peer, err := s.nodeArg(args[0])
		return &protocol.RespondHandshake{NodeID: own, PeerID: peer, Accept: accept}, err
	})
	doc := "reject a handshake request"
	if accept {
		doc = "accept a handshake request"
	}
	cmd.Short, cmd.Long = doc, longHelp(protocol.Must("respond_handshake"), doc)
	return cmd
}

func (a *app) poloCommand() *cobra.Command {
	get := a.wireCommand("get [node]", "get_polo_score", between(0, 1), forNodeArg)
	set := a.wireCommand("set <node> <score>", "set_polo_score", exactly(2), func(s *session, args []string) (protocol.Body, error) {
		id, err := s.nodeArg(args[0])
		if err != nil {
			return nil, err
		}
		n, err := s.intArg("score", args[1])
		return &protocol.SetPoloScore{NodeID: id, RequesterID: s.ownNode(), PoloScore: &n}, err
	})
	add := a.wireCommand("add <node> <delta>", "update_polo_score", exactly(2), func(s *session, args []string) (protocol.Body, error) {
		id, err := s.nodeArg(args[0])
		if err != nil {
			return nil, err
		}
		n, err := s.intArg("delta", args[1])
		return &protocol.UpdatePoloScore{NodeID: id, RequesterID: s.ownNode(), Delta: &n}, err
	})
	add.Example = "  pilotctl polo add 7 5\n  pilotctl polo add 7 -5"
	return groupCommand("polo", "show and change polo scores", get, set, add)
}

func (a *app) beaconCommand() *cobra.Command {
	register := a.wireCommand("register <id> <address>", "beacon_register", exactly(2), func(s *session, args []string) (protocol.Body, error) {
		id, err := strconv.ParseUint(args[0], 10, 32)
		if err != nil || id == 0 {
			return nil, usagef(s.cmd, "invalid beacon id %q: want a number from 1 to 4294967295", args[0])
		}
		return &protocol.BeaconRegister{BeaconID: uint32(id), Addr: args[1], NodeID: s.ownNode()}, nil
	})
	return groupCommand("beacon", "announce and list beacons", register, a.wireCommand("list", "beacon_list", exactly(0), nil))
}

func (a *app) keyCommand() *cobra.Command {
	set := a.wireCommand("set-expiry <time>", "set_key_expiry", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		at, err := expiry(args[0], time.Now())
		if err != nil {
			return nil, usagef(s.cmd, "%v", err)
		}
		id, err := s.node()
		return &protocol.SetKeyExpiry{NodeID: id, ExpiresAt: at}, err
	})
	set.Long += "\n\nThe time is RFC 3339, as in 2027-01-31T10:00:00Z, or a span from now, as in 720h or 30d."
	clearIt := a.wireCommand("clear-expiry", "set_key_expiry", exactly(0), func(s *session, _ []string) (protocol.Body, error) {
		id, err := s.node()
		return &protocol.SetKeyExpiry{NodeID: id, ExpiresAt: "never"}, err
	})
	clearIt.Short, clearIt.Long = "clear the day a node's key ends", longHelp(protocol.Must("set_key_expiry"), "clear the day a node's key ends")
	return groupCommand("key", "show, expire and rotate keys",
		a.wireCommand("info [node]", "get_key_info", between(0, 1), forNodeArg), set, clearIt, a.rotateKeyCommand("rotate"))
}

// expiry reads a point in time or a span from now.
func expiry(text string, now time.Time) (string, error) {
	if _, err := time.Parse(time.RFC3339, text); err == nil {
		return text, nil
	}
	d, ok := span(text)
	if !ok || d <= 0 {
		return "", errExpiry(text)
	}
	return now.Add(d).UTC().Format(time.RFC3339), nil
}

// span reads a duration, also in days.
func span(text string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

type errExpiry string

func (e errExpiry) Error() string {
	return "invalid time " + strconv.Quote(string(e)) + ": want RFC 3339, as in 2027-01-31T10:00:00Z, or a span, as in 720h or 30d"
}

func (a *app) clusterCommand() *cobra.Command {
	target := func(use, wire string, args cobra.PositionalArgs) *cobra.Command {
		cmd := a.wireCommand(use, wire, args, nil)
		cmd.ValidArgsFunction = a.completeMembers
		cmd.RunE = a.runner(wire, func(s *session, args []string) (protocol.Body, error) {
			r := &protocol.ClusterTarget{}
			if len(args) > 0 {
				r.MemberID = args[0]
			}
			r.Force, _ = s.cmd.Flags().GetBool("force")
			return r, nil
		})
		return cmd
	}
	remove := target("remove <member-id>", "cluster_remove", exactly(1))
	remove.Flags().Bool("force", false, "remove the member even when that endangers the quorum")
	token := a.wireCommand("join-token", "cluster_join_token", exactly(0), nil)
	nonvoter := token.Flags().Bool("nonvoter", false, "the new member stays without a vote")
	ttl := token.Flags().Duration("ttl", time.Hour, "how long the token is good, at most 168h")
	token.RunE = a.runner("cluster_join_token", func(s *session, _ []string) (protocol.Body, error) {
		if *ttl < time.Second || *ttl > 7*24*time.Hour {
			return nil, usagef(s.cmd, "invalid --ttl %v: want 1s to 168h", *ttl)
		}
		return &protocol.ClusterJoinToken{NonVoter: *nonvoter, TTLSeconds: uint32(*ttl / time.Second)}, nil
	})
	token.AddCommand(a.wireCommand("list", "cluster_join_token_list", exactly(0), nil),
		a.wireCommand("revoke <name>", "cluster_join_token_revoke", exactly(1), func(_ *session, args []string) (protocol.Body, error) {
			return &protocol.ClusterJoinTokenName{Name: args[0]}, nil
		}))
	return groupCommand("cluster", "show and change the cluster",
		a.clusterStatus(), a.wireCommand("members", "cluster_members", exactly(0), nil),
		target("transfer-leadership [member-id]", "cluster_transfer_leadership", between(0, 1)),
		token, target("promote <member-id>", "cluster_promote", exactly(1)), remove, a.subscribeCommand())
}
