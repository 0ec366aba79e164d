// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/cmd/internal/helptext"
	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
)

func main() {
	// Both drain; a second one ends at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
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
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	return answer(os.Stderr, cmd, err, output.AsksForJSON(args))
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "pilot-registry",
		Short: "A member of a Pilot registry cluster",
		Long: `pilot-registry runs a member of a Pilot registry cluster and manages the member on this machine.

A first cluster on one machine:     pilot-registry dev --members 3 --data-dir ./data
A first member of a real cluster:   pilot-registry init, then pilot-registry run
Another member:                     pilot-registry join --token …, then pilot-registry run

` + failure.Codes + `
 75  of run: the disk or the log stalled or failed; starting again may help
 78  of run: the data directory must not be used, or needs a newer version;
     starting again will not help`,
		Version:       version,
		Args:          cobra.ArbitraryArgs, // so that unknown commands are errors of usage
		RunE:          groupRun,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.AddCommand(newRun(), newInit(), newJoin(), newPrepare(), newHealth(), newRestore(), newImport(), newExport(), newRecover(), newDev(), newStatus(), newLeave(), newCluster(), newKeyring(), newConfig(), newVersion())
	strict(root)
	helptext.Fit(root)
	return root
}

// groupRun runs when no command was given, or one that does not exist.
func groupRun(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return failure.Usagef(cmd, "%s needs a command", cmd.CommandPath())
	}
	return failure.Usagef(cmd, "unknown command %q for %q%s", args[0], cmd.CommandPath(), failure.Suggest(cmd, args[0]))
}
