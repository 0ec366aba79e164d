// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// heartbeatInterval is the default of KeepAliveOptions.Interval: what daemons use.
const heartbeatInterval = 30 * time.Second

// KeepAliveOptions configure [Client.KeepAlive]. A zero field means its
// default. The functions are called one at a time.
type KeepAliveOptions struct {
	// Interval is the time between heartbeats, give or take a tenth, so that
	// nodes spread out; default 30 s.
	Interval time.Duration
	// OnRegistered is called after each registration, the first included.
	OnRegistered func(*protocol.RegisterReply)
	// OnOffline is called when a heartbeat or registration did not get through,
	// OnOnline when one does again. The error says what is known.
	OnOffline func(error)
	OnOnline  func()
	// OnKeyExpiry is called once for an expiry time when the registry begins to
	// warn that the node's key expires then.
	OnKeyExpiry func(expires time.Time)
}

// KeepAlive registers the node of the client's identity as r says and keeps it
// online with heartbeats. A node that the registry does not know any more is
// registered again. While no member answers it waits and tries again. It
// returns when ctx ends, with the error of ctx, or when waiting does not help:
// the registration is refused, or the key is no longer the node's or has
// expired.
func (c *Client) KeepAlive(ctx context.Context, r protocol.Register, o KeepAliveOptions) error {
	if c.opts.Identity == nil {
		return &Error{Code: CodeNoSigner, Text: "keep-alive needs an identity: give IdentityFile or Identity", Outcome: protocol.OutcomeRejected, Command: "register"}
	}
	if o.Interval <= 0 {
		o.Interval = heartbeatInterval
	}
	k := &keeper{client: c, register: r, opts: o}
	for {
		err := k.beat(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !Passing(err) {
			return err
		}
		k.note(err)
		if err := sleep(ctx, k.pause(err)); err != nil {
			return err
		}
	}
}

// keeper keeps one node online.
type keeper struct {
	client     *Client
	register   protocol.Register
	opts       KeepAliveOptions
	registered bool
	offline    bool
	warned     time.Time // the expiry that OnKeyExpiry was told
}

// beat registers the node or says that it is there.
func (k *keeper) beat(ctx context.Context) error {
	if !k.registered {
		return k.registerNow(ctx)
	}
	reply, err := k.client.Heartbeat(ctx, k.client.NodeID())
	switch {
	case errors.Is(err, ErrNotFound): // removed, or reaped after too long a silence
		k.client.opts.Logger.Warn("the registry does not know the node, registering it again", "node_id", k.client.NodeID())
		return k.registerNow(ctx)
	case err != nil:
		return err
	case reply.KeyExpiryWarning:
		return k.warn(ctx)
	}
	return nil
}

func (k *keeper) registerNow(ctx context.Context) error {
	reply, err := k.client.Register(ctx, k.register)
	if reply == nil {
		return err
	}
	if err != nil { // registered, but the file does not say so
		k.client.opts.Logger.Warn("the node id is not in the identity file", "node_id", reply.NodeID, "error", err)
	}
	if reply.HostnameError != "" {
		k.client.opts.Logger.Warn("registered without the hostname", "hostname", k.register.Hostname, "error", reply.HostnameError)
	}
	k.registered = true
	if k.opts.OnRegistered != nil {
		k.opts.OnRegistered(reply)
	}
	return nil
}

// warn tells when the key expires, once for each time.
func (k *keeper) warn(ctx context.Context) error {
	info, err := k.client.GetKeyInfo(ctx, k.client.NodeID())
	if err != nil {
		return err
	}
	expires, err := time.Parse(time.RFC3339, info.ExpiresAt)
	if err != nil {
		return fmt.Errorf("get_key_info: unreadable expiry %q: %w", info.ExpiresAt, err)
	}
	if expires.Equal(k.warned) {
		return nil
	}
	k.warned = expires
	k.client.opts.Logger.Warn("the node's key expires soon: rotate it", "node_id", k.client.NodeID(), "expires", expires)
	if k.opts.OnKeyExpiry != nil {
		k.opts.OnKeyExpiry(expires)
	}
	return nil
}

// note tells when the node goes offline and comes back.
func (k *keeper) note(err error) {
	switch {
	case err != nil && !k.offline:
		k.client.opts.Logger.Warn("the node cannot be kept online, trying again", "node_id", k.client.NodeID(), "error", err)
		if k.opts.OnOffline != nil {
			k.opts.OnOffline(err)
		}
	case err == nil && k.offline:
		k.client.opts.Logger.Info("the node is online again", "node_id", k.client.NodeID())
		if k.opts.OnOnline != nil {
			k.opts.OnOnline()
		}
	}
	k.offline = err != nil
}

// pause is the time until the next heartbeat: after a failure it is short, or
// as long as the registry asks, up to MaxResend.
func (k *keeper) pause(err error) time.Duration {
	d := k.opts.Interval*9/10 + mrand.N(k.opts.Interval/5+1)
	if err == nil {
		return d
	}
	var e *Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		return min(e.RetryAfter, MaxResend)
	}
	return min(d, backoffMax)
}
