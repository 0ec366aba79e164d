// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// Where the long tests find what they need, see e2e.sh.
const (
	envAxe         = "PILOT_AXE"         // axe.min.js
	envScreenshots = "PILOT_SCREENSHOTS" // a directory
)

// browser is a Chromium with what its pages complained of and asked others for.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu   sync.Mutex
	seen []string
	base string
}

func newBrowser(t *testing.T, base string) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if os.Getenv(envE2E) == "" || path == "" {
		t.Skipf("needs %s and Chromium (Debian: apt-get install chromium); it has %q", envE2E, path)
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1440, 900))
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 8*time.Minute) // a guard against hanging alone
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, base: base}
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, b.base+"/") {
			b.seen = append(b.seen, "asked for "+e.Request.URL)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			b.seen = append(b.seen, "error: "+e.Entry.Text+" "+e.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		b.seen = append(b.seen, "exception: "+e.ExceptionDetails.Text)
	}
}

// complaints are those since the last call.
func (b *browser) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.seen
	b.seen = nil
	return out
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// value is what a script gives.
func value[T any](b *browser, script string, options ...chromedp.EvaluateOption) T {
	b.t.Helper()
	out, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, options...))
	if err != nil {
		b.t.Fatalf("%.80s: %v", script, err)
	}
	return out
}

func (b *browser) open(path string) { b.t.Helper(); b.do(chromedp.Navigate(b.base + path)) }

func (b *browser) login(token string) {
	b.t.Helper()
	b.open("/login?next=/cluster")
	b.do(chromedp.SendKeys(`input[name="token"]`, token), chromedp.Submit(`input[name="token"]`))
	b.becomes(`!!document.querySelector("#bar, [role=alert]") && document.readyState === "complete"`)
}

// theme makes pages light or dark, and as wide as a window.
func (b *browser) theme(name string, width int64) {
	b.t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(width, 900))
}

// shoot writes a picture of the whole page when somebody wants to look at it.
func (b *browser) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv(envScreenshots)
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// axe reports what a page denies to people who do not see it as it is drawn.
// The page keeps the script.
func (b *browser) axe(page string) {
	b.t.Helper()
	if !value[bool](b, `typeof axe === "object"`) {
		script, err := os.ReadFile(os.Getenv(envAxe))
		if err != nil {
			b.t.Logf("%s: not checked with axe-core: %v", page, err)
			return
		}
		value[int](b, string(script)+";0")
	}
	found := value[string](b, `axe.run().then(r => JSON.stringify(r.violations.map(v => [v.id, v.help, v.nodes.slice(0, 3).map(n => n.html)])))`, chromedp.EvalAwaitPromise)
	if found != "[]" {
		b.t.Errorf("%s: axe-core: %s", page, found)
	}
}

// looks are the themes and widths in which pages are looked at.
var looks = []struct {
	theme string
	width int64
}{{"light", 1440}, {"dark", 1440}, {"dark", 1024}, {"light", 1024}, {"light", 390}, {"dark", 390}}

// look looks at the page that is open in every theme and width.
func (b *browser) look(page string) {
	b.t.Helper()
	name := strings.Trim(strings.NewReplacer("/", "-", "?", "-", "=", "-", "*", "", "&", "-").Replace(page), "-")
	for _, look := range looks {
		b.theme(look.theme, look.width)
		b.shoot(fmt.Sprintf("%s-%s-%d", name, look.theme, look.width))
		if wide := value[int64](b, "document.documentElement.scrollWidth"); wide > look.width {
			b.t.Errorf("%s is %d pixels wide in a window of %d", page, wide, look.width)
		}
		b.axe(fmt.Sprintf("%s %s %d", page, look.theme, look.width))
	}
}

// consolePages are the pages of an administrator.
var consolePages = []string{"/", "/cluster", "/nodes", "/nodes?q=gpu", "/nodes?state=expiring", "/nodes?col=address&col=endpoint&col=networks&col=key_age&col=key_ends&col=ends", "/networks", "/trust", "/audit", "/audit?action=node.*", "/audit?actor=token:*", "/delivery", "/identity", "/settings"}

const missingNode = "/nodes/4000000000"

// Every page is drawn in a real browser in both themes and three widths,
// without a complaint and without asking anybody else.
func TestConsolePages(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{Members: 3})
	ready, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, "http://"+ready.Nodes[1].Ops)
	pages := append(slices.Clone(consolePages), fill(t, c)...)
	b.open("/cluster")
	b.see("h1", "Log in")
	b.login("not the token")
	b.see(`[role="alert"]`, "invalid admin token")
	b.complaints() // the refusal is a 401, which Chromium calls an error
	b.login(c.AdminToken)
	for _, page := range pages {
		b.open(page)
		b.look(page)
		if bad := b.complaints(); len(bad) > 0 && page != missingNode { // a page that is not found is an error to Chromium
			t.Errorf("%s: %s", page, strings.Join(bad, "\n"))
		}
	}
	b.open("/cluster")
	b.becomes(`document.querySelectorAll("[aria-label=Machines] tbody tr").length === 3 && document.querySelectorAll("[aria-label=Machines] .dot").length === 6`) // each member tells
	b.becomes(`document.querySelectorAll(".uplot").length === 4`)                                                                                                 // the member is older than two samples
	b.look("/cluster?plots")
	b.do(chromedp.KeyEvent("?"))
	b.becomes(`document.getElementById("keys").open`)
	b.axe("the list of keys")
	b.shoot("keys")
	b.do(chromedp.KeyEvent("\u001b"), chromedp.Click(`.theme [value="dark"]`))
	b.becomes(`document.documentElement.dataset.theme === "dark"`)
	b.do(chromedp.KeyEvent("gw")) // at once: the second key counts for a moment only
	b.see("h1", "Which networks are there?")
	if bad := b.complaints(); len(bad) > 0 {
		t.Errorf("%s", strings.Join(bad, "\n"))
	}
}

// see waits until an element has a text.
func (b *browser) see(selector, text string) {
	b.t.Helper()
	quoted, _ := json.Marshal(selector)
	want, _ := json.Marshal(text)
	b.becomes(fmt.Sprintf("!!document.querySelector(%s)?.textContent.includes(%s)", quoted, want))
}

// becomes waits until a script gives true.
func (b *browser) becomes(script string) {
	b.t.Helper()
	await(b.t, script, func() (any, bool) {
		done, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](script)) // fails while another page is loaded
		if err == nil && done {
			return nil, true
		}
		shown, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText.slice(0, 600) : ""`))
		return fmt.Sprint(err, " ", shown), false
	})
}

// fill gives a cluster something to show and returns the pages of it.
func fill(t *testing.T, c *harness.Cluster) []string {
	t.Helper()
	wire := follower(t, c)
	agents := make([]harness.Agent, 6)
	for i := range agents {
		var err error
		if agents[i], err = wire.Register(); err != nil {
			t.Fatal(err)
		}
		a := agents[i]
		wire.send(fmt.Sprintf(`{"type":"set_hostname","node_id":%d,"hostname":"agent-%d","signature":%q}`, a.ID, i, a.Sign(fmt.Sprintf("set_hostname:%d", a.ID))))
		wire.send(fmt.Sprintf(`{"type":"set_tags","node_id":%d,"tags":["gpu"],"signature":%q}`, a.ID, a.Sign(fmt.Sprintf("set_tags:%d", a.ID))))
		for _, pair := range [][2]harness.Agent{{a, agents[i/2]}, {agents[i/2], a}} {
			if pair[0].ID != pair[1].ID {
				wire.send(fmt.Sprintf(`{"type":"report_trust","node_id":%d,"peer_id":%d,"signature":%q}`, pair[0].ID, pair[1].ID, pair[0].Sign(fmt.Sprintf("report_trust:%d:%d", pair[0].ID, pair[1].ID))))
			}
		}
	}
	net := wire.send(fmt.Sprintf(`{"type":"create_network","admin_token":"$TOKEN","name":"prod-fleet","join_rule":"open","enterprise":true,"node_id":%d}`, agents[0].ID))["network_id"]
	for _, a := range agents[1:] {
		wire.send(fmt.Sprintf(`{"type":"join_network","admin_token":"$TOKEN","node_id":%d,"network_id":%v}`, a.ID, net))
	}
	return []string{fmt.Sprintf("/nodes/%d", agents[0].ID), fmt.Sprintf("/networks/%v", net), fmt.Sprintf("/networks/%v/compare", net), "/audit/3", "/do/create-network", "/do/apply-blueprint", "/do/set-provider", "/do/set-export", fmt.Sprintf("/do/sync-directory?network=%v", net), fmt.Sprintf("/trust?node=%d", agents[0].ID), missingNode}
}

// A change of the registry and a new leader show on a page that is open.
func TestConsoleShowsChangesWithoutReload(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{Members: 3})
	ready, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	other := ready.Nodes[0]
	b := newBrowser(t, "http://"+other.Ops)
	b.login(c.AdminToken)
	if !value[bool](b, `document.getElementById("old").hidden`) {
		t.Error("a page is called old before anything has changed")
	}
	if _, err := follower(t, c).Register(); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.WaitVisible("#old"))
	b.open("/audit")
	if _, err := follower(t, c).Register(); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.WaitEnabled("#shownew"))
	newest := value[string](b, `document.querySelector("#trail tbody tr:first-child td:first-child").textContent`)
	b.do(chromedp.Click("#shownew"), chromedp.WaitVisible("#trail tr.fresh"))
	b.becomes(fmt.Sprintf(`Number(document.querySelector("#trail tbody tr:first-child td:first-child").textContent) > %s`, newest))
	// Whoever leads now is killed, and another member watched, should it be the one that was.
	var leader harness.Member
	await(t, "a leader", func() (any, bool) {
		b.open("/cluster")
		id := value[string](b, `document.querySelector('[data-live="leader"]').title`)
		at := slices.IndexFunc(ready.Nodes, func(m harness.Member) bool { return m.ID == id })
		if at >= 0 {
			leader = ready.Nodes[at]
		}
		return id, at >= 0
	})
	if leader.ID == other.ID {
		b.base = "http://" + ready.Nodes[1].Ops
		b.login(c.AdminToken)
	}
	if err := syscall.Kill(leader.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	const shown = `document.querySelector('[data-live="leader"]').textContent`
	b.becomes(fmt.Sprintf(`%s !== "none" && !%s.startsWith(%q)`, shown, shown, leader.ID[:6]))
}
