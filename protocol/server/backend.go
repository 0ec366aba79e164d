// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Backend answers the requests that the front door has found well-formed.
type Backend interface {
	// Serve answers one request of one connection. The request's options and
	// body have been validated and the command is one that is built. Serve must
	// honour ctx. The body of its reply is read until it has been sent and never
	// changed, so several replies may have the same.
	Serve(ctx context.Context, conn *ConnState, req *protocol.Request) Reply
	// Repeats reports whether a registration only repeats what is known: its key
	// is bound and it brings no identity token that would have to be verified.
	// That exempts it from the registration limit. The answer may be stale.
	Repeats(r *protocol.Register) bool
	// Subscribe authorises and feeds a replication stream. Frames are written
	// through send, one JSON object each, until ctx ends or send fails; an
	// error that is returned is the last frame of the connection.
	Subscribe(ctx context.Context, conn *ConnState, req *protocol.Request, send func(frame []byte) error) *protocol.Error
}

// ConnState belongs to one connection. Requests of a connection are
// sequential, so a Backend may use it without locking inside Serve.
type ConnState struct {
	// Source is the TCP source address, host:port.
	Source string
	// MinIndex is the implicit min_index of later reads (read-your-writes). It
	// is owned by Backend.Serve.
	MinIndex uint64
}

// Logger is what the front door writes to. *slog.Logger and hclog.Logger both
// satisfy it; args are alternating keys and values.
type Logger interface {
	Debug(msg string, args ...any)
	Info(msg string, args ...any)
	Warn(msg string, args ...any)
	Error(msg string, args ...any)
}

// Metrics receives what the front door counts. Label values are bounded:
// command is a name of the table or "unknown", code one of the protocol's
// error codes or "" for success. Methods are called concurrently.
type Metrics interface {
	// ConnOpened and ConnClosed frame the life of an admitted connection.
	ConnOpened()
	ConnClosed()
	// ConnRefused counts connections above a cap; reason is "total", "source"
	// or "network" (an IPv6 /48), or "draining".
	ConnRefused(reason string)
	// Request counts an answered request and its time from decoded frame to
	// reply. The context is that of the request.
	Request(ctx context.Context, command, code string, took time.Duration)
	// Malformed counts connections closed for their input; reason is one of
	// request_too_long, frame_too_large (no length of a request), frame_empty,
	// no_room, not_an_object, binary, frame_timeout.
	Malformed(reason string)
	// RateLimited counts refusals by rate class.
	RateLimited(class protocol.RateClass)
	// SlowReader counts connections closed because a reply was not read in time.
	SlowReader()
	// Panicked counts handlers that panicked.
	Panicked(command string)
	// AcceptFailed counts failed accepts.
	AcceptFailed()
}

// Tracer follows requests through a member. Methods are called concurrently.
type Tracer interface {
	// Begin begins the trace of a request whose frame began to arrive at the
	// given time. The trace is nil for a request that is not followed; else the
	// context, made of ctx, is the one that the request is served under.
	Begin(ctx context.Context, req *protocol.Request, arrived time.Time) (context.Context, Trace)
}

// Trace is the trace of one request. Its methods are called once each, in this order.
type Trace interface {
	// Decided says that the reply is about to be made.
	Decided()
	// End says with which error code, "" for success, the request was
	// answered, and why the reply could not be written.
	End(code string, unwritten error)
}

type noMetrics struct{}

func (noMetrics) ConnOpened()                                            {}
func (noMetrics) ConnClosed()                                            {}
func (noMetrics) ConnRefused(string)                                     {}
func (noMetrics) Request(context.Context, string, string, time.Duration) {}
func (noMetrics) Malformed(string)                                       {}
func (noMetrics) RateLimited(protocol.RateClass)                         {}
func (noMetrics) SlowReader()                                            {}
func (noMetrics) Panicked(string)                                        {}
func (noMetrics) AcceptFailed()                                          {}

type noLog struct{}

func (noLog) Debug(string, ...any) {}
func (noLog) Info(string, ...any)  {}
func (noLog) Warn(string, ...any)  {}
func (noLog) Error(string, ...any) {}
