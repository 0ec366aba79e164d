// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nemesis

import (
	"context"
	"math/rand/v2"
	"slices"
)

// Kind is one way in which things go wrong.
type Kind struct {
	Name string
	// Doc says in a line what happens.
	Doc string

	// group holds kinds that must not come together in one period.
	group  string
	target string
	// args draws the kind's own numbers; rest is how long the action can last.
	args func(r *rand.Rand, a *Action, rest int64)
	// run makes it happen, returns when ctx ends, or before, and takes it back.
	run func(ctx context.Context, e *env, a Action) error
	// solo kinds leave nobody up for others to hit: they go with network faults only.
	solo bool
	// missing says why the kind cannot be used here; empty when it can.
	missing func() string
}

// Groups of kinds. Of most a period has one at a time: two faults that each
// leave a majority could together leave none that ever comes back.
const (
	groupNet     = "network"
	groupProcess = "process"
	groupClock   = "clock"
	groupDisk    = "disk"
	groupData    = "data" // damage, members, rolls: they change who has which data
	groupLead    = "leadership"
	groupPoint   = "points"
)

func groupLimit(group string) int {
	if group == groupNet {
		return 2
	}
	return 1
}

// Targets of actions.
const (
	targetLeader   = "leader"
	targetOne      = "one"
	targetMinority = "minority"
	targetMajority = "majority"
	targetAll      = "all"
)

// Kinds are all there are, in a fixed order.
func Kinds() []*Kind { return all }

var all = slices.Concat(processKinds, networkKinds, clockKinds, diskKinds, rotKinds, memberKinds, pointKinds, termKinds, rootKinds, firewallKinds)

// Usable are the kinds that can be used here.
func Usable() []*Kind {
	var out []*Kind
	for _, k := range all {
		if k.Missing() == "" {
			out = append(out, k)
		}
	}
	return out
}

// Missing says why the kind cannot be used here; empty when it can.
func (k *Kind) Missing() string {
	if k.missing == nil {
		return ""
	}
	return k.missing()
}

func kindByName(name string) *Kind {
	for _, k := range all {
		if k.Name == name {
			return k
		}
	}
	return nil
}

// between draws a number for an argument.
func between(name string, low, high int64) func(*rand.Rand, *Action, int64) {
	return func(r *rand.Rand, a *Action, _ int64) { a.Args[name] = low + r.Int64N(high-low+1) }
}

// each draws several arguments.
func each(draws ...func(*rand.Rand, *Action, int64)) func(*rand.Rand, *Action, int64) {
	return func(r *rand.Rand, a *Action, rest int64) {
		for _, d := range draws {
			d(r, a, rest)
		}
	}
}
