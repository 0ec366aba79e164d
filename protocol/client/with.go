// SPDX-License-Identifier: Apache-2.0

package client

import (
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// New makes a Client for the members at addrs, host:port or host, of one
// cluster. It connects with the first call. [Options] says what the options
// mean; [Open] takes them as a struct.
func New(addrs []string, opts ...Option) (*Client, error) {
	o := Options{Addrs: addrs}
	for _, opt := range opts {
		opt.configure(&o)
	}
	return Open(o)
}

// Option configures a Client that [New] makes.
type Option interface{ configure(o *Options) }

// CallOption changes one call.
type CallOption interface{ change(o *callOptions) }

// SharedOption is both: given to [New] it holds for all calls, given to a call
// for that one.
type SharedOption struct {
	client clientOption
	call   callOption
}

type (
	clientOption func(*Options)
	callOption   func(*callOptions)
)

func (f clientOption) configure(o *Options)  { f(o) }
func (f callOption) change(o *callOptions)   { f(o) }
func (s SharedOption) configure(o *Options)  { s.client(o) }
func (s SharedOption) change(o *callOptions) { s.call(o) }

type callOptions struct {
	protocol.Options
	signer     Signer
	adminToken string
	parts      func(sent, all int)
}

// WithIdentityFile takes the node's key and id from a file. The first run makes
// the file with a new key; Register keeps the node id in it.
func WithIdentityFile(path string) Option {
	return clientOption(func(o *Options) { o.IdentityFile = path })
}

// WithIdentity signs with an identity that the caller keeps.
func WithIdentity(id *Identity) Option { return clientOption(func(o *Options) { o.Identity = id }) }

// WithPin switches to TLS and trusts the server with this certificate, the
// SHA-256 of its DER in hexadecimal, and no other.
func WithPin(pin string) Option { return clientOption(func(o *Options) { o.Pin = pin }) }

// WithCAFile switches to TLS and trusts servers by the CAs in a PEM file.
func WithCAFile(path string) Option { return clientOption(func(o *Options) { o.CAFile = path }) }

// WithTLS switches to TLS with a configuration of the caller.
func WithTLS(c *tls.Config) Option { return clientOption(func(o *Options) { o.TLS = c }) }

// WithClusterID names the cluster that requests are signed for.
func WithClusterID(id string) Option { return clientOption(func(o *Options) { o.ClusterID = id }) }

// WithTimeout bounds the wait for one reply.
func WithTimeout(d time.Duration) Option { return clientOption(func(o *Options) { o.Timeout = d }) }

// WithRetryFor bounds how long a call is tried again; negative never.
func WithRetryFor(d time.Duration) Option { return clientOption(func(o *Options) { o.RetryFor = d }) }

// WithMaxConns sets the number of connections.
func WithMaxConns(n int) Option { return clientOption(func(o *Options) { o.MaxConns = n }) }

// WithShuffle starts at a random address.
func WithShuffle() Option { return clientOption(func(o *Options) { o.Shuffle = true }) }

// WithLogger sends what happens to calls, registrations and watches to a logger.
func WithLogger(l *slog.Logger) Option { return clientOption(func(o *Options) { o.Logger = l }) }

// WithSigner signs with another key; nil does not sign.
func WithSigner(s Signer) SharedOption {
	return SharedOption{func(o *Options) { o.Signer = s }, func(o *callOptions) { o.signer = s }}
}

// WithAdminToken sends this admin token with commands that can use it; "" sends none.
func WithAdminToken(token string) SharedOption {
	return SharedOption{func(o *Options) { o.AdminToken = token }, func(o *callOptions) { o.adminToken = token }}
}

// WithConsistency sets the read level; maxStaleness is for protocol.Bounded.
func WithConsistency(level protocol.Level, maxStaleness time.Duration) SharedOption {
	return SharedOption{
		func(o *Options) { o.Consistency, o.MaxStaleness = level, maxStaleness },
		func(o *callOptions) {
			o.Consistency, o.MaxStalenessMS = level, uint64(max(maxStaleness, 0)/time.Millisecond)
		},
	}
}

// WithRequestID sends the call under a given id, to settle the outcome of an
// earlier one.
func WithRequestID(id string) CallOption {
	return callOption(func(o *callOptions) { o.RequestID = id })
}

// WithMinIndex asks for a state of at least this index.
func WithMinIndex(index uint64) CallOption {
	return callOption(func(o *callOptions) { o.MinIndex = max(o.MinIndex, index) })
}

// WithLimit asks for a part of a list; its next_cursor is for WithCursor.
func WithLimit(n int) CallOption { return callOption(func(o *callOptions) { o.Limit = n }) }

// WithCursor continues a list.
func WithCursor(cursor string) CallOption {
	return callOption(func(o *callOptions) { o.Cursor = cursor })
}

// WithParts calls f before each part of a request that is too long for one
// frame, with the number of parts that were sent and of all.
func WithParts(f func(sent, all int)) CallOption {
	return callOption(func(o *callOptions) { o.parts = f })
}

// WithDryRun asks what a command would change; it then changes nothing.
func WithDryRun() CallOption { return callOption(func(o *callOptions) { o.DryRun = true }) }
