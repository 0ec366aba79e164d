// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// addOutput gives a command the flags that say in which form it answers.
// --json is JSON as scripts of earlier versions know it.
func addOutput(cmd *cobra.Command) func() (*output.Printer, error) {
	form := cmd.Flags().StringP("output", "o", output.Table, output.Help)
	asJSON := cmd.Flags().Bool("json", false, "print JSON, as -o json does")
	must(cmd.RegisterFlagCompletionFunc("output", output.Complete))
	return func() (*output.Printer, error) {
		p := &output.Printer{Out: cmd.OutOrStdout(), Form: *form}
		if *asJSON {
			p.Form = output.JSON
		}
		if err := p.Check(); err != nil {
			return nil, failure.Usagef(cmd, "%v", err)
		}
		return p, nil
	}
}

// must is for what fails only when the program is written wrong.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// strict makes wrong arguments and flags errors of usage, in a command and all below it.
func strict(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return failure.Usagef(cmd, "%s", failure.FlagProblem(cmd, err))
	})
	if cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.RunE, cmd.Args = groupRun, cobra.ArbitraryArgs
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return failure.Usagef(cmd, "%v: %s", err, cmd.UseLine())
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
}

// answer tells what went wrong and what to do, and returns the exit code.
func answer(w io.Writer, cmd *cobra.Command, err error, asJSON bool) int {
	if exit := (*exitError)(nil); errors.As(err, &exit) { // of a member that ran
		failure.Write(w, err.Error(), "")
		return exit.code
	}
	code, r := outcome(cmd, err)
	if asJSON {
		r.Write(w)
	} else {
		failure.Write(w, r.Message, r.Hint)
	}
	return code
}

// outcome is an error with its exit code and the next thing to do.
func outcome(cmd *cobra.Command, err error) (code int, r failure.Report) {
	code, r = failure.Failed, failure.Report{Code: protocol.CodeInternal, Message: err.Error(), Hint: "see: " + cmd.CommandPath() + " --help"}
	own, refused := (*failure.Error)(nil), (*protocol.Error)(nil)
	switch {
	case errors.As(err, &own):
		code, r.Hint = own.Exit, own.Hint
		if own.Code != "" {
			r.Code = own.Code
		}
	case errors.As(err, &refused):
		code, r.Code, r.Outcome, r.Hint = failure.Exit(refused.Code, refused.Outcome), refused.Code, refused.Outcome, nextStep(refused)
		if code == failure.Failed && refused.Outcome == protocol.OutcomeNotApplied {
			code = failure.Unavailable
		}
	case errors.Is(err, cluster.ErrNotRunning):
		code, r.Code, r.Hint = failure.Unavailable, protocol.CodeShuttingDown, "start the member: pilot-registry run; or give the --data-dir of one that runs"
	case errors.Is(err, fs.ErrNotExist) && cmd.Flags().Lookup("data-dir") != nil && cmd.Name() != "init":
		r.Code, r.Hint = protocol.CodeNotFound, "give the --data-dir of a member; pilot-registry init and pilot-registry join make one"
	}
	return code, r
}

// nextStep is what to do after a refusal of the member.
func nextStep(e *protocol.Error) string {
	switch {
	case e.Outcome == protocol.OutcomeUnknown:
		return "look at the present state before trying again: pilot-registry status"
	case e.Code == protocol.CodeNotFound:
		return "see which members there are: pilot-registry cluster members"
	}
	return "see what the member knows: pilot-registry status"
}

// done says on stderr what a command did that has nothing to answer.
func done(cmd *cobra.Command, format string, args ...any) error {
	_, err := fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
	return err
}
