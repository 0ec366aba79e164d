// SPDX-License-Identifier: Apache-2.0

package console

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	cookieName = "pilot_console"
	// idle and lifetime end a session.
	idle     = 30 * time.Minute
	lifetime = 12 * time.Hour
	// maxSessions bounds the sessions of a member; the one that rested longest
	// makes room.
	maxSessions = 256
)

// session is a browser that has brought the admin token.
type session struct {
	// token is sent with every command, so that a session ends with its token.
	token protocol.Secret
	// csrf goes with every form.
	csrf    string
	begun   time.Time
	touched time.Time
}

// sessions are kept in memory by the hash of their cookie.
type sessions struct {
	now func() time.Time

	mu sync.Mutex
	by map[[sha256.Size]byte]*session
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, by: map[[sha256.Size]byte]*session{}}
}

// begin makes a session and returns its cookie.
func (s *sessions) begin(token protocol.Secret) string {
	id := rand.Text() + rand.Text()
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.by) >= maxSessions {
		s.makeRoom()
	}
	s.by[sha256.Sum256([]byte(id))] = &session{token: token, csrf: rand.Text(), begun: now, touched: now}
	return id
}

func (s *sessions) makeRoom() {
	var oldest [sha256.Size]byte
	var at time.Time
	for id, have := range s.by {
		if at.IsZero() || have.touched.Before(at) {
			oldest, at = id, have.touched
		}
	}
	delete(s.by, oldest)
}

// of finds the session of a request. Looking for news by itself does not keep
// a session alive.
func (s *sessions) of(r *http.Request, touch bool) *session {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	id, now := sha256.Sum256([]byte(cookie.Value)), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.by[id]
	if found == nil {
		return nil
	}
	if now.Sub(found.touched) > idle || now.Sub(found.begun) > lifetime {
		delete(s.by, id)
		return nil
	}
	if touch {
		found.touched = now
	}
	copied := *found
	return &copied
}

func (s *sessions) end(r *http.Request) {
	if cookie, err := r.Cookie(cookieName); err == nil {
		s.mu.Lock()
		delete(s.by, sha256.Sum256([]byte(cookie.Value)))
		s.mu.Unlock()
	}
}

// own reports whether a form was given to this session.
func (s *session) own(r *http.Request) bool {
	return subtle.ConstantTimeCompare([]byte(r.PostFormValue("csrf")), []byte(s.csrf)) == 1
}

func setCookie(w http.ResponseWriter, r *http.Request, value string, age int) {
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode})
}

// login takes the admin token and sends the browser to where it wanted to go.
func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	token := protocol.Secret(r.PostFormValue("token"))
	e := protocol.Refusef(protocol.CodeAdminToken, "enter the admin token of the cluster")
	if token != "" {
		e = c.cfg.Admin(r.Context(), r.RemoteAddr, token)
	}
	if e != nil {
		status := http.StatusUnauthorized
		if e.Code == protocol.CodeRateLimited {
			status = http.StatusTooManyRequests
		}
		c.views.show(w, r, status, "login", &frame{Title: "Log in", Error: e, Data: local(r.PostFormValue("next"))})
		return
	}
	setCookie(w, r, c.sessions.begin(token), int(lifetime/time.Second))
	http.Redirect(w, r, local(r.PostFormValue("next")), http.StatusSeeOther)
}

func (c *Console) loginPage(w http.ResponseWriter, r *http.Request) {
	c.views.show(w, r, http.StatusOK, "login", &frame{Title: "Log in", Data: local(r.URL.Query().Get("next"))})
}

func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	if s := c.sessions.of(r, false); s != nil && s.own(r) {
		c.end(r, s)
		setCookie(w, r, "", -1)
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// end ends a session, and with it what it was about to do.
func (c *Console) end(r *http.Request, s *session) {
	c.sessions.end(r)
	c.plans.forget(s.csrf)
}

// local is a path of this listener, so that nobody is sent elsewhere.
func local(path string) string {
	if path == "/" {
		return path
	}
	if len(path) < 2 || path[0] != '/' || path[1] == '/' || path[1] == '\\' {
		return "/cluster"
	}
	return path
}
