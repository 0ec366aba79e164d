// SPDX-License-Identifier: Apache-2.0

//go:build linux

package soak

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
	"github.com/pilotregistry/pilotregistry/integration/fault/nemesis"
)

func TestMain(m *testing.M) {
	code := m.Run()
	lab.RemoveBinaries()
	os.Exit(code)
}

// TestAShortRun plays a plan of one period from its beginning to the page that
// shows it.
func TestAShortRun(t *testing.T) {
	if _, err := lab.Binary(lab.Build{}); err != nil { // building takes no time of the run's
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	plan := &nemesis.Plan{Seed: 3, Voters: 3, Kinds: []string{"kill-leader", "delay"}, Periods: []nemesis.Period{{
		Number: 1, CalmMS: 1000, FaultMS: 3000, Actions: []nemesis.Action{
			{Kind: "kill-leader", Target: "leader", AfterMS: 100, ForMS: 2000},
			{Kind: "delay", AfterMS: 200, ForMS: 2500, Args: map[string]int64{"ms": 10, "jitter_ms": 5}}}}}}
	dir, err := os.MkdirTemp("", "pilot-soak-") // short: it holds sockets
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	r, err := Run(ctx, Config{Seed: 3, Dir: dir, Plan: plan, Out: &said})
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	for _, found := range r.Found {
		t.Error(found)
	}
	if r.Acked == 0 || r.Faults["kill-leader"] != 1 || r.Faults["delay"] != 1 || r.Exits[lab.Killed] != 1 || len(r.Rounds) != 1 || r.Rounds[0].Converged == 0 {
		t.Errorf("the run did not do what was planned: %+v", r)
	}
	if r.Check == nil || r.Check.Replay.Writes < r.Acked || r.Check.Linear.Keys == 0 {
		t.Errorf("the checkers did not look at everything: %+v", r.Check)
	}
	page, err := os.ReadFile(filepath.Join(r.Dir, "report.html"))
	if err != nil || !bytes.Contains(page, []byte("kill-leader")) {
		t.Errorf("the page does not show the fault: %v", err)
	}
	var table bytes.Buffer
	if err := r.Print(&table); err != nil || !strings.Contains(table.String(), "points reached") {
		t.Errorf("table %q, error %v", table.String(), err)
	}
	if t.Failed() {
		t.Logf("artefacts in %s\n%s", dir, said.String())
		return
	}
	os.RemoveAll(dir)
}

// TestARunThatDidTooLittleFails: green without work is what must not happen.
func TestARunThatDidTooLittleFails(t *testing.T) {
	plan := &nemesis.Plan{Kinds: []string{"kill-one", "delay"}, Periods: []nemesis.Period{{}, {}}}
	cut := &Session{cfg: &Config{Length: 10 * time.Minute, Plan: plan}, result: &Result{Rounds: []nemesis.Round{{}}}}
	cut.work()
	if cut.result.OK() {
		t.Error("a run that was cut short passes")
	}
	lazy := &Session{cfg: &Config{Length: 10 * time.Minute, Plan: plan}, result: &Result{Rounds: []nemesis.Round{{}, {}}, Faults: map[string]int{"delay": 1}}}
	lazy.work()
	if len(lazy.result.Found) != 1 || !strings.Contains(lazy.result.Found[0], "kill-one") {
		t.Errorf("a run without one kind of fault: %v", lazy.result.Found)
	}
}

// TestResultsGoOnWhereTheyWere: a seed that the file has is found again.
func TestResultsGoOnWhereTheyWere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.jsonl")
	for seed := range uint64(3) {
		r, err := OpenResults(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.lines) != int(seed) {
			t.Fatalf("%d lines, want %d", len(r.lines), seed)
		}
		if err := r.Add(&Result{Seed: seed, Length: time.Minute, Voters: 3, OKs: 7, Found: []string{"x"}}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := OpenResults(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.lines {
		r.lines[i].Commit = commit()
	}
	line, ok := r.Find(Config{Seed: 2, Length: time.Minute, Voters: 3})
	if dirty := strings.HasSuffix(commit(), "-dirty"); ok == dirty || ok && (line.Violations != 1 || line.OK != 7) {
		t.Errorf("found %v %+v in a tree that is dirty: %v", ok, line, dirty)
	}
	if _, ok := r.Find(Config{Seed: 9, Length: time.Minute, Voters: 3}); ok {
		t.Error("a seed that never ran was found")
	}
}
