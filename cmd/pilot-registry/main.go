// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/flagtext"
)

func main() {
	// All of them drain; a second one ends at once.
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	os.Exit(execute(ctx, os.Args[1:]))
}

// exitError carries an exit code through cobra.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func execute(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "error:", err)
	if exit := (*exitError)(nil); errors.As(err, &exit) {
		return exit.code
	}
	return 1
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "pilot-registry",
		Short: "A member of a Pilot registry cluster",
		Long: `pilot-registry runs a member of a Pilot registry cluster and manages the member on this machine.

A first cluster on one machine:     pilot-registry dev --members 3 --data-dir ./data
A first member of a real cluster:   pilot-registry init, then pilot-registry run
Another member:                     pilot-registry join --token …, then pilot-registry run

Exit codes: 0 stopped in good order, 1 failed, 5 not done because there is no quorum or the member cannot do
it now, 7 it may or may not have been done, 75 the disk or the log stalled or failed (starting again
may help), 78 the data directory must not be used or needs a newer version (starting again will not help).`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return errors.New(flagtext.Problem(err)) })
	root.AddCommand(newRun(), newInit(), newJoin(), newDev(), newStatus(), newLeave(), newCluster(), newKeyring(), newConfig(), newVersion())
	return root
}
