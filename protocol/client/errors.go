// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Codes of errors that arise in the client; all others come from the registry.
const (
	// CodeUnreachable: no address accepted a connection. Nothing was sent.
	CodeUnreachable = "unreachable"
	// CodeUntrusted: the server's certificate is not the expected one, or one
	// side speaks TLS and the other does not. Nothing was sent.
	CodeUntrusted = "untrusted_server"
	// CodeCanceled: the context ended, or retries lasted too long.
	CodeCanceled = "canceled"
	// CodeMalformedReply: the server's answer is not one of the protocol.
	CodeMalformedReply = "malformed_reply"
	// CodeNoSigner: the command has to be signed and the client has no key.
	CodeNoSigner = "no_signer"
	// CodeClosed: the client has been closed.
	CodeClosed = "closed"
)

// Error is every error of a call: a refusal by the registry or a failure on
// the way to it. Compare with errors.Is and the Err variables, or by code.
type Error struct {
	// Code is one of the protocol's codes or of this package's.
	Code string
	// Text is for the person who reads it.
	Text string
	// Outcome says what is known about the request; never empty. Reads that
	// failed on the way are not_applied: there is nothing to apply.
	Outcome protocol.Outcome
	// Addr is the address that answered or failed last.
	Addr string
	// Command is the wire name of the command.
	Command string
	// RequestID is the id that the request was sent with: sending it again with
	// this id is how an unknown outcome is settled.
	RequestID string
	// CountsUntil is set when a signed write was refused and the refusal does
	// not end it: anyone who has its bytes may send them, and they may take effect,
	// until then.
	CountsUntil time.Time
	// RetryAfter is how long the registry asked to wait before the request is
	// sent again, 0 when it did not say.
	RetryAfter time.Duration

	causes []error
}

// Error returns the command and the text.
func (e *Error) Error() string {
	if e.Command == "" {
		return e.Text
	}
	return e.Command + ": " + e.Text
}

// Unwrap returns the causes: network, TLS and context errors.
func (e *Error) Unwrap() []error { return e.causes }

// Is matches the Err variables: every field they set has to agree.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	if !ok || t.Text != "" || t.Code == "" && t.Outcome == "" {
		return false
	}
	return (t.Code == "" || t.Code == e.Code) && (t.Outcome == "" || t.Outcome == e.Outcome)
}

// Passing reports whether the same call may succeed later without anything
// being changed: no member answered, none led, or one was busy. The outcome of
// a write that failed so may be unknown.
func Passing(err error) bool {
	e, is := errors.AsType[*Error](err)
	if !is || errors.Is(err, context.Canceled) {
		return false
	}
	switch e.Code {
	case CodeUntrusted, CodeClosed, CodeNoSigner, CodeMalformedReply, protocol.CodeFeatureNotActive:
		return false
	}
	return e.Outcome == protocol.OutcomeNotApplied || e.Outcome == protocol.OutcomeUnknown
}

// Targets for errors.Is.
var (
	// ErrOutcomeUnknown matches a write that may or may not have taken effect.
	ErrOutcomeUnknown error = &Error{Outcome: protocol.OutcomeUnknown}
	// ErrNotApplied matches a request that certainly had no effect and was not decided.
	ErrNotApplied error = &Error{Outcome: protocol.OutcomeNotApplied}
	// ErrRejected matches a request that the registry decided against.
	ErrRejected error = &Error{Outcome: protocol.OutcomeRejected}

	ErrUnreachable  error = &Error{Code: CodeUnreachable}
	ErrUntrusted    error = &Error{Code: CodeUntrusted}
	ErrNotFound     error = &Error{Code: protocol.CodeNotFound}
	ErrNoLeader     error = &Error{Code: protocol.CodeNoLeader}
	ErrRateLimited  error = &Error{Code: protocol.CodeRateLimited}
	ErrNoSigner     error = &Error{Code: CodeNoSigner}
	ErrClosed       error = &Error{Code: CodeClosed}
	ErrNotSupported error = &Error{Code: protocol.CodeNotImplemented}
)

// CodeOf returns the code of a call's error, "" when err is not one.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// failure is one failed attempt and what may be done about it.
type failure struct {
	err *Error
	// kind says how to continue.
	kind failureKind
	// stale: the connection had been resting in the pool, so the first thing to
	// try is a new one to the same address.
	stale bool
	// decided: the refusal was decided in log order, at an index, and holds for
	// every sending of the request id.
	decided bool
}

type failureKind int

const (
	// final: an answer, or nothing that another attempt could change.
	final failureKind = iota
	// unreachable: nothing was sent; try the next address.
	unreachable
	// untrusted: nothing was sent and waiting does not help; try the next address once.
	untrusted
	// notApplied: answered, but not decided; wait and try again.
	notApplied
	// unknown: sent, and what came of it is not known; only a request that
	// cannot have two effects may be sent again.
	unknown
)

func (p *call) fail(kind failureKind, code, addr string, causes []error, format string, args ...any) *failure {
	outcome := protocol.OutcomeNotApplied
	if kind == unknown && p.writes {
		outcome = protocol.OutcomeUnknown
	}
	return &failure{kind: kind, err: &Error{
		Code: code, Text: fmt.Sprintf(format, args...), Outcome: outcome,
		Addr: addr, Command: p.row.Name, RequestID: p.requestID, causes: causes,
	}}
}

// refused turns an error reply into a failure.
func (p *call) refused(addr string, e *protocol.Error) *failure {
	err := &Error{Code: e.Code, Text: e.Text, Outcome: e.Outcome, Addr: addr, Command: p.row.Name, RequestID: p.requestID}
	f := &failure{err: err}
	switch {
	case e.Outcome == protocol.OutcomeUnknown:
		f.kind = unknown
		if !p.writes {
			err.Outcome = protocol.OutcomeNotApplied
		}
	case e.Outcome == protocol.OutcomeNotApplied && e.Code != protocol.CodeRateLimited && e.Code != protocol.CodeFeatureNotActive:
		f.kind = notApplied
	case e.Outcome == "":
		err.Outcome = protocol.OutcomeRejected
	}
	return f
}

// recall puts what a member said before in place of a failure on the way to
// it, which says less: that no answer came in time. Of a write that was cut
// off, the outcome stays unknown.
func (f *failure) recall(said *Error) *failure {
	if said == nil || f.kind == final || f.kind == notApplied {
		return f
	}
	e := *said
	e.causes = f.err.causes
	out := *f
	if e.Outcome = f.err.Outcome; e.Outcome == protocol.OutcomeUnknown {
		e.Code = protocol.CodeOutcomeUnknown
		e.Text = fmt.Sprintf("the last sending was cut off and its outcome is not known (%s); before it, %s answered: %s", f.err.Text, said.Addr, said.Text)
	}
	out.err = &e
	return &out
}

// giveUp is the error that ends a call. maybeApplied is true when an earlier
// attempt was sent and its outcome never learnt: then the whole call's outcome
// is unknown, whatever the last attempt said, unless that was decided for the
// request id. A refusal that the front door read from the state is not: the
// earlier attempt may still be on its way.
func (f *failure) giveUp(maybeApplied bool, cause error) *Error {
	e := *f.err
	if maybeApplied && e.Outcome != protocol.OutcomeUnknown && !f.decided {
		e.Outcome = protocol.OutcomeUnknown
		e.Code = protocol.CodeOutcomeUnknown
		e.Text = "the request was sent and its outcome is not known; last: " + e.Text
	}
	if cause != nil {
		e.Text = strings.TrimSuffix(e.Text, ".") + " (gave up: " + inWords(cause) + ")"
		e.causes = append([]error{cause}, e.causes...)
	}
	return &e
}
