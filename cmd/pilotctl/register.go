// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// registerCommand registers the identity, which it makes on the first run.
func registerCommand(a *app) *cobra.Command {
	var r protocol.Register
	var tokenFile string
	cmd := wireCommand(a, "register [listen-address]", "register", between(0, 1), nil)
	cmd.Long += `

The first run generates a key and keeps it in the identity file; the file also
remembers the node id. Registering again with the same key keeps the id.`
	cmd.Example = "  pilotctl register :4000 --hostname alpha\n  pilotctl register --identity ./second.json"
	f := cmd.Flags()
	f.StringVar(&r.Owner, "owner", "", "owner, as an e-mail `address`")
	f.StringVar(&r.Hostname, "hostname", "", "`name` of the node")
	f.StringSliceVar(&r.LANAddrs, "lan-addr", nil, "`addresses` in the local network, host:port")
	f.StringVar(&r.Version, "node-version", "", "software `version` of the node")
	f.BoolVar(&r.RelayOnly, "relay-only", false, "peers should reach the node through relays only")
	f.StringVar(&tokenFile, "identity-token-file", "", "`file` with a token of the identity provider")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		if len(args) > 0 {
			r.ListenAddr = args[0]
		}
		if tokenFile != "" {
			token, err := readSecret("--identity-token-file", tokenFile)
			if err != nil {
				return err
			}
			r.IdentityToken = protocol.Secret(token)
		}
		return s.register(&r)
	}
	return cmd
}

// register saves the key before it is sent, so that no registered key is lost.
func (s *session) register(r *protocol.Register) error {
	if s.identity == nil {
		if err := s.makeIdentity(); err != nil {
			return err
		}
	}
	r.PublicKey = s.identity.PublicKey().String()
	raw, err := s.call("register", r)
	if err != nil {
		return err
	}
	var reply protocol.RegisterReply
	if err := json.Unmarshal(raw, &reply); err != nil {
		return unreadable(err, raw)
	}
	if old := s.identity.NodeID(); old != reply.NodeID {
		if old != 0 {
			s.say("note: this key was node %d and is node %d now", old, reply.NodeID)
		}
		s.identity.SetNodeID(reply.NodeID)
		if err := s.identity.Save(s.identityPath); err != nil {
			return fmt.Errorf("registered as node %d, but its id could not be kept: %w", reply.NodeID, err)
		}
	}
	if reply.HostnameError != "" {
		s.say("note: registered without the hostname: %s", clean(reply.HostnameError))
	} else if r.Hostname != "" && reply.Hostname == "" {
		s.say("note: registered without the hostname: %q is in use", r.Hostname)
	}
	return s.print(raw, &reply)
}

func (s *session) makeIdentity() error {
	id, err := client.NewIdentity()
	if err != nil {
		return err
	}
	if err := id.Save(s.identityPath); err != nil {
		return err
	}
	s.say("made a new identity: %s (keep it safe: the key is the node)", s.identityPath)
	s.identity, s.opts.Identity = id, id
	return s.connect()
}
