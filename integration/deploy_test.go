// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// metricNames are the metrics of the reference.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	raw, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(pilot_[a-z_]+)` \\| (\\w+) ").FindAllStringSubmatch(string(raw), -1) {
		names[m[1]] = true
		if m[2] == "histogram" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				names[m[1]+suffix] = true
			}
		}
	}
	if len(names) == 0 {
		t.Fatal("the reference of metrics has none")
	}
	return names
}

// Rules, alerts and dashboards ask for metrics that exist.
func TestDeployNamesRealMetrics(t *testing.T) {
	t.Parallel()
	known := metricNames(t)
	boards := 0
	dashboards, err := filepath.Glob("../deploy/grafana/*")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../deploy/prometheus/*")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, dashboards...)
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, ".json") {
			boards++
			var board struct {
				UID, Title string
				Panels     []struct{ Targets []struct{ Expr string } }
			}
			if err := json.Unmarshal(raw, &board); err != nil || board.UID == "" || board.Title == "" || len(board.Panels) == 0 {
				t.Errorf("%s is not a dashboard: %v", path, err)
			}
			for _, p := range board.Panels {
				if len(p.Targets) == 0 || slices.ContainsFunc(p.Targets, func(x struct{ Expr string }) bool { return x.Expr == "" }) {
					t.Errorf("%s has a panel that asks for nothing", path)
				}
			}
		}
		// A colon before the name makes it a rule's own.
		for _, m := range regexp.MustCompile(`(:?)\b(pilot_[a-z_]+)\b`).FindAllStringSubmatch(string(raw), -1) {
			if m[1] == "" && !known[m[2]] && !strings.Contains(path, "scrape") {
				t.Errorf("%s asks for %s, which does not exist", path, m[2])
			}
		}
	}
	if boards < 4 {
		t.Errorf("%d dashboards", boards)
	}
}

// Every alert has a runbook, and every runbook is of an alert.
func TestEveryAlertHasARunbook(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../deploy/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	books, err := filepath.Glob("../docs/runbooks/*.md")
	if err != nil || len(books) == 0 {
		t.Fatal(books, err)
	}
	for _, m := range regexp.MustCompile(`(?s)- alert: (\w+)\n.*?runbook: (\S+)\n`).FindAllStringSubmatch(string(raw), -1) {
		book, err := os.ReadFile(filepath.Join("..", m[2]))
		if err != nil || !strings.HasPrefix(string(book), "# "+m[1]+"\n") {
			t.Errorf("%s: %s is not its runbook: %v", m[1], m[2], err)
		}
		books = slices.DeleteFunc(books, func(b string) bool { return b == filepath.Join("..", m[2]) })
	}
	if alerts := strings.Count(string(raw), "- alert: "); alerts != strings.Count(string(raw), "runbook: ") {
		t.Errorf("%d alerts, not all with a runbook", alerts)
	}
	for _, b := range books {
		t.Errorf("%s is the runbook of no alert", b)
	}
}

// Prometheus' own tool loads the rules and plays their tests.
func TestPrometheusRules(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("needs promtool (Debian: apt-get install prometheus)")
	}
	for _, args := range [][]string{{"check", "rules", "rules.yml", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.CommandContext(t.Context(), tool, args...)
		cmd.Dir = "../deploy/prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
