// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nemesis

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

// Action is one fault in a plan.
type Action struct {
	Kind string `json:"kind"`
	// Target says whom it hits: leader, one, minority, majority, all. Whoever
	// that is, is found out when the action begins; Pick decides between equals.
	Target string `json:"target,omitempty"`
	Pick   uint64 `json:"pick"`
	// AfterMS is when it begins in its period's faulty time, ForMS how long it lasts.
	AfterMS int64 `json:"after_ms"`
	ForMS   int64 `json:"for_ms"`
	// Args are the kind's own numbers.
	Args map[string]int64 `json:"args,omitempty"`
}

// Period is one round: calm, faults, healing.
type Period struct {
	Number  int      `json:"number"`
	CalmMS  int64    `json:"calm_ms"`
	FaultMS int64    `json:"fault_ms"`
	Actions []Action `json:"actions,omitempty"`
}

// Plan is what happens to a cluster.
type Plan struct {
	Seed      uint64   `json:"seed"`
	Voters    int      `json:"voters"`
	NonVoters int      `json:"nonvoters"`
	Kinds     []string `json:"kinds"`
	Periods   []Period `json:"periods"`
}

// PlanOptions say what plan to make.
type PlanOptions struct {
	Seed              uint64
	Voters, NonVoters int
	// Length is about how long the plan takes.
	Length time.Duration
	// Kinds to choose from; all that can be used here when nil.
	Kinds []string
}

// Times of a period. Healing takes about as long as healTime, so that a
// plan's length can be foreseen.
const (
	calmTime     = 2500 * time.Millisecond
	minFaultTime = 6 * time.Second
	maxFaultTime = 10 * time.Second
	healTime     = time.Second
	maxAtOnce    = 3
	// freeOf is N when one of every N periods has no faults.
	freeOf = 4
)

// NewPlan makes a plan. Kinds are drawn like cards: none comes again before
// all others came once, and a long plan has room for all of them.
func NewPlan(o PlanOptions) (*Plan, error) {
	if o.Kinds == nil {
		for _, k := range Usable() {
			o.Kinds = append(o.Kinds, k.Name)
		}
	}
	for _, name := range o.Kinds {
		if kindByName(name) == nil {
			return nil, fmt.Errorf("there is no fault of kind %q", name)
		}
	}
	p := &Plan{Seed: o.Seed, Voters: o.Voters, NonVoters: o.NonVoters, Kinds: slices.Clone(o.Kinds)}
	d := &deck{rng: rand.New(rand.NewPCG(o.Seed, 0x6e656d65736973)), kinds: p.Kinds}
	count := max(1, int(o.Length/(calmTime+(minFaultTime+maxFaultTime)/2+healTime)))
	for i := range count {
		if i%freeOf == 0 {
			d.free = i + d.rng.IntN(freeOf)
		}
		p.Periods = append(p.Periods, d.period(i, count))
	}
	return p, nil
}

// deck deals kinds to periods.
type deck struct {
	rng   *rand.Rand
	kinds []string
	cards []string
	dealt map[string]bool
	free  int // number of the next period without faults
}

func (d *deck) period(i, count int) Period {
	p := Period{Number: i + 1, CalmMS: calmTime.Milliseconds()}
	p.FaultMS = (minFaultTime + time.Duration(d.rng.Int64N(int64(maxFaultTime-minFaultTime)))).Milliseconds()
	if i == d.free && count >= freeOf {
		p.FaultMS /= 2
		return p
	}
	want := 1 + d.rng.IntN(maxAtOnce)
	if left := max(1, (count-i)*(freeOf-1)/freeOf); len(d.kinds)-len(d.dealt) > left*want {
		want = min(maxAtOnce, (len(d.kinds)-len(d.dealt)+left-1)/left)
	}
	groups := map[string]int{}
	for len(p.Actions) < want {
		k := d.draw(groups)
		if k == nil {
			break
		}
		p.Actions = append(p.Actions, d.action(k, p.FaultMS))
	}
	return p
}

// draw takes the first card that goes with what the period has already.
func (d *deck) draw(groups map[string]int) *Kind {
	for range 2 {
		for i, name := range d.cards {
			k := kindByName(name)
			if groups[k.group] >= groupLimit(k.group) || k.group != groupNet && (k.solo && others(groups) || groups["solo"] > 0) {
				continue
			}
			if k.solo {
				groups["solo"]++
			}
			groups[k.group]++
			d.cards = slices.Delete(d.cards, i, i+1)
			if d.dealt == nil {
				d.dealt = map[string]bool{}
			}
			d.dealt[name] = true
			return k
		}
		fresh := slices.Clone(d.kinds)
		d.rng.Shuffle(len(fresh), func(i, j int) { fresh[i], fresh[j] = fresh[j], fresh[i] })
		d.cards = append(d.cards, fresh...)
	}
	return nil
}

// others reports whether a period has anything but network faults.
func others(groups map[string]int) bool {
	for group, n := range groups {
		if group != groupNet && n > 0 {
			return true
		}
	}
	return false
}

func (d *deck) action(k *Kind, faultMS int64) Action {
	a := Action{Kind: k.Name, Target: k.target, Pick: d.rng.Uint64()}
	a.AfterMS = d.rng.Int64N(faultMS / 5)
	rest := faultMS - a.AfterMS
	a.ForMS = rest/2 + d.rng.Int64N(rest/2+1)
	if k.args != nil {
		a.Args = map[string]int64{}
		k.args(d.rng, &a, rest)
	}
	return a
}

// Uses reports whether the plan has an action of a kind.
func (p *Plan) Uses(kind string) bool {
	for _, period := range p.Periods {
		for _, a := range period.Actions {
			if a.Kind == kind {
				return true
			}
		}
	}
	return false
}

// JSON prints the plan.
func (p *Plan) JSON() []byte {
	raw, err := json.MarshalIndent(p, "", " ")
	if err != nil { // strings and numbers always encode
		panic(err)
	}
	return append(raw, '\n')
}

// ReadPlan reads a plan that was printed.
func ReadPlan(path string) (*Plan, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var p Plan
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, period := range p.Periods {
		for _, a := range period.Actions {
			if kindByName(a.Kind) == nil {
				return nil, fmt.Errorf("%s: there is no fault of kind %q", path, a.Kind)
			}
		}
	}
	return &p, nil
}
