// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// errPending is the outcome of a look at changes that are still to be made. It is
// no error, and nothing is said about it.
var errPending = &failure.Error{Err: errors.New("changes are pending"), Exit: failure.Pending}

// failureReport is what an error becomes for the user.
type failureReport struct {
	failure.Report
	exit int
}

// report writes an error to stderr and returns the exit code.
func (a *app) report(cmd *cobra.Command, err error) int {
	r := classify(cmd, err, a.flags)
	if a.flags.json || a.flags.output == output.JSON {
		r.Write(a.stderr)
		return r.exit
	}
	failure.Write(a.stderr, r.Message, r.Hint)
	return r.exit
}

func classify(cmd *cobra.Command, err error, flags globalFlags) failureReport {
	r := failureReport{failure.Report{Code: "internal", Message: err.Error(), Hint: "see: " + cmd.CommandPath() + " --help"}, failure.Failed}
	if h, ok := errors.AsType[*failure.Error](err); ok {
		r.Code, r.Hint, r.exit = h.Code, h.Hint, h.Exit
		return r
	}
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		switch {
		case errors.Is(err, fs.ErrPermission):
			r.Code, r.Hint, r.exit = protocol.CodePermissionDenied, "check the owner and mode of the file", failure.Denied
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
		r.Code, r.Message = "auth_required", e.Command+": this needs the admin token, and none was given"
	}
	if errors.Is(err, context.DeadlineExceeded) && e.Outcome != protocol.OutcomeUnknown && e.Code != client.CodeUnreachable && e.Code != protocol.CodeNoLeader {
		r.Code = protocol.CodeTimeout
	}
	r.exit, r.Hint = exitCode(e), hint(r.Code, e)
	return r
}

func hasAdminToken(flags globalFlags) bool {
	r, err := flags.reach(nil)
	if err != nil {
		return false
	}
	token, err := flags.adminToken(r)
	return err == nil && token != ""
}

func exitCode(e *client.Error) int { return failure.Exit(e.Code, e.Outcome) }
