// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/cmd/internal/named"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// session is a command at work: its settings, identity and connection.
type session struct {
	*app
	cmd    *cobra.Command
	ctx    context.Context
	cancel context.CancelFunc
	client *client.Client
	opts   client.Options
	reach  *reach
	// clearTo is an address that tokens must not go to, "" when there is none.
	clearTo string

	identityPath string
	identity     *client.Identity // nil before the first registration
	actor        uint32           // the node that --node-id names, else 0
	toldAge      bool
}

// open prepares a session. close ends it.
func (a *app) open(cmd *cobra.Command) (s *session, closeIt func(), err error) {
	if err := a.checkOutput(cmd); err != nil {
		return nil, nil, err
	}
	s = &session{app: a, cmd: cmd}
	if s.reach, err = a.flags.reach(cmd); err != nil {
		return nil, nil, err
	}
	if s.opts, err = a.flags.clientOptions(cmd, s.reach); err != nil {
		return nil, nil, err
	}
	if s.identityPath, err = a.flags.identityPath(); err != nil {
		return nil, nil, err
	}
	s.identity, err = client.LoadIdentity(s.identityPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	s.opts.Identity = s.identity
	if err := s.guard(); err != nil {
		return nil, nil, err
	}
	if err := s.connect(); err != nil {
		return nil, nil, err
	}
	s.warn()
	s.renew()
	if text := s.flags.node; text != "" && text != "0" {
		if s.actor, err = s.nodeArg(text); err != nil {
			s.cancel()
			s.client.Close()
			return nil, nil, err
		}
	}
	return s, func() { s.cancel(); s.client.Close() }, nil
}

// renew gives the command its whole time again, after a person has thought.
func (s *session) renew() {
	if s.cancel != nil {
		s.cancel()
	}
	s.ctx, s.cancel = context.WithTimeout(s.cmd.Context(), s.flags.timeout)
}

// connect makes the client; it dials with the first call.
func (s *session) connect() error {
	c, err := client.Open(s.opts)
	if err != nil {
		return usagef(s.cmd, "%v", err)
	}
	s.client = c
	return nil
}

// warn tells about settings that expose secrets. Scripts that ask for the
// envelope find nothing but errors on stderr.
func (s *session) warn() {
	if s.flags.json {
		return
	}
	if info, err := os.Stat(s.identityPath); err == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		fmt.Fprintf(s.stderr, "warning: %s can be read by others; run: chmod 600 %s\n", s.identityPath, s.identityPath)
	}
	if c := s.reach.config; c.readable && c.AdminToken != "" {
		fmt.Fprintf(s.stderr, "warning: %s holds the admin token and can be read by others; run: chmod 600 %s\n", c.path, c.path)
	}
	if addr := plainRemote(s.opts); addr != "" && s.opts.AdminToken != "" {
		fmt.Fprintf(s.stderr, "warning: the admin token travels unencrypted to %s; use --tls-pin or --tls-ca\n", addr)
	}
}

func (s *session) say(format string, args ...any) {
	if !s.flags.json {
		fmt.Fprintf(s.stderr, format+"\n", args...)
	}
}

// callOptions are the call options that come from flags.
func (s *session) callOptions() []client.CallOption {
	var o []client.CallOption
	if s.flags.requestID != "" {
		o = append(o, client.WithRequestID(s.flags.requestID))
	}
	if s.flags.minIndex != 0 {
		o = append(o, client.WithMinIndex(s.flags.minIndex))
	}
	if f := s.cmd.Flags().Lookup("limit"); f != nil && f.Changed {
		n, _ := s.cmd.Flags().GetInt("limit")
		o = append(o, client.WithLimit(n))
	}
	if f := s.cmd.Flags().Lookup("cursor"); f != nil && f.Changed {
		o = append(o, client.WithCursor(f.Value.String()))
	}
	return o
}

// call sends a command and returns its raw reply.
func (s *session) call(wire string, body protocol.Body, opts ...client.CallOption) (json.RawMessage, error) {
	res, err := s.do(wire, body, append(s.callOptions(), opts...))
	if err != nil {
		return nil, err
	}
	if res.Replayed && s.flags.requestID != "" { // the client's own resends are nobody's concern
		s.say("this request id had been decided before; nothing was done again")
	}
	s.tellAge(res)
	return res.Raw, nil
}

// do sends a command. What may be signed is signed, for a member may then see
// more; a reader whose key counts no more still sees what everybody does.
func (s *session) do(wire string, body protocol.Body, opts []client.CallOption) (*client.Result, error) {
	if err := s.guardBody(body); err != nil {
		return nil, err
	}
	parts, done := sending(s.app, wire)
	defer done()
	opts = append(opts, parts)
	if named := s.inOwnName(wire, body); named != nil {
		res, err := s.client.Do(s.ctx, wire, named, opts...)
		if !errors.Is(err, client.ErrRejected) {
			return res, err
		}
	}
	return s.client.Do(s.ctx, wire, body, opts...)
}

// inOwnName is a read that anybody may send as the read of the own node, nil
// when there is none, or the administrator's token shows everything.
func (s *session) inOwnName(wire string, body protocol.Body) protocol.Body {
	row := protocol.Must(wire)
	own := s.ownNode()
	if !row.Optional || row.Writes() || s.identity == nil || own == 0 || row.Lists && s.opts.AdminToken != "" {
		return nil
	}
	switch b := body.(type) {
	case *protocol.NodeRequest:
		named := *b
		named.RequesterID = own
		return &named
	case *protocol.ListNodes:
		named := *b
		named.RequesterID = own
		return &named
	}
	return nil
}

// tellAge says once that what was read is of the past.
func (s *session) tellAge(res *client.Result) {
	if res.DataAge > agedData && !s.toldAge {
		s.toldAge = true
		s.say("this is the state of %s ago", res.DataAge.Round(time.Second))
	}
}

// agedData is an age at which people should know that they read the past: with
// a leader the state moves every second.
const agedData = 3 * time.Second

// node is the node that the command acts for.
func (s *session) node() (uint32, error) {
	if s.actor != 0 {
		return s.actor, nil
	}
	if s.identity == nil {
		return 0, &failure.Error{Err: fmt.Errorf("no identity at %s", s.identityPath), Code: "not_found", Exit: failure.Failed,
			Hint: "register first: pilotctl register; or name a node with --node-id"}
	}
	if s.identity.NodeID() == 0 {
		return 0, &failure.Error{Err: fmt.Errorf("the identity at %s is not registered", s.identityPath), Code: "not_found", Exit: failure.Failed,
			Hint: "register it: pilotctl register; or name a node with --node-id"}
	}
	return s.identity.NodeID(), nil
}

// ownNode is like node, but 0 when there is none.
func (s *session) ownNode() uint32 {
	id, _ := s.node()
	return id
}

// nodeArg reads a node named by id, virtual address or hostname, with the admin
// token also by the unique beginning of one.
func (s *session) nodeArg(text string) (uint32, error) {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil && n > 0 {
		return uint32(n), nil
	}
	if strings.Contains(text, ":") {
		a, err := protocol.ParseAddress(text)
		if err != nil {
			return 0, usagef(s.cmd, "%v", err)
		}
		return a.Node, nil
	}
	if protocol.CheckHostname(text) != "" || strings.Trim(text, "0123456789") == "" {
		return 0, usagef(s.cmd, "invalid node %q: want a node id (1 to 4294967295), an address or a hostname", text)
	}
	reply, err := s.client.ResolveHostname(s.ctx, text, s.ownNode())
	if err == nil {
		return reply.NodeID, nil
	}
	if client.CodeOf(err) == protocol.CodeNotFound && s.opts.AdminToken != "" {
		return s.nodeBeginning(text)
	}
	return 0, err
}

// nodeBeginning is the only node whose hostname begins with a text.
func (s *session) nodeBeginning(text string) (uint32, error) {
	var all []named.Candidate
	for cursor := ""; ; {
		reply, err := s.client.ListNodes(s.ctx, 0, client.WithCursor(cursor))
		if err != nil {
			return 0, err
		}
		for i := range reply.Nodes {
			if n := &reply.Nodes[i]; n.Hostname != "" {
				all = append(all, named.Candidate{ID: strconv.FormatUint(uint64(n.NodeID), 10), Names: []string{clean(n.Hostname)}})
			}
		}
		if cursor = reply.NextCursor; cursor == "" {
			break
		}
	}
	id, err := named.Find("node", text, "pilotctl node list", all)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(id, 10, 32)
	return uint32(n), err
}

// networkArg reads a network named by id, by name or by the unique beginning of
// one.
func (s *session) networkArg(text string) (uint16, error) {
	if n, err := strconv.ParseUint(text, 10, 16); err == nil {
		return uint16(n), nil
	}
	if text == "" || strings.Trim(text, "0123456789") == "" {
		return 0, usagef(s.cmd, "invalid network %q: want an id from 0 to 65535 or a name; pilotctl network list shows them", text)
	}
	var all []named.Candidate
	for cursor := ""; ; {
		reply, err := s.client.ListNetworks(s.ctx, client.WithCursor(cursor))
		if err != nil {
			return 0, err
		}
		for _, n := range reply.Networks {
			all = append(all, named.Candidate{ID: strconv.Itoa(int(n.ID)), Names: []string{clean(n.Name)}})
		}
		if cursor = reply.NextCursor; cursor == "" {
			break
		}
	}
	id, err := named.Find("network", text, "pilotctl network list", all)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(id, 10, 16)
	return uint16(n), err
}

// memberArg reads a member named by id, by the unique beginning of one, or by
// an address.
func (s *session) memberArg(text string) (string, error) {
	reply, err := s.client.ClusterMembers(s.ctx)
	if err != nil {
		return "", err
	}
	return named.Member(reply.Members, text, "pilotctl cluster members")
}

// intArg reads a whole number that may be negative.
func (s *session) intArg(name, text string) (float64, error) {
	n, err := strconv.ParseInt(strings.Replace(text, "\u2212", "-", 1), 10, 64)
	if err != nil {
		return 0, usagef(s.cmd, "invalid %s %q: want a whole number", name, text)
	}
	return float64(n), nil
}
