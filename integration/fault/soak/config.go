// SPDX-License-Identifier: Apache-2.0

//go:build linux

package soak

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
	"github.com/pilotregistry/pilotregistry/integration/fault/nemesis"
)

// Config says what to run.
type Config struct {
	Seed uint64
	// Length is about how long the plan takes.
	Length time.Duration
	// Voters is 3 when 0.
	Voters, NonVoters int
	// Dir receives a folder per run; a temporary one when empty.
	Dir string
	// Binary is the members' binary, Next the one they are rolled to; both are
	// built when empty.
	Binary, Next string
	// Kinds of faults; all that can be used here when nil.
	Kinds []string
	// Plan is played instead of one made from the seed; may be nil.
	Plan *nemesis.Plan
	// Workloads by name; all when nil.
	Workloads []string
	// Clients and Rate (operations per second) of all workloads together.
	Clients int
	Rate    float64
	// Keep leaves everything in Dir also when nothing was found.
	Keep bool
	// Out is told what happens.
	Out io.Writer
}

// Least work that makes a run mean something.
const (
	// MinRate is how many operations per second must end before each fault.
	MinRate = 200
	// everyKindFrom is the length from which on every kind must have been used.
	everyKindFrom = 10 * time.Minute
	// minCoverage is the share of replies that must be held against the log.
	minCoverage = 0.95
)

// settings of the members: snapshots and compaction happen all the time, and
// receivers of webhooks and exports are on this machine.
var settings = []string{"outbound.allow_loopback=true", "raft.snapshot_threshold=64", "raft.trailing_logs=16", "raft.snapshot_interval=1s", "log.level=info"}

func (c *Config) setDefaults() error {
	if c.Voters == 0 {
		c.Voters = 3
	}
	if c.Length == 0 {
		c.Length = 2 * time.Minute
	}
	if c.Clients == 0 {
		c.Clients = 24
	}
	if c.Rate == 0 {
		c.Rate = 400
	}
	if c.Out == nil {
		c.Out = io.Discard
	}
	var err error
	if c.Dir == "" {
		if c.Dir, err = os.MkdirTemp("", "pilot-soak-"); err != nil {
			return err
		}
	}
	c.Dir = filepath.Join(c.Dir, fmt.Sprintf("seed-%d", c.Seed))
	if err := os.RemoveAll(c.Dir); err != nil { // of a run that was cut short
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return err
	}
	if c.Binary == "" {
		if c.Binary, err = lab.Binary(lab.Build{}); err != nil {
			return err
		}
	}
	if c.Plan == nil {
		o := nemesis.PlanOptions{Seed: c.Seed, Voters: c.Voters, NonVoters: c.NonVoters, Length: c.Length, Kinds: c.Kinds}
		if c.Plan, err = nemesis.NewPlan(o); err != nil {
			return err
		}
	}
	if c.Next == "" && c.Plan.Uses("roll") {
		c.Next, err = lab.Binary(lab.Build{Version: "next"})
	}
	return err
}

func (c *Config) say(format string, args ...any) {
	fmt.Fprintf(c.Out, "%s %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}
