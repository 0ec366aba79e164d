// SPDX-License-Identifier: Apache-2.0

package report

import (
	"embed"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
)

// Fault is something that was done to the cluster. Times here are those of
// the history's clock, in nanoseconds.
type Fault struct {
	Kind   string `json:"kind"`
	Target string `json:"target"`
	Start  int64  `json:"start"`
	// End is when it was taken back; equal to Start for what is over at once.
	End    int64  `json:"end"`
	Detail string `json:"detail,omitempty"`
}

// LeaderChange is the moment at which a member was first seen leading; Member
// is empty while nobody leads.
type LeaderChange struct {
	At     int64  `json:"at"`
	Member string `json:"member"`
	Term   uint64 `json:"term,omitempty"`
}

// Meta is what has to be known to run the same again.
type Meta struct {
	Title     string    `json:"title"`
	Seed      uint64    `json:"seed"`
	Commit    string    `json:"commit"`
	GoVersion string    `json:"go_version"`
	Started   time.Time `json:"started"`
	// Found is what was wrong beside what the checkers found.
	Found []string `json:"found,omitempty"`
	// Notes are further lines, such as what was not tested and why.
	Notes []string `json:"notes,omitempty"`
}

// Run is everything that the page shows.
type Run struct {
	Meta    Meta
	Ops     []history.Op
	Faults  []Fault
	Leaders []LeaderChange
	// Result is the verdict, nil when nothing was checked.
	Result *check.Result
}

//go:embed page.html
var pages embed.FS

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"ms": func(d time.Duration) string { return d.Round(time.Millisecond).String() },
}).ParseFS(pages, "page.html"))

// view is what the template draws.
type view struct {
	Meta
	Checked    bool
	Passed     bool
	Summary    Summary
	Workloads  []workloadRow
	FaultKinds []kindRow
	Timeline   *timeline
	Violations []check.Violation
	Totals     []ruleRow
	Keys       []keyHistory
	Coverage   string
}

// Render writes the page.
func Render(w io.Writer, r *Run) error {
	v := &view{Meta: r.Meta, Summary: Summarize(r), Workloads: workloads(r.Ops), FaultKinds: kinds(r), Timeline: draw(r)}
	if r.Result != nil {
		v.Checked, v.Passed = true, r.Result.OK() && len(r.Meta.Found) == 0
		v.Violations, v.Totals = r.Result.Violations, rules(r.Result)
		v.Keys = keys(r)
		v.Coverage = coverage(r.Result)
	}
	return page.Execute(w, v)
}

// Write writes the page to a file, whole or not at all.
func Write(path string, r *Run) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".report-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone already when all went well
	if err := Render(tmp, r); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Chmod(tmp.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
