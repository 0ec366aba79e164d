// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/spf13/cobra"
)

// usagef is a wrong command line.
func usagef(cmd *cobra.Command, format string, args ...any) error {
	return failure.Usagef(cmd, format, args...)
}

// exactly, atMost and atLeast are cobra's argument counts as usage errors.
func exactly(n int) cobra.PositionalArgs { return count(cobra.ExactArgs(n)) }

func atLeast(n int) cobra.PositionalArgs { return count(cobra.MinimumNArgs(n)) }

func between(low, high int) cobra.PositionalArgs {
	return count(cobra.RangeArgs(low, high))
}

func count(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usagef(cmd, "%v: %s", err, cmd.UseLine())
		}
		return nil
	}
}

// noVerb is for a command that has verbs and works without one.
func noVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return groupRun(cmd, args)
}
