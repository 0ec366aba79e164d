// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// The bounds of a measurement: it is a look, not an attack.
const (
	benchLongest = time.Minute
	benchClients = 64
)

// benchReport is what a measurement found.
type benchReport struct {
	Operation string  `json:"operation"`
	Clients   int     `json:"clients"`
	Seconds   float64 `json:"seconds"`
	Done      int     `json:"done"`
	Failed    int     `json:"failed"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P95       float64 `json:"p95_ms"`
	P99       float64 `json:"p99_ms"`
	Longest   float64 `json:"longest_ms"`
	Error     string  `json:"first_error,omitempty"`
}

// benchCommand measures how fast a cluster answers.
func benchCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Short: "measure how fast the cluster answers", Args: exactly(0), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Measure how fast the cluster answers: reads by default, or writes.\n\n" +
			"A read asks whether two nodes trust each other. A write adds one to the own node's polo score or takes it away\n" +
			"again, in turns. It lasts a minute at most. Other machines than this one need --remote.",
		Example: "  pilotctl bench --duration 5s --clients 8\n  pilotctl bench --op write --duration 5s"}
	op := cmd.Flags().String("op", "read", "read or write")
	duration := cmd.Flags().Duration("duration", 3*time.Second, "how long, at most 1m")
	clients := cmd.Flags().Int("clients", 4, "how many ask at once, at most 64")
	remote := cmd.Flags().Bool("remote", false, "load other machines than this one")
	must(cmd.RegisterFlagCompletionFunc("op", cobra.FixedCompletions([]cobra.Completion{"read", "write"}, cobra.ShellCompDirectiveNoFileComp)))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case *op != "read" && *op != "write":
			return usagef(cmd, "invalid --op %q: want read or write", *op)
		case *duration < 100*time.Millisecond || *duration > benchLongest:
			return usagef(cmd, "invalid --duration %v: want 100ms to 1m", *duration)
		case *clients < 1 || *clients > benchClients:
			return usagef(cmd, "invalid --clients %d: want 1 to %d", *clients, benchClients)
		}
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		if addr := elsewhere(s.opts.Addrs); addr != "" && !*remote {
			return &failure.Error{Err: fmt.Errorf("%s is another machine", addr), Code: protocol.CodeInvalid, Exit: failure.Usage,
				Hint: "add --remote if that cluster is meant to be loaded"}
		}
		report, err := s.bench(*op, *duration, *clients)
		if err != nil {
			return err
		}
		return a.printValue(report, &benchReport{})
	}
	return cmd
}

// elsewhere is an address that is not of this machine, "" when there is none.
func elsewhere(addrs []string) string {
	for _, a := range addrs {
		host, _, err := net.SplitHostPort(strings.TrimSpace(a))
		if err != nil {
			host = a
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return a
		}
	}
	return ""
}

// bench asks from several clients at once until the time is over.
func (s *session) bench(op string, duration time.Duration, clients int) (*benchReport, error) {
	own := s.ownNode()
	if op == "write" {
		var err error
		if own, err = s.node(); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(s.cmd.Context(), duration)
	defer cancel()
	report := &benchReport{Operation: op, Clients: clients}
	var mu sync.Mutex
	var took []time.Duration
	var all sync.WaitGroup
	began := time.Now()
	for range clients {
		all.Go(func() {
			turn := 0
			for ; ctx.Err() == nil; turn++ {
				at := time.Now()
				err := s.once(op, own, turn)
				mu.Lock()
				took = report.note(err, took, time.Since(at))
				mu.Unlock()
				if errors.Is(err, client.ErrRejected) {
					return // it will not get better
				}
			}
			if op == "write" && turn%2 == 1 { // what was added is taken away again
				_ = s.once(op, own, turn) // the report is of what was measured
			}
		})
	}
	at, done := progress(s.app, "ms", duration.Milliseconds())
	stop := make(chan struct{})
	go func() { all.Wait(); close(stop) }()
	for waiting := true; waiting; {
		select {
		case <-stop:
			waiting = false
		case <-time.After(100 * time.Millisecond):
			at(time.Since(began).Milliseconds())
		}
	}
	done()
	report.sum(took, time.Since(began))
	return report, nil
}

// once sends one request. Each has its own time, so that a write that was sent
// is also answered.
func (s *session) once(op string, own uint32, turn int) error {
	ctx, cancel := context.WithTimeout(s.cmd.Context(), s.flags.timeout)
	defer cancel()
	if op == "read" {
		_, err := s.client.CheckTrust(ctx, max(own, 1), max(own, 1)+1)
		return err
	}
	_, err := s.client.UpdatePoloScore(ctx, own, int64(1-2*(turn%2)))
	return err
}

// note counts one answer.
func (r *benchReport) note(err error, took []time.Duration, d time.Duration) []time.Duration {
	if err == nil {
		return append(took, d)
	}
	r.Failed++
	if r.Error == "" {
		r.Error = clean(err.Error())
	}
	return took
}

func (r *benchReport) sum(took []time.Duration, over time.Duration) {
	r.Seconds = round(over.Seconds())
	r.Done = len(took)
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	at := func(part float64) float64 {
		return round(float64(took[int(part*float64(len(took)-1))]) / float64(time.Millisecond))
	}
	r.PerSecond = round(float64(len(took)) / over.Seconds())
	r.P50, r.P95, r.P99, r.Longest = at(0.5), at(0.95), at(0.99), at(1)
}

func round(f float64) float64 { return float64(int64(f*1000+0.5)) / 1000 }
