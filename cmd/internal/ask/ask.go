// SPDX-License-Identifier: Apache-2.0

// Package ask has commands that take something away ask whether that is meant.
package ask

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// Flags gives a command the flags to agree with it and to look first.
func Flags(cmd *cobra.Command) {
	cmd.Flags().Bool("yes", false, "do it without asking")
	cmd.Flags().Bool("dry-run", false, "say what it would do, and do nothing")
	cmd.Long += "\n\nIt asks first. Without a terminal it needs --yes."
}

// Needed reports whether a command asks.
func Needed(cmd *cobra.Command) bool { return cmd.Flags().Lookup("yes") != nil }

// DryRun reports whether the command is only to say what it would do.
func DryRun(cmd *cobra.Command) bool {
	dry, err := cmd.Flags().GetBool("dry-run")
	return err == nil && dry
}

// Confirm asks a person at a terminal whether the loss is meant, unless --yes
// says so. Nobody else is asked: the command is refused.
func Confirm(cmd *cobra.Command, say io.Writer, script bool, loss string) error {
	if yes, err := cmd.Flags().GetBool("yes"); err == nil && yes {
		return nil
	}
	if script || !IsTerminal(os.Stdin) || !IsTerminal(say) {
		return &failure.Error{Err: fmt.Errorf("nothing was done: this would %s", loss), Code: protocol.CodeInvalid, Exit: failure.Usage,
			Hint: "run it again with --yes if that is meant; --dry-run only says what it would do"}
	}
	return Decide(say, os.Stdin, loss)
}

// Decide asks a question and reads the answer.
func Decide(say io.Writer, in io.Reader, loss string) error {
	fmt.Fprintf(say, "This will %s. Go on? [y/N] ", loss)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		fmt.Fprintln(say)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return &failure.Error{Err: errors.New("nothing was done"), Code: client.CodeCanceled, Exit: failure.Failed, Hint: "answer y, or give --yes, to do it"}
}

// IsTerminal reports whether a person is at the other end of a file.
func IsTerminal(f any) bool {
	file, is := f.(*os.File)
	return is && isatty.IsTerminal(file.Fd())
}
