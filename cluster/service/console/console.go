// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"embed"
	"io/fs"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

//go:embed assets
var assets embed.FS

// Config is what the console shows and through whom.
type Config struct {
	// Serve answers a request as the wire listener does.
	Serve func(ctx context.Context, conn *server.ConnState, req *protocol.Request) server.Reply
	// Status is what this member knows of the cluster, without asking a quorum.
	Status func(ctx context.Context) protocol.ClusterStatusReply
	// ExplainToken says what came of each check of an identity token.
	ExplainToken func(token protocol.Secret) []identity.Step
	// Settings are those that this member was started with.
	Settings []Setting
	// Hosts are what the members that answer say of their machines, by id.
	Hosts func(ctx context.Context) map[string]cluster.MemberHost
	// Checks are the conditions under which this member serves.
	Checks func() []ops.Check
	// Stats counts what the state holds, for the page that everybody sees.
	Stats func(details bool) ops.Stats
	// Inspect shows what the state of this member holds of nodes.
	Inspect func() Inspector
	// Admin checks an admin token that a source brings and counts wrong ones.
	Admin func(ctx context.Context, source string, token protocol.Secret) *protocol.Error
	// Durations counts the requests that this member has answered, by how long
	// they took.
	Durations func() ops.Durations
	// Now is the clock, default time.Now.
	Now func() time.Time
}

// Setting is a choice of the one who runs this member. Source says where the
// value comes from, "" for the default.
type Setting struct{ Name, Value, Source, Meaning string }

// Inspector shows what no command tells, to pages whose administrator a command
// has checked before.
type Inspector interface {
	EachNode(f func(fsm.NodeSummary) bool)
	Node(id uint32, most int) (d fsm.NodeDetail, found bool)
	SinkLags() map[string]uint64
	FailingSinks() []string
	Tokens() []fsm.TokenRecord
}

// Console serves the pages.
type Console struct {
	cfg      Config
	sessions *sessions
	views    *views
	actions  map[string]*action
	plans    *plans
	history  history
	origins  *http.CrossOriginProtection
	// streams counts the pages that are told news.
	streams atomic.Int32

	statusMu   sync.Mutex
	lastStatus protocol.ClusterStatusReply
	statusAt   time.Time
}

// New makes a console.
func New(cfg Config) *Console {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Console{cfg: cfg, sessions: newSessions(cfg.Now), views: newViews(cfg.Now), origins: http.NewCrossOriginProtection(),
		actions: newActions(), plans: &plans{by: map[string]*kept{}}}
}

// policy lets a page load what the member itself serves, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Handler serves the console below "/".
func (c *Console) Handler() http.Handler {
	mux := http.NewServeMux()
	static, err := fs.Sub(assets, "assets/static")
	if err != nil { // the folder is embedded
		panic(err)
	}
	files := http.StripPrefix("/static/", http.FileServerFS(static))
	mux.HandleFunc("GET /static/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		files.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /{$}", c.public)
	mux.HandleFunc("GET /login", c.loginPage)
	mux.HandleFunc("POST /login", c.login)
	mux.HandleFunc("POST /logout", c.logout)
	mux.HandleFunc("POST /theme", c.setTheme)
	for path, page := range map[string]func(*visit) (*content, *protocol.Error){
		"/cluster": c.clusterPage, "/nodes": c.nodesPage, "/nodes/{id}": c.nodePage,
		"/networks": c.networksPage, "/networks/{id}": c.networkPage, "/trust": c.trustPage,
		"/audit": c.auditPage, "/delivery": c.deliveryPage, "/delivery/{sink}/{event}": c.letterPage, "/identity": c.identityPage, "/settings": c.settingsPage,
		"/do/{action}": c.actionPage, "/audit/{seq}": c.eventPage, "/networks/{id}/blueprint": c.blueprintFile, "/networks/{id}/compare": c.comparePage,
	} {
		mux.HandleFunc("GET "+path, c.page(page))
	}
	mux.HandleFunc("POST /networks/{id}/compare", c.page(c.comparePage))
	mux.HandleFunc("POST /identity/check", c.page(c.checkToken))
	mux.HandleFunc("POST /do/{action}", c.page(c.planPage))
	mux.HandleFunc("POST /do/{action}/confirm", c.page(c.confirmPage))
	mux.HandleFunc("GET /live", c.live)
	mux.HandleFunc("GET /history", c.historyData)
	return c.secure(mux)
}

// secure refuses writes that pages of other sites make and sets what keeps a
// browser from doing what these pages do not.
func (c *Console) secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if err := c.origins.Check(r); err != nil {
			http.Error(w, "Forbidden: the request was made by a page of another site", http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

// maxForm bounds what a form sends, in bytes.
const maxForm = 1 << 20
