// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
	"github.com/spf13/cobra"
)

func keyCommand(a *app) *cobra.Command {
	set := wireCommand(a, "set-expiry <time>", "set_key_expiry", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		at, err := expiry(args[0], time.Now())
		if err != nil {
			return nil, usagef(s.cmd, "%v", err)
		}
		id, err := s.node()
		return &protocol.SetKeyExpiry{NodeID: id, ExpiresAt: at}, err
	})
	set.Long += "\n\nThe time is RFC 3339, as in 2027-01-31T10:00:00Z, or a span from now, as in 720h or 30d."
	clearIt := wireCommand(a, "clear-expiry", "set_key_expiry", exactly(0), func(s *session, _ []string) (protocol.Body, error) {
		id, err := s.node()
		return &protocol.SetKeyExpiry{NodeID: id, ExpiresAt: "never"}, err
	})
	clearIt.Short, clearIt.Long = "clear the day a node's key ends", longHelp(protocol.Must("set_key_expiry"), "clear the day a node's key ends")
	return groupCommand("key", "show, expire and rotate keys",
		wireCommand(a, "info [node]", "get_key_info", between(0, 1), forNodeArg), set, clearIt, rotateKeyCommand(a, "rotate"))
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

// rotateKeyCommand replaces the node's key. The new key is on disk before it
// is sent and stays there until the registry is known to have it or not, so
// neither a crash nor an unknown outcome loses a key: running the command
// again finishes what was begun.
func rotateKeyCommand(a *app, use string) *cobra.Command {
	cmd := wireCommand(a, use, "rotate_key", exactly(0), nil)
	cmd.Long += `

The new key is kept next to the identity file (.pending) before it is sent. If
the outcome stays unknown, run the command again: it asks the registry which
key it has and finishes the rotation.`
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		return s.rotate()
	}
	return cmd
}

func (s *session) rotate() error {
	node, err := s.node()
	if err != nil {
		return err
	}
	if s.identity == nil {
		return &failure.Error{Err: fmt.Errorf("no identity at %s", s.identityPath), Code: client.CodeNoSigner, Exit: failure.Denied,
			Hint: "a key is rotated with the old key: give it with --identity"}
	}
	r := &rotation{session: s, node: node, path: s.identityPath + ".pending"}
	finished, err := r.begin()
	if err != nil || finished {
		return err
	}
	raw, err := s.call("rotate_key", &protocol.RotateKey{NodeID: node, NewPublicKey: r.next.PublicKey().String()})
	if err != nil {
		return r.failed(err)
	}
	return r.install(raw)
}

// rotation is the change of one node's key.
type rotation struct {
	*session
	node uint32
	next *client.Identity
	path string // where next is kept until it is the identity
	// resumed: next comes from an earlier run, which may have sent it.
	resumed bool
}

// begin makes the new key, or takes up a rotation that was begun earlier. It
// finishes that one when the registry has the new key already.
func (r *rotation) begin() (finished bool, err error) {
	r.next, err = client.LoadIdentity(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		if r.next, err = r.identity.Rotated(); err != nil {
			return false, err
		}
		r.next.SetNodeID(r.node)
		return false, r.next.Save(r.path)
	}
	if err != nil {
		return false, err
	}
	r.resumed = true
	r.say("a rotation was begun earlier (%s); asking the registry which key it has", r.path)
	has, err := r.registeredKey(r.node)
	if err != nil {
		return false, err
	}
	switch has {
	case r.next.PublicKey():
		return true, r.finish()
	case r.identity.PublicKey():
		return false, nil
	}
	return false, &failure.Error{Err: fmt.Errorf("node %d has neither the key of %s nor that of %s", r.node, r.identityPath, r.path),
		Code: protocol.CodeConflict, Exit: failure.Conflict,
		Hint: "check --node-id and --identity; move " + r.path + " away only if you know that its key is not in use"}
}

// failed looks at what the registry has after an error. The new key is dropped
// only when it certainly is not in use.
func (r *rotation) failed(met error) error {
	has, err := r.registeredKey(r.node)
	switch {
	case err == nil && has == r.next.PublicKey(): // a sending had the effect after all
		return r.finish()
	case errors.Is(met, client.ErrOutcomeUnknown):
		return &failure.Error{Err: met, Code: client.CodeOf(met), Exit: failure.Unknown,
			Hint: "the new key is safe in " + r.path + "; run pilotctl rotate-key again to settle it"}
	case err == nil && !r.resumed:
		if err := os.Remove(r.path); err != nil {
			r.say("note: %v", err)
		}
	}
	return met
}

// finish installs a key that the registry is known to have.
func (r *rotation) finish() error {
	raw, err := json.Marshal(protocol.RotateKeyReply{Address: protocol.Address{Node: r.node}.String(), NodeID: r.node,
		PublicKey: r.next.PublicKey().String(), Type: protocol.Must("rotate_key").ReplyType()})
	if err != nil {
		return err
	}
	return r.install(raw)
}

// install makes the new key the identity.
func (r *rotation) install(raw json.RawMessage) error {
	if err := r.next.Save(r.identityPath); err != nil {
		return &failure.Error{Err: fmt.Errorf("the key was rotated, but %w", err), Code: protocol.CodeInternal, Exit: failure.Failed,
			Hint: "the new key is safe in " + r.path + "; repair the cause and run pilotctl rotate-key again"}
	}
	if err := os.Remove(r.path); err != nil {
		r.say("note: %v", err)
	}
	return r.print(raw, &protocol.RotateKeyReply{})
}

func (s *session) registeredKey(node uint32) (protocol.PublicKey, error) {
	reply, err := s.client.Lookup(s.ctx, node, client.WithConsistency(protocol.Linearizable, 0))
	if err != nil {
		return protocol.PublicKey{}, err
	}
	return protocol.ParsePublicKey(reply.PublicKey)
}
