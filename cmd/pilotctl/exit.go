// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// Exit codes, documented in the help of pilotctl. They are stable.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitPending     = 2 // of plan and diff: the registry differs from the file
	exitNotFound    = 3
	exitDenied      = 4
	exitUnavailable = 5
	exitConflict    = 6
	exitUnknown     = 7
)

// hinted is an error of pilotctl itself.
type hinted struct {
	err  error
	code string
	hint string
	exit int
}

func (h *hinted) Error() string { return h.err.Error() }

func (h *hinted) Unwrap() error { return h.err }

// errPending is the outcome of a look at changes that are still to be made. It is
// no error, and nothing is said about it.
var errPending = &hinted{err: errors.New("changes are pending"), exit: exitPending}

// failureReport is what an error becomes for the user.
type failureReport struct {
	Status    string           `json:"status"`
	Code      string           `json:"code"`
	Message   string           `json:"message"`
	Hint      string           `json:"hint,omitempty"`
	Outcome   protocol.Outcome `json:"outcome,omitempty"`
	RequestID string           `json:"request_id,omitempty"`
	exit      int
}

// report writes an error to stderr and returns the exit code.
func (a *app) report(cmd *cobra.Command, err error) int {
	r := classify(cmd, err, a.flags)
	if a.flags.json {
		line, _ := json.Marshal(r)
		fmt.Fprintf(a.stderr, "%s\n", line)
		return r.exit
	}
	fmt.Fprintf(a.stderr, "error: %s\n", r.Message)
	if r.Hint != "" {
		fmt.Fprintf(a.stderr, "hint:  %s\n", r.Hint)
	}
	return r.exit
}

func classify(cmd *cobra.Command, err error, flags globalFlags) failureReport {
	r := failureReport{Status: "error", Code: "internal", Message: err.Error(), exit: exitFailure,
		Hint: "see: " + cmd.CommandPath() + " --help"}
	if h, ok := errors.AsType[*hinted](err); ok {
		r.Code, r.Hint, r.exit = h.code, h.hint, h.exit
		return r
	}
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		switch {
		case errors.Is(err, fs.ErrPermission):
			r.Code, r.Hint, r.exit = protocol.CodePermissionDenied, "check the owner and mode of the file", exitDenied
		case errors.Is(err, fs.ErrNotExist):
			r.Code, r.Hint = protocol.CodeNotFound, "check the path"
		case errors.Is(err, client.ErrIdentityFile):
			r.Hint = "restore the identity file from a backup, or give another with --identity; registering with a new key makes a new node"
		}
		return r
	}
	r.Code, r.RequestID, r.Outcome = e.Code, e.RequestID, e.Outcome
	if e.Outcome != protocol.OutcomeUnknown {
		r.RequestID = ""
	}
	if e.Code == client.CodeUnreachable {
		r.Code = "connection_failed"
	}
	if e.Code == protocol.CodeAdminToken && flags.adminTokenFile == "" && !hasAdminToken(flags) {
		r.Code = "auth_required"
	}
	if errors.Is(err, context.DeadlineExceeded) && e.Outcome != protocol.OutcomeUnknown && e.Code != client.CodeUnreachable && e.Code != protocol.CodeNoLeader {
		r.Code = protocol.CodeTimeout
	}
	r.exit, r.Hint = exitCode(e), hint(r.Code, e)
	return r
}

func hasAdminToken(flags globalFlags) bool {
	config, err := readConfig()
	if err != nil {
		return false
	}
	token, err := flags.adminToken(config)
	return err == nil && token != ""
}

func exitCode(e *client.Error) int {
	if e.Outcome == protocol.OutcomeUnknown {
		return exitUnknown
	}
	switch e.Code {
	case protocol.CodeInvalid, protocol.CodeUnknownField:
		return exitUsage
	case protocol.CodeNotFound:
		return exitNotFound
	case protocol.CodePermissionDenied, protocol.CodeSignatureRequired, protocol.CodeSignatureInvalid, protocol.CodeAdminDisabled,
		protocol.CodeAdminToken, protocol.CodeTokenInvalid, protocol.CodeKeyExpired, protocol.CodeEnterpriseRequired,
		client.CodeNoSigner, client.CodeUntrusted:
		return exitDenied
	case client.CodeUnreachable, client.CodeCanceled, protocol.CodeNoLeader, protocol.CodeOverloaded, protocol.CodeTimeout, protocol.CodeTimeoutRead,
		protocol.CodeRateLimited, protocol.CodeShuttingDown, protocol.CodeQuarantined, protocol.CodeStaleTerm,
		protocol.CodeJWKS, protocol.CodeIdentityFailed:
		return exitUnavailable
	case protocol.CodeConflict, protocol.CodeAlreadyExists, protocol.CodeRequestIDReused, protocol.CodeLimitReached:
		return exitConflict
	}
	return exitFailure
}
