// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"net"
	"runtime/debug"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// handle takes a decoded request through the pipeline, that is row, rate
// limit, validation and backend, and returns the reply as it is sent, with its
// error code.
func (s *Server) handle(ctx context.Context, c *conn, req *protocol.Request, encode form, trace Trace) (out []byte, code string) {
	start := s.cfg.Now()
	reply := s.process(ctx, c, req)
	if trace != nil {
		trace.Decided()
	}
	reply.noteCounts(req)
	out, code = s.encode(c, req, encode, reply)
	if len(out) > protocol.MaxReplyBytes {
		out, code = s.encode(c, req, encode, Reply{Err: protocol.Errorf(protocol.CodeTooLarge,
			"reply too large: %d bytes (max %d); ask for a part with limit and cursor", len(out), protocol.MaxReplyBytes)})
	}
	reads := req.Command != nil && (req.Command.Mode == protocol.ModeRead || req.Command.Mode == protocol.ModeLocal)
	if e := s.replies.settle(c, len(out), !reads || len(out) <= smallReply); e != nil {
		out, code = s.encode(c, req, encode, Reply{Err: e})
		_ = s.replies.settle(c, len(out), true) // cannot fail
	}
	s.cfg.Metrics.Request(ctx, metricName(req), code, s.cfg.Now().Sub(start))
	return out, code
}

// follow begins the trace of a request, if it is to have one.
func (s *Server) follow(c *conn, req *protocol.Request) (context.Context, Trace) {
	if s.cfg.Tracer == nil {
		return s.ctx, nil
	}
	return s.cfg.Tracer.Begin(s.ctx, req, c.arrived)
}

// encode renders a reply and returns it with its error code. One that cannot be
// encoded becomes an error.
func (s *Server) encode(c *conn, req *protocol.Request, encode form, reply Reply) (out []byte, code string) {
	instead := func(e *protocol.Error) {
		code = e.Code
		out, _ = encode(Reply{Err: e}) // errors always encode
	}
	defer func() {
		if p := recover(); p != nil {
			instead(s.panicked(c, req, p))
		}
	}()
	out, err := encode(reply)
	if err != nil {
		instead(protocol.Errorf(protocol.CodeInternal, "the reply cannot be encoded: %v", err))
		return out, code
	}
	return out, reply.Code()
}

func (s *Server) process(ctx context.Context, c *conn, req *protocol.Request) Reply {
	if e := s.check(c, req); e != nil {
		return Reply{Err: e}
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeouts.Request)
	defer cancel()
	if req.Command.Lists {
		if e := s.replies.reserve(ctx, c, protocol.MaxReplyBytes); e != nil {
			return Reply{Err: e}
		}
	}
	return s.callBackend(ctx, c, req)
}

// check refuses what can be refused without the backend.
func (s *Server) check(c *conn, req *protocol.Request) *protocol.Error {
	row := req.Command
	switch {
	case req.Malformed != nil:
		return req.Malformed
	case row == nil:
		return protocol.Errorf(protocol.CodeUnknownCommand, "unknown message type: %q", req.Type)
	}
	if e := s.checkRate(c, req); e != nil {
		return e
	}
	if e := s.checkMemory(req); e != nil {
		return e
	}
	if u := req.Unread; u != nil && !u.Deferred {
		return u.Err
	}
	if e := req.Options.Validate(row); e != nil {
		return e
	}
	return protocol.Check(row, req.Body)
}

func (s *Server) checkRate(c *conn, req *protocol.Request) *protocol.Error {
	class := req.Command.Rate
	if class == protocol.RateNone || c.exempt {
		return nil
	}
	pause, ok := s.rates.allow(class, c.source, signerOf(req))
	if ok {
		return nil
	}
	if r, ok := req.Body.(*protocol.Register); ok && r.PublicKey != "" && s.cfg.Backend.Repeats(r) {
		return nil
	}
	s.cfg.Metrics.RateLimited(class)
	s.cfg.Logger.Debug("rate limited", "class", string(class), "source", c.state.Source)
	e := protocol.NotAppliedf(protocol.CodeRateLimited, rateTexts[class], sourceIP(c))
	e.RetryAfterMS = pause.Milliseconds()
	return e
}

// shortPause is when a caller that was refused for want of memory may try again.
const shortPause = time.Second

// checkMemory refuses what strangers ask while memory is short, so that nodes
// and operators are served. Status works, and so does a known node that comes back.
func (s *Server) checkMemory(req *protocol.Request) *protocol.Error {
	if s.cfg.Short == nil || !isAnonymous(req) || req.Command.Mode == protocol.ModeLocal || !s.cfg.Short() {
		return nil
	}
	if r, ok := req.Body.(*protocol.Register); ok && r.PublicKey != "" && s.cfg.Backend.Repeats(r) {
		return nil
	}
	e := protocol.NotAppliedf(protocol.CodeOverloaded, "this member is short of memory and serves requests with a signature or a token only; send the request to another member, or again later")
	e.RetryAfterMS = shortPause.Milliseconds()
	return e
}

// isAnonymous reports that a request brings nothing that could prove who sends it.
func isAnonymous(req *protocol.Request) bool {
	return req.Signed == nil && req.Signature == "" && req.AdminToken == ""
}

// sourceIP is the host part of the source, IPv6 without brackets.
func sourceIP(c *conn) string {
	if c.ip.IsValid() {
		return c.ip.String()
	}
	if host, _, err := net.SplitHostPort(c.state.Source); err == nil {
		return host
	}
	return c.state.Source
}

// callBackend keeps a defect in one handler from ending the process. What the
// handler had done by then is not known.
func (s *Server) callBackend(ctx context.Context, c *conn, req *protocol.Request) (reply Reply) {
	defer func() {
		if p := recover(); p != nil {
			reply = Reply{Err: s.panicked(c, req, p)}
		}
	}()
	return s.cfg.Backend.Serve(ctx, &c.state, req)
}

func (s *Server) panicked(c *conn, req *protocol.Request, p any) *protocol.Error {
	s.cfg.Metrics.Panicked(req.Command.Name)
	s.cfg.Logger.Error("request handler panicked", "command", req.Command.Name,
		"source", c.state.Source, "panic", p, "stack", string(debug.Stack()))
	return panicError(req.Command)
}

func panicError(row *protocol.Command) *protocol.Error {
	if row.Writes() || row.Mode == protocol.ModeCluster {
		return protocol.Unknownf(protocol.CodeInternal,
			"internal error in %s: it may or may not have taken effect; send it again with the same request_id, and report the member's log", row.Name)
	}
	return protocol.NotAppliedf(protocol.CodeInternal, "internal error in %s: try another member, and report the member's log", row.Name)
}

// metricName bounds the label: a client chooses the text of unknown types.
func metricName(req *protocol.Request) string {
	if req.Command == nil {
		return "unknown"
	}
	return req.Command.Name
}
