// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/schollz/progressbar/v3"

	"github.com/pilotregistry/pilotregistry/cmd/internal/ask"
)

// progress shows a person how far a long command is, on stderr; programs and
// files see nothing of it. done ends it.
func (s *session) progress(what string, total int64) (at func(int64), done func()) {
	if s.flags.json || total <= 0 || !ask.IsTerminal(s.stderr) {
		return func(int64) {}, func() {}
	}
	bar := progressbar.NewOptions64(total, progressbar.OptionSetWriter(s.stderr), progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(), progressbar.OptionShowCount())
	// That a bar cannot be drawn is no failure of the command.
	return func(n int64) { _ = bar.Set64(min(n, total)) }, func() { _ = bar.Finish() }
}
