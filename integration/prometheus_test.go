// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// oldGauges are gauges whose names, which the original registry gave them, end
// like those of counters.
var oldGauges = []string{"pilot_nodes_total", "pilot_networks_total", "pilot_pubkeys_total"}

// Prometheus' own tool finds nothing wrong with a live member's page, but for
// the names of some old gauges. Who asks for OpenMetrics gets that.
func TestPrometheusLikesThePage(t *testing.T) {
	t.Parallel()
	onlyE2E(t, "needs promtool")
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("needs promtool (Debian: apt-get install prometheus)")
	}
	c := harness.Start(t, harness.Options{Members: 1})
	ready, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), tool, "check", "metrics")
	cmd.Stdin = strings.NewReader(metrics(t, ready.Nodes[0]))
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		name, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !slices.Contains(oldGauges, name) || !strings.Contains(what, `"_total" suffix`) {
			t.Errorf("promtool check metrics (%v): %s", err, line)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+ready.Nodes[0].Ops+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/openmetrics-text") || !bytes.HasSuffix(page, []byte("# EOF\n")) {
		t.Errorf("OpenMetrics: %s, %v, ends with %q", resp.Header.Get("Content-Type"), err, page[max(0, len(page)-20):])
	}
}

// watcher is a Prometheus that scrapes a cluster.
type watcher struct {
	t    *testing.T
	addr string
}

// watch starts Prometheus with the rules and alerts of deploy, which fire
// after two seconds instead of minutes.
func watch(t *testing.T, targets []string) *watcher {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("needs prometheus (Debian: apt-get install prometheus)")
	}
	dir := t.TempDir()
	for _, name := range []string{"rules.yml", "alerts.yml"} {
		raw, err := os.ReadFile(filepath.Join("../deploy/prometheus", name))
		if err == nil {
			raw = regexp.MustCompile(`(?m)^( +for:) \S+$`).ReplaceAll(raw, []byte("$1 2s"))
			err = os.WriteFile(filepath.Join(dir, name), raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	config := fmt.Sprintf(`{global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}, rule_files: [rules.yml, alerts.yml],
  scrape_configs: [{job_name: pilot, static_configs: [{targets: [%s]}]}]}`, strings.Join(targets, ", "))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{t: t, addr: l.Addr().String()}
	l.Close()
	var out bytes.Buffer
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+w.addr)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus:\n%s", out.String())
		}
	})
	return w
}

// get asks Prometheus' API; an error is one of the answer or of the connection.
func (w *watcher) get(path string, data any) error {
	resp, err := http.Get("http://" + w.addr + "/api/v1/" + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", path, answer.Error)
	}
	return json.Unmarshal(answer.Data, data)
}

// query returns the series of an expression.
func (w *watcher) query(expr string) (series []string, err error) {
	var data struct{ Result []json.RawMessage }
	err = w.get("query?query="+url.QueryEscape(expr), &data)
	for _, r := range data.Result {
		series = append(series, string(r))
	}
	return series, err
}

// becomes waits until an expression has a number of series.
func (w *watcher) becomes(what, expr string, want int) {
	w.t.Helper()
	await(w.t, what+": "+expr, func() (any, bool) {
		series, err := w.query(expr)
		return fmt.Sprint(series, err), err == nil && len(series) == want
	})
}

// loaded waits until every rule of the files was evaluated without an error.
func (w *watcher) loaded() {
	w.t.Helper()
	want := 0
	for _, name := range []string{"rules.yml", "alerts.yml"} {
		raw, err := os.ReadFile(filepath.Join("../deploy/prometheus", name))
		if err != nil {
			w.t.Fatal(err)
		}
		want += len(regexp.MustCompile(`(?m)^ +- (alert|record): `).FindAll(raw, -1))
	}
	await(w.t, "the rules", func() (any, bool) {
		var data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
		err, good := w.get("rules", &data), 0
		for _, g := range data.Groups {
			for _, r := range g.Rules {
				if r.Health == "ok" {
					good++
				}
			}
		}
		return fmt.Sprintf("%d of %d are well, %v, %+v", good, want, err, data), err == nil && good == want && want > 0
	})
}

// firing waits until an alert fires, or does not any more.
func (w *watcher) firing(alert string, yes bool) {
	w.t.Helper()
	await(w.t, fmt.Sprintf("%s firing: %t", alert, yes), func() (any, bool) {
		series, err := w.query(fmt.Sprintf(`ALERTS{alertname=%q,alertstate="firing"}`, alert))
		return fmt.Sprint(series, err), err == nil && (len(series) > 0) == yes
	})
}

// families are the metrics of the reference, by kind and origin.
func families(t *testing.T, kind, origin string) (names []string) {
	t.Helper()
	raw, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(pilot_[a-z_]+)` \\| "+kind+" \\| [^|]* \\| "+origin+" \\|").FindAllStringSubmatch(string(raw), -1) {
		names = append(names, m[1])
	}
	if len(names) == 0 {
		t.Fatalf("the reference has no %s of the %s", kind, origin)
	}
	return names
}

// Prometheus watches a cluster whose members are paused, killed and restarted
// in turn: its rules load, its alerts fire and clear, no counter of the state
// goes down and no other without a new process, and members agree on the state.
func TestPrometheusWatchesALiveCluster(t *testing.T) {
	t.Parallel()
	onlyE2E(t, "needs prometheus")
	c := harness.Start(t, harness.Options{Members: 3})
	ready, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, n := range ready.Nodes {
		targets = append(targets, n.Ops)
	}
	w := watch(t, targets)
	w.becomes("all members are scraped", `up{job="pilot"} == 1`, 3)
	w.loaded()
	work := func() {
		t.Helper()
		wire := follower(t, c)
		defer wire.Close()
		for range 5 {
			if _, err := wire.Register(); err != nil {
				t.Fatal(err)
			}
		}
	}
	work()
	w.becomes("the registrations are seen", "pilot_registrations_total == 5", 3)
	w.withoutQuorum(c)
	w.firing("PilotMemberDown", false)
	w.firing("PilotNoLeader", false)
	leaderGone(t, c)
	work()
	r := &roller{Cluster: c, t: t}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, id := range r.followersFirst() {
		r.restart(ctx, id, syscall.SIGTERM)
	}
	work()
	w.becomes("all members are scraped again", `up{job="pilot"} == 1`, 3)
	w.becomes("and have what was done before", "pilot_registrations_total == 15", 3)
	w.judge()
}

// withoutQuorum pauses the leader and another member until that is noticed.
func (w *watcher) withoutQuorum(c *harness.Cluster) {
	w.t.Helper()
	ready, err := c.Ready()
	if err != nil {
		w.t.Fatal(err)
	}
	leader, _ := ready.LeaderNode()
	paused := []int{leader.PID}
	for _, n := range ready.Nodes {
		if n.ID != leader.ID && len(paused) < 2 {
			paused = append(paused, n.PID)
		}
	}
	signal := func(s syscall.Signal) {
		for _, pid := range paused {
			if err := syscall.Kill(pid, s); err != nil {
				w.t.Error(err)
			}
		}
	}
	signal(syscall.SIGSTOP)
	defer signal(syscall.SIGCONT)
	w.firing("PilotMemberDown", true)
	w.firing("PilotNoLeader", true)
}

// judge looks at everything that was scraped.
func (w *watcher) judge() {
	w.t.Helper()
	const since = "[30m]"
	for _, name := range families(w.t, "counter", "state") {
		w.becomes("a count of the state never falls", fmt.Sprintf("resets(%s%s) > 0", name, since), 0)
	}
	for _, name := range families(w.t, "counter", "process") {
		w.becomes("a count falls with its process only",
			fmt.Sprintf("resets(%s%s) > on (instance) group_left () changes(process_start_time_seconds%s)", name, since, since), 0)
	}
	for _, name := range append(families(w.t, "counter", "state"), families(w.t, "gauge", "state")...) {
		if strings.HasSuffix(name, "_seconds") { // time goes on between two scrapes
			continue
		}
		w.becomes("members agree", fmt.Sprintf("(max without (instance) (%s) != min without (instance) (%s)) or (count without (instance) (%s) != 3)", name, name, name), 0)
	}
}
