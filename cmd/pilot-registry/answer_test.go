// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
)

// An error of a command that was asked for JSON is a line of JSON with a code.
func TestErrorsAreJSONWhereJSONIsAskedFor(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"status", "--data-dir", t.TempDir(), "-o", "json"}, {"status", "--data-dir", t.TempDir(), "--json"},
		{"cluster", "members", "--data-dir", t.TempDir(), "--output=json"},
	} {
		root := newRoot()
		root.SetArgs(args)
		cmd, err := root.ExecuteContextC(t.Context())
		if err == nil {
			t.Fatalf("%v works without a member", args)
		}
		var said strings.Builder
		code := answer(&said, cmd, err, output.AsksForJSON(args))
		var r failure.Report
		if err := json.Unmarshal([]byte(said.String()), &r); err != nil || r.Status != "error" || r.Code == "" || r.Message == "" || r.Hint == "" || code == 0 {
			t.Errorf("%v: %d %v %s", args, code, err, said.String())
		}
	}
}
