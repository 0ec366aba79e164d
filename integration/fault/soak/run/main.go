// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command run soaks a cluster under faults, seed after seed: see package soak.
//
// Promise: seeds that the results file already has are not run again, so that
// a series that was cut short continues where it stopped. It ends with 1 when
// anything was found.
//
// Non-goals: it builds nothing but the members' binaries.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
	"github.com/pilotregistry/pilotregistry/integration/fault/nemesis"
	"github.com/pilotregistry/pilotregistry/integration/fault/soak"
)

type options struct {
	length   time.Duration
	seeds    string
	voters   int
	others   int
	dir      string
	results  string
	kinds    string
	plan     string
	binary   string
	next     string
	keep     bool
	planOnly bool
	list     bool
}

func env(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}

func parse() (*options, error) {
	o := &options{}
	length, err := time.ParseDuration(env("SOAK", "10m"))
	if err != nil {
		return nil, fmt.Errorf("SOAK: %w", err)
	}
	voters, err := strconv.Atoi(env("SOAK_NODES", "3"))
	if err != nil {
		return nil, fmt.Errorf("SOAK_NODES: %w", err)
	}
	others, err := strconv.Atoi(env("SOAK_NONVOTERS", "0"))
	if err != nil {
		return nil, fmt.Errorf("SOAK_NONVOTERS: %w", err)
	}
	flag.DurationVar(&o.length, "length", length, "about how long a run takes [SOAK]")
	flag.StringVar(&o.seeds, "seeds", env("SOAK_SEED", ""), "seeds, as in 1,2,5-9; a fresh one when empty [SOAK_SEED]")
	flag.IntVar(&o.voters, "nodes", voters, "members with a vote [SOAK_NODES]")
	flag.IntVar(&o.others, "nonvoters", others, "members without a vote [SOAK_NONVOTERS]")
	flag.StringVar(&o.dir, "dir", env("SOAK_DIR", "soak"), "directory of artefacts [SOAK_DIR]")
	flag.StringVar(&o.results, "results", env("SOAK_RESULTS", ""), "file to which results are appended; results.jsonl in dir when empty [SOAK_RESULTS]")
	flag.StringVar(&o.kinds, "kinds", env("SOAK_KINDS", ""), "kinds of faults, separated by commas; all that can be used here when empty [SOAK_KINDS]")
	flag.StringVar(&o.plan, "plan", "", "play this plan again")
	flag.StringVar(&o.binary, "binary", "", "binary of the members, built with the tag faults; built when empty")
	flag.StringVar(&o.next, "next", "", "binary that members are rolled to; built when empty")
	flag.BoolVar(&o.keep, "keep", false, "keep artefacts also when nothing was found")
	flag.BoolVar(&o.planOnly, "print-plan", false, "print the plans and run nothing")
	flag.BoolVar(&o.list, "list", false, "list the kinds of faults")
	flag.Parse()
	if o.results == "" {
		o.results = o.dir + "/results.jsonl"
	}
	return o, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse()
	switch {
	case err != nil:
	case os.Getenv(lab.NamespaceVariable) != "":
		if err = lab.PrepareNamespace(ctx); err == nil {
			err = o.run(ctx)
		}
	case lab.NoNamespace() == "" && !o.planOnly && !o.list:
		os.Exit(again(ctx))
	default:
		err = o.run(ctx)
	}
	lab.RemoveBinaries()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// again runs this command in a new network namespace, where packets can
// be dropped without anybody else noticing, and returns its exit code. The
// modules that the members' binaries need are fetched before: the namespace
// leads nowhere.
func again(ctx context.Context) int {
	if out, err := exec.CommandContext(ctx, "go", "mod", "download").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "soak: go mod download: %v\n%s", err, out)
		return 1
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		return 1
	}
	cmd := exec.Command(self, os.Args[1:]...) // a signal reaches the whole group, and this waits
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err = lab.InNamespace(cmd)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		return 1
	}
	return 0
}

func (o *options) run(ctx context.Context) error {
	for _, k := range nemesis.Kinds() {
		switch {
		case o.list:
			fmt.Printf("%-22s %s\n", k.Name, k.Doc)
		case k.Missing() != "":
			fmt.Printf("left out: %s (%s): %s\n", k.Name, k.Doc, k.Missing())
		}
	}
	if o.list {
		return nil
	}
	seeds, err := parseSeeds(o.seeds)
	if err != nil {
		return err
	}
	results, err := soak.OpenResults(o.results)
	if err != nil {
		return err
	}
	bad := 0
	for _, seed := range seeds {
		c := soak.Config{Seed: seed, Length: o.length, Voters: o.voters, NonVoters: o.others, Dir: o.dir, Binary: o.binary, Next: o.next, Keep: o.keep, Out: os.Stdout}
		if o.kinds != "" {
			c.Kinds = strings.Split(o.kinds, ",")
		}
		ok, err := o.one(ctx, c, results)
		if err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
		if !ok {
			bad++
		}
	}
	if err := results.Print(os.Stdout); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d runs found something", bad, len(seeds))
	}
	return nil
}

// one runs one seed, or tells that it was run already.
func (o *options) one(ctx context.Context, c soak.Config, results *soak.Results) (bool, error) {
	if o.plan != "" {
		plan, err := nemesis.ReadPlan(o.plan)
		if err != nil {
			return false, err
		}
		c.Plan, c.Seed, c.Voters, c.NonVoters = plan, plan.Seed, plan.Voters, plan.NonVoters
	}
	if o.planOnly {
		plan, err := nemesis.NewPlan(nemesis.PlanOptions{Seed: c.Seed, Voters: c.Voters, NonVoters: c.NonVoters, Length: c.Length, Kinds: c.Kinds})
		if err != nil {
			return false, err
		}
		_, err = os.Stdout.Write(plan.JSON())
		return true, err
	}
	if done, ok := results.Find(c); ok && o.plan == "" {
		fmt.Printf("seed %d was run before: %d violations\n", c.Seed, done.Violations)
		return done.Violations == 0, nil
	}
	fmt.Printf("seed %d: play it again with SOAK=%s SOAK_SEED=%d SOAK_NODES=%d SOAK_NONVOTERS=%d make soak\n", c.Seed, c.Length, c.Seed, c.Voters, c.NonVoters)
	r, err := soak.Run(ctx, c)
	if err != nil {
		return false, err
	}
	if err := r.Print(os.Stdout); err != nil {
		return false, err
	}
	return r.OK(), results.Add(r)
}

// parseSeeds reads 1,2,5-9. Without any the time gives one, which is printed.
func parseSeeds(text string) ([]uint64, error) {
	if text == "" {
		return []uint64{uint64(time.Now().UnixMilli()) % 1e9}, nil
	}
	var out []uint64
	for _, part := range strings.Split(text, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		low, err := strconv.ParseUint(from, 10, 64)
		high := low
		if isRange {
			var errTo error
			high, errTo = strconv.ParseUint(to, 10, 64)
			err = errors.Join(err, errTo)
		}
		if err != nil || high < low || high-low > 10000 {
			return nil, fmt.Errorf("%q is not a seed or a range of seeds", part)
		}
		for s := low; s <= high; s++ {
			out = append(out, s)
		}
	}
	return out, nil
}
