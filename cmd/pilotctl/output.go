// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// printer writes in the form that the flags ask for.
func (a *app) printer() *output.Printer {
	return &output.Printer{Out: a.stdout, Form: a.flags.output, Envelope: a.flags.json}
}

func (a *app) checkOutput(cmd *cobra.Command) error {
	if err := a.printer().Check(); err != nil {
		return usagef(cmd, "%v", err)
	}
	return nil
}

// unreadable is the error for a reply that is not what a member answers.
func unreadable(err error, raw []byte) error {
	return fmt.Errorf("unreadable reply: %s; is the member of another version?", protocol.JSONProblem(err, raw))
}

// print writes a reply in the form that was asked for. typed is the reply
// decoded, for the table.
func (a *app) print(raw json.RawMessage, typed any) error {
	err := a.printer().Print(raw, typed)
	if _, syntax := errors.AsType[*json.SyntaxError](err); syntax || isTypeError(err) {
		return unreadable(err, raw)
	}
	return err
}

func isTypeError(err error) bool {
	_, is := errors.AsType[*json.UnmarshalTypeError](err)
	return is
}

// printValue prints something that did not come from a member.
func (a *app) printValue(v, typed any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return a.print(raw, typed)
}

// clean replaces what would steer a terminal.
func clean(s string) string { return output.Clean(s) }
