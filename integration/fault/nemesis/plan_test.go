// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nemesis

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func plan(t *testing.T, seed uint64, length time.Duration) *Plan {
	t.Helper()
	var names []string
	for _, k := range Kinds() {
		names = append(names, k.Name)
	}
	p, err := NewPlan(PlanOptions{Seed: seed, Voters: 3, Length: length, Kinds: names})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestASeedMakesOnePlan(t *testing.T) {
	one := plan(t, 7, 10*time.Minute)
	if !bytes.Equal(one.JSON(), plan(t, 7, 10*time.Minute).JSON()) {
		t.Error("one seed made two plans")
	}
	if bytes.Equal(one.JSON(), plan(t, 8, 10*time.Minute).JSON()) {
		t.Error("two seeds made one plan")
	}
	path := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(path, one.JSON(), 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := ReadPlan(path)
	if err != nil || !bytes.Equal(read.JSON(), one.JSON()) {
		t.Errorf("a plan is not what was written: error %v", err)
	}
}

func TestPlansKeepTheirRules(t *testing.T) {
	for seed := range uint64(50) {
		p := plan(t, seed, 10*time.Minute)
		used, free := map[string]bool{}, 0
		for _, period := range p.Periods {
			if len(period.Actions) == 0 {
				free++
			}
			if len(period.Actions) > maxAtOnce {
				t.Errorf("seed %d: %d faults at once", seed, len(period.Actions))
			}
			groups := map[string]int{}
			for _, a := range period.Actions {
				k := kindByName(a.Kind)
				used[k.Name] = true
				if groups[k.group]++; groups[k.group] > groupLimit(k.group) {
					t.Errorf("seed %d period %d: too many faults of group %s", seed, period.Number, k.group)
				}
				if k.solo && len(period.Actions) > groups[groupNet]+1 {
					for _, b := range period.Actions {
						if o := kindByName(b.Kind); o != k && o.group != groupNet {
							t.Errorf("seed %d period %d: %s beside %s", seed, period.Number, o.Name, k.Name)
						}
					}
				}
				if a.AfterMS < 0 || a.ForMS <= 0 || a.AfterMS+a.ForMS > period.FaultMS {
					t.Errorf("seed %d period %d: %+v does not fit into %d ms", seed, period.Number, a, period.FaultMS)
				}
			}
		}
		if n := len(p.Periods); free < n/4-1 || free > n/4+1 {
			t.Errorf("seed %d: %d of %d periods are free of faults, want a quarter", seed, free, n)
		}
		for _, k := range Kinds() {
			if !used[k.Name] {
				t.Errorf("seed %d: ten minutes have no %s", seed, k.Name)
			}
		}
	}
}

func TestKindsAreDescribed(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kinds() {
		if k.Name == "" || k.Doc == "" || k.group == "" || k.run == nil || seen[k.Name] {
			t.Errorf("kind %+v", k)
		}
		seen[k.Name] = true
	}
	if len(seen) < 50 {
		t.Errorf("there are only %d kinds", len(seen))
	}
}
