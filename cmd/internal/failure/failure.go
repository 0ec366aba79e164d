// SPDX-License-Identifier: Apache-2.0

// Package failure is how both programs end when something went wrong: the same
// exit codes, and a message that is followed by the next thing to do.
package failure

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pilotregistry/pilotregistry/cmd/internal/flagtext"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// Exit codes, documented in the help of both programs. They are stable.
const (
	OK          = 0
	Failed      = 1
	Usage       = 2
	Pending     = 2 // of plan and diff: the registry differs from the file
	NotFound    = 3
	Denied      = 4
	Unavailable = 5
	Conflict    = 6
	Unknown     = 7
)

// Codes is what the help of both programs says of their exit codes.
const Codes = `Exit codes:
  0  done
  1  failure
  2  wrong usage or an invalid argument; of plan and diff, without an error on
     stderr: the registry differs from the file
  3  not found
  4  denied: signature, token, permission or certificate
  5  unavailable: no member reachable, no leader, overloaded, rate limited, or
     the identity provider cannot be asked
  6  conflict: exists already, is in use, or a limit is reached
  7  outcome unknown: the change may or may not have been made`

// Error is an error of a program itself, with its exit code and the next thing
// to do.
type Error struct {
	Err  error
	Code string
	Hint string
	Exit int
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Usagef is a wrong command line.
func Usagef(cmd *cobra.Command, format string, args ...any) error {
	return &Error{Err: fmt.Errorf(format, args...), Code: protocol.CodeInvalid, Exit: Usage, Hint: "see: " + cmd.CommandPath() + " --help"}
}

// Suggest names the commands that a wrong one was probably meant to be.
func Suggest(cmd *cobra.Command, text string) string {
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(text); len(near) > 0 {
		return "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return ""
}

// FlagProblem says what is wrong with a flag, and which one was probably meant.
func FlagProblem(cmd *cobra.Command, err error) string {
	text := flagtext.Problem(err)
	wrong, is := strings.CutPrefix(text, "unknown flag: --")
	if !is {
		return text
	}
	var names []string
	longer := ""
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		names = append(names, f.Name)
		if strings.HasPrefix(f.Name, wrong+"-") && longer == "" {
			longer = f.Name
		}
	})
	if longer == "" {
		longer = protocol.Nearest(wrong, names)
	}
	if longer != "" {
		text += "; did you mean --" + longer + "?"
	}
	return text
}

// Report is an error as programs read it: a line of JSON on stderr.
type Report struct {
	Status    string           `json:"status"`
	Code      string           `json:"code"`
	Message   string           `json:"message"`
	Hint      string           `json:"hint,omitempty"`
	Outcome   protocol.Outcome `json:"outcome,omitempty"`
	RequestID string           `json:"request_id,omitempty"`
}

// Write writes the line.
func (r Report) Write(w io.Writer) {
	r.Status = "error"
	line, _ := json.Marshal(r) // texts always can be
	fmt.Fprintf(w, "%s\n", line)
}

// Write tells a person what went wrong and what to do next.
func Write(w io.Writer, message, hint string) {
	fmt.Fprintf(w, "error: %s\n", message)
	if hint != "" {
		fmt.Fprintf(w, "hint:  %s\n", hint)
	}
}

// Exit is the exit code for what a member or the SDK answered.
func Exit(code string, outcome protocol.Outcome) int {
	if outcome == protocol.OutcomeUnknown {
		return Unknown
	}
	switch code {
	case protocol.CodeInvalid, protocol.CodeUnknownField:
		return Usage
	case protocol.CodeNotFound:
		return NotFound
	case protocol.CodePermissionDenied, protocol.CodeSignatureRequired, protocol.CodeSignatureInvalid, protocol.CodeAdminDisabled,
		protocol.CodeAdminToken, protocol.CodeTokenInvalid, protocol.CodeKeyExpired, protocol.CodeEnterpriseRequired,
		client.CodeNoSigner, client.CodeUntrusted:
		return Denied
	case client.CodeUnreachable, client.CodeCanceled, protocol.CodeNoLeader, protocol.CodeOverloaded, protocol.CodeTimeout, protocol.CodeTimeoutRead,
		protocol.CodeRateLimited, protocol.CodeShuttingDown, protocol.CodeQuarantined, protocol.CodeStaleTerm,
		protocol.CodeJWKS, protocol.CodeIdentityFailed:
		return Unavailable
	case protocol.CodeConflict, protocol.CodeAlreadyExists, protocol.CodeRequestIDReused, protocol.CodeLimitReached:
		return Conflict
	}
	return Failed
}
