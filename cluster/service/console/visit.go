// SPDX-License-Identifier: Apache-2.0

package console

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

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
	// Status is that of the answer, 0 for 200.
	Status int
	// Room is the entry of the menu that the page belongs to, "" for that of its address.
	Room string
	// Plots says that the page has plots, which a library draws.
	Plots bool
	// Raw is sent as it is, as a file of this name, instead of a page.
	File string
	Raw  []byte
}

// page serves a page to administrators and sends others to log in.
func (c *Console) page(make func(*visit) (*content, *protocol.Error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := c.sessions.of(r, true)
		if s == nil {
			toLogin(w, r)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), askTime)
		defer cancel()
		v := &visit{c: c, r: r.WithContext(ctx), session: s, conn: server.ConnState{Source: r.RemoteAddr}}
		if r.Method == http.MethodPost {
			if e := v.ownForm(); e != nil {
				f := c.frame(v)
				f.Title, f.Error = "This form was not taken", e
				c.views.show(w, r, http.StatusForbidden, "failed", f)
				return
			}
		}
		page, e := make(v)
		if e != nil && e.Code == protocol.CodeAdminToken {
			c.end(r, s)
			toLogin(w, r)
			return
		}
		f := c.frame(v)
		if e != nil {
			f.Title, f.Error = "This page could not be made", e
			c.views.show(w, r, statusOf(e), "failed", f)
			return
		}
		if page.File != "" {
			sendFile(w, page)
			return
		}
		f.Room = cmp.Or(page.Room, f.Room)
		f.Title, f.Data, f.Command, f.Plots = page.Title, page.Data, page.Command, page.Plots
		c.views.show(w, r, cmp.Or(page.Status, http.StatusOK), page.Template, f)
	}
}

func sendFile(w http.ResponseWriter, page *content) {
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": page.File}))
	_, _ = w.Write(page.Raw) // the browser has gone
}

// toLogin asks for a login, after which the page is shown. A form is not sent
// again by it.
func toLogin(w http.ResponseWriter, r *http.Request) {
	next := r.URL.RequestURI()
	if r.Method != http.MethodGet {
		next = strings.TrimSuffix(r.URL.Path, "/confirm")
	}
	http.Redirect(w, r, "/login?next="+url.QueryEscape(next), http.StatusSeeOther)
}

// ownForm refuses a form that was not given to this session.
func (v *visit) ownForm() *protocol.Error {
	err := v.r.ParseForm() // ParseMultipartForm does not tell what is wrong with other forms
	if err == nil {
		err = v.r.ParseMultipartForm(maxForm)
	}
	if err != nil && !errors.Is(err, http.ErrNotMultipart) {
		var long *http.MaxBytesError
		if errors.As(err, &long) {
			return protocol.Errorf(protocol.CodeTooLarge, "the form is longer than %s bytes: use pilotctl, which sends long files in parts", count(maxForm))
		}
		return protocol.Errorf(protocol.CodeInvalid, "the form cannot be read: %v", err)
	}
	if !v.session.own(v.r) {
		return protocol.Errorf(protocol.CodePermissionDenied, "the form does not belong to this session, so nothing was done. Open the page again and fill it in there")
	}
	return nil
}

// readFile takes the text of a file in a form as an answer, when there is one.
func (v *visit) readFile(name string, in values) *protocol.Error {
	file, _, err := v.r.FormFile(name)
	if err != nil { // none was chosen
		return nil
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	if err != nil {
		return protocol.Errorf(protocol.CodeInvalid, "the file cannot be read: %v", err)
	}
	if !utf8.Valid(text) {
		return protocol.Errorf(protocol.CodeInvalid, "the file is not UTF-8: export it again as UTF-8")
	}
	if len(text) > 0 {
		in["text"] = strings.TrimPrefix(string(text), "\uFEFF")
	}
	return nil
}

func statusOf(e *protocol.Error) int {
	switch e.Code {
	case protocol.CodeNotFound:
		return http.StatusNotFound
	case protocol.CodeInvalid, protocol.CodeTooLarge, protocol.CodeUnknownField:
		return http.StatusBadRequest
	case protocol.CodeConflict, protocol.CodeAlreadyExists, protocol.CodeLimitReached, protocol.CodeEnterpriseRequired, protocol.CodeRequestIDReused:
		return http.StatusConflict
	case protocol.CodeNoLeader, protocol.CodeTimeout, protocol.CodeTimeoutRead, protocol.CodeOverloaded, protocol.CodeOutcomeUnknown:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}

// send sends a command as an administrator, through the checks of the wire listener.
func (v *visit) send(command string, fields map[string]any) server.Reply {
	req, e := v.request(command, fields)
	if e != nil {
		return server.Reply{Err: e}
	}
	return v.c.cfg.Serve(v.r.Context(), &v.conn, req)
}

// request makes a command of an administrator, checked as far as that needs no state.
func (v *visit) request(command string, fields map[string]any) (*protocol.Request, *protocol.Error) {
	all := maps.Clone(fields)
	if all == nil {
		all = map[string]any{}
	}
	all["type"], all["admin_token"] = command, string(v.session.token)
	raw, err := json.Marshal(all)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "this cannot be sent: %v", err)
	}
	req, err := protocol.ParseRequest(raw)
	switch {
	case err != nil:
		return nil, protocol.Errorf(protocol.CodeInternal, "%v", err)
	case req.Command == nil:
		return nil, protocol.Errorf(protocol.CodeUnknownCommand, "unknown message type: %q", command)
	case req.Unread != nil:
		return nil, req.Unread.Err
	}
	e := req.Options.Validate(req.Command)
	if e == nil {
		e = protocol.Check(req.Command, req.Body)
	}
	return req, e
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
