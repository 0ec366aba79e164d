// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// askTime bounds what one page may ask for.
const askTime = 8 * time.Second

// visit is one request of an administrator for a page.
type visit struct {
	c       *Console
	r       *http.Request
	session *session
	conn    server.ConnState
	// stale is set once a read had to be answered from this member alone.
	stale bool
}

// content is what a page shows in its frame.
type content struct {
	// Template shows Data.
	Template, Title string
	Data            any
	// Command gives the same on the command line.
	Command string
}

// page serves a page to administrators and sends others to log in.
func (c *Console) page(make func(*visit) (*content, *protocol.Error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := c.sessions.of(r, true)
		if s == nil {
			http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), askTime)
		defer cancel()
		v := &visit{c: c, r: r.WithContext(ctx), session: s, conn: server.ConnState{Source: r.RemoteAddr}}
		page, e := make(v)
		if e != nil && e.Code == protocol.CodeAdminToken {
			c.sessions.end(r)
			http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
			return
		}
		f := c.frame(v)
		if e != nil {
			f.Title, f.Error = "This page could not be made", e
			c.views.show(w, statusOf(e), "failed", f)
			return
		}
		f.Title, f.Data, f.Command = page.Title, page.Data, page.Command
		c.views.show(w, http.StatusOK, page.Template, f)
	}
}

func statusOf(e *protocol.Error) int {
	switch e.Code {
	case protocol.CodeNotFound:
		return http.StatusNotFound
	case protocol.CodeInvalid:
		return http.StatusBadRequest
	case protocol.CodeNoLeader, protocol.CodeTimeout, protocol.CodeTimeoutRead, protocol.CodeOverloaded:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}

// send sends a command as an administrator, through the checks of the wire listener.
func (v *visit) send(command string, fields map[string]any) server.Reply {
	fields["type"], fields["admin_token"] = command, string(v.session.token)
	raw, err := json.Marshal(fields)
	if err != nil { // texts, numbers and lists always encode
		panic(err)
	}
	req, err := protocol.ParseRequest(raw)
	switch {
	case err != nil:
		return server.Reply{Err: protocol.Errorf(protocol.CodeInternal, "%v", err)}
	case req.Command == nil:
		return server.Reply{Err: protocol.Errorf(protocol.CodeUnknownCommand, "unknown message type: %q", command)}
	case req.Unread != nil:
		return server.Reply{Err: req.Unread.Err}
	}
	e := req.Options.Validate(req.Command)
	if e == nil {
		e = protocol.Check(req.Command, req.Body)
	}
	if e != nil {
		return server.Reply{Err: e}
	}
	return v.c.cfg.Serve(v.r.Context(), &v.conn, req)
}

// ask reads with a command. Without a quorum it shows what this member has.
func ask[T any](v *visit, command string, fields map[string]any) (*T, *protocol.Error) {
	if fields == nil {
		fields = map[string]any{}
	}
	if v.stale {
		fields["consistency"] = string(protocol.Stale)
	}
	reply := v.send(command, fields)
	if !v.stale && noQuorum(reply.Err) {
		v.stale = true
		fields["consistency"] = string(protocol.Stale)
		reply = v.send(command, fields)
	}
	if reply.Err != nil {
		return nil, reply.Err
	}
	body, err := protocol.ReplyAs[T](reply.Body)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInternal, "%s: %v", command, err)
	}
	return body, nil
}

// noQuorum reports whether a read failed because no leader could confirm it.
func noQuorum(e *protocol.Error) bool {
	return e != nil && (e.Code == protocol.CodeNoLeader || e.Code == protocol.CodeTimeout || e.Code == protocol.CodeTimeoutRead)
}
