// SPDX-License-Identifier: Apache-2.0

//go:build linux

package soak

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// Line is a run in the file of results.
type Line struct {
	Seed       uint64        `json:"seed"`
	Length     time.Duration `json:"length"`
	Voters     int           `json:"voters"`
	NonVoters  int           `json:"nonvoters"`
	Kinds      []string      `json:"kinds,omitempty"`
	Commit     string        `json:"commit"`
	Go         string        `json:"go"`
	Began      time.Time     `json:"began"`
	Took       time.Duration `json:"took"`
	OK         int           `json:"ok"`
	Rejected   int           `json:"rejected"`
	Unknown    int           `json:"unknown"`
	Faults     int           `json:"faults"`
	FaultKinds int           `json:"fault_kinds"`
	Points     int           `json:"points"`
	PointsAll  int           `json:"points_all"`
	P50        time.Duration `json:"recovery_p50"`
	P99        time.Duration `json:"recovery_p99"`
	Outage50   time.Duration `json:"write_outage_p50"`
	Outage99   time.Duration `json:"write_outage_p99"`
	Gap        time.Duration `json:"longest_write_gap"`
	Violations int           `json:"violations"`
}

// Results is the file to which runs are appended, so that a series of seeds
// that was cut short can go on.
type Results struct {
	path  string
	lines []Line
}

// OpenResults reads the file, which need not be there.
func OpenResults(path string) (*Results, error) {
	r := &Results{path: path}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var l Line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		r.lines = append(r.lines, l)
	}
	return r, nil
}

// commit is what of the source the runs are of.
func commit() string {
	cmd := exec.Command("git", "describe", "--always", "--dirty")
	cmd.Dir = harness.Root()
	out, err := cmd.Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// Find looks for a run of this commit with the same seed, length and members.
func (r *Results) Find(c Config) (Line, bool) {
	at := commit()
	for _, l := range r.lines {
		if l.Seed == c.Seed && l.Length == c.Length && l.Voters == c.Voters && l.NonVoters == c.NonVoters && l.Commit == at && !strings.HasSuffix(at, "-dirty") && len(c.Kinds) == 0 {
			return l, true
		}
	}
	return Line{}, false
}

// Add appends a run.
func (r *Results) Add(res *Result) error {
	l := Line{Seed: res.Seed, Length: res.Length, Voters: res.Voters, NonVoters: res.NonVoters, Commit: commit(), Go: runtime.Version(),
		Began: res.Began, Took: res.Ended.Sub(res.Began), OK: res.OKs, Rejected: res.Rejected, Unknown: res.Unknown,
		FaultKinds: len(res.Faults), PointsAll: len(fault.Points), Points: len(fault.Points) - len(res.unreached()),
		P50: res.quantile(0.5), P99: res.quantile(0.99), Outage50: res.Outage50, Outage99: res.Outage99, Gap: res.Gap, Violations: len(res.Found)}
	for _, n := range res.Faults {
		l.Faults += n
	}
	r.lines = append(r.lines, l)
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	return errors.Join(err, f.Close())
}

// Print writes a table of all runs in the file.
func (r *Results) Print(out io.Writer) error {
	if len(r.lines) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nseed\tlength\tmembers\tops\tok\trejected\tunknown\tfaults\tkinds\tpoints\trecovery p50\tp99\toutage p50\tp99\tlongest\tviolations\t")
	for _, l := range slices.SortedFunc(slices.Values(r.lines), func(a, b Line) int { return a.Began.Compare(b.Began) }) {
		fmt.Fprintf(w, "%d\t%s\t%d+%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d/%d\t%s\t%s\t%s\t%s\t%s\t%d\t\n", l.Seed, l.Length, l.Voters, l.NonVoters, l.OK+l.Rejected+l.Unknown, l.OK, l.Rejected, l.Unknown,
			l.Faults, l.FaultKinds, l.Points, l.PointsAll, l.P50.Round(time.Millisecond), l.P99.Round(time.Millisecond),
			l.Outage50.Round(time.Millisecond), l.Outage99.Round(time.Millisecond), l.Gap.Round(time.Millisecond), l.Violations)
	}
	return w.Flush()
}
