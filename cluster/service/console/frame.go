// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"context"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// frame is what every page has around its content.
type frame struct {
	Title string
	// Room is the entry of the menu that the page belongs to, "" for pages
	// before the login.
	Room    string
	Health  *health
	CSRF    string
	Command string
	// Theme is light, dark, or "" for what the system says; Path is the page's own.
	Theme, Path string
	// Plots says that a library draws plots on the page.
	Plots bool
	// Stale says that no quorum confirmed what the page shows.
	Stale bool
	Error *protocol.Error
	Data  any
	Now   time.Time
}

// health is the bar on top of every page.
type health struct {
	ClusterID, Member, Leader string
	Index                     uint64
	Up, Voters                int
	// Tolerates is how many voters may fail before there is no quorum.
	Tolerates int
	Lag       uint64
	// State is ok, warn or bad, Word says it, Next what to do.
	State, Word, Next string
}

// rooms are the entries of the menu, in their order.
var rooms = []struct{ Path, Name, Key string }{
	{"/cluster", "Cluster", "c"}, {"/nodes", "Nodes", "n"}, {"/networks", "Networks", "w"}, {"/trust", "Trust", "t"},
	{"/audit", "Audit", "a"}, {"/delivery", "Delivery", "s"}, {"/identity", "Identity", "i"}, {"/settings", "Settings", "e"},
}

func (c *Console) frame(v *visit) *frame {
	room := "/" + strings.SplitN(strings.TrimPrefix(v.r.URL.Path, "/"), "/", 2)[0]
	return &frame{Room: room, Health: c.health(v.r.Context()), CSRF: v.session.csrf, Stale: v.stale}
}

const (
	// statusAge is how old the status may be that pages show: many that are open
	// must not ask the members more often than one.
	statusAge = 500 * time.Millisecond
	// statusTime bounds how long members are waited for.
	statusTime = 2 * time.Second
)

func (c *Console) status(ctx context.Context) protocol.ClusterStatusReply {
	c.statusMu.Lock()
	defer c.statusMu.Unlock()
	if now := c.cfg.Now(); c.statusAt.IsZero() || now.Sub(c.statusAt) > statusAge {
		// What one visitor asks for is shown to others, so it does not end with him.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statusTime)
		defer cancel()
		c.lastStatus, c.statusAt = c.cfg.Status(ctx), now
	}
	return c.lastStatus
}

func healthOf(s protocol.ClusterStatusReply) *health {
	h := &health{ClusterID: s.ClusterID, Member: s.MemberID, Leader: s.LeaderID, Index: s.AppliedIndex, State: "ok", Word: "healthy", Next: s.Next}
	for _, m := range s.Members {
		if m.Suffrage != "voter" {
			continue
		}
		h.Voters++
		if m.Reachable || m.ID == s.MemberID {
			h.Up++
		}
		if m.AppliedIndex > 0 && s.CommitIndex > m.AppliedIndex {
			h.Lag = max(h.Lag, s.CommitIndex-m.AppliedIndex)
		}
	}
	h.Tolerates = max(h.Up-(h.Voters/2+1), 0)
	switch {
	case s.LeaderID == "":
		h.State, h.Word = "bad", "no leader: writes and confirmed reads fail"
	case !s.Ready:
		h.State, h.Word = "bad", "this member does not serve"
	case h.Up < h.Voters:
		h.State, h.Word = "warn", "a voter does not answer"
	case len(s.Problems) > 0:
		h.State, h.Word = "warn", "needs attention"
	}
	return h
}

// health is the bar of now. Something that is wrong is never shown without
// what to do about it.
func (c *Console) health(ctx context.Context) *health {
	h := healthOf(c.status(ctx))
	if failing := c.cfg.Inspect().FailingSinks(); h.State == "ok" && len(failing) > 0 {
		h.State, h.Word = "warn", "events do not arrive at "+strings.Join(failing, ", ")
		h.Next = "mend the receiver, see Delivery"
	}
	if h.Next == "" && h.State != "ok" {
		h.Next = nextFor(h, c.cfg.Checks())
	}
	h.Next, _, _ = strings.Cut(h.Next, ";") // the cluster page has the rest
	return h
}

// nextFor says what to do when the status of the cluster does not.
func nextFor(h *health, checks []ops.Check) string {
	switch {
	case h.Leader == "":
		return "wait ten seconds for the election, then start the members that are down and look at their logs"
	case h.Up < h.Voters:
		return "start the voter that is down"
	}
	for _, check := range checks {
		if !check.OK {
			return check.Detail + ": wait, and use another member meanwhile"
		}
	}
	return "look at the members on the cluster page"
}

// views are the parsed templates, each with the frame around it.
type views struct {
	now   func() time.Time
	pages map[string]*template.Template
}

func newViews(now func() time.Time) *views {
	v := &views{now: now, pages: map[string]*template.Template{}}
	base := template.Must(template.New("base").Funcs(functions(now)).ParseFS(assets, "assets/templates/frame.html"))
	names, err := fs.Glob(assets, "assets/templates/*.html")
	if err != nil { // the pattern is right
		panic(err)
	}
	for _, path := range names {
		name := strings.TrimSuffix(path[strings.LastIndexByte(path, '/')+1:], ".html")
		v.pages[name] = template.Must(template.Must(base.Clone()).ParseFS(assets, path))
	}
	return v
}

// show renders a page as a whole, so that half a page is never sent.
func (v *views) show(w http.ResponseWriter, r *http.Request, status int, page string, f *frame) {
	f.Now, f.Theme, f.Path = v.now(), themeOf(r), r.URL.RequestURI()
	if r.Method != http.MethodGet {
		f.Path = strings.TrimSuffix(r.URL.Path, "/confirm")
	}
	var b bytes.Buffer
	if err := v.pages[page].ExecuteTemplate(&b, "frame", f); err != nil {
		http.Error(w, "the page could not be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the browser has gone
}
