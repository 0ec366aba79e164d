// SPDX-License-Identifier: Apache-2.0

package main

import (
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/pilotregistry/pilotregistry/cmd/internal/ask"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// patience is how long a command may take before a person is shown that it
// works on.
const patience = time.Second

// watched reports whether a person sees stderr, and nothing moves there yet.
func watched(a *app) bool { return !a.flags.json && !a.moving && ask.IsTerminal(a.stderr) }

// progress shows a person how far a long command is, on stderr; programs and
// files see nothing of it. done ends it.
func progress(a *app, what string, total int64) (at func(int64), done func()) {
	if total <= 0 || !watched(a) {
		return func(int64) {}, func() {}
	}
	a.moving = true
	bar := progressbar.NewOptions64(total, progressbar.OptionSetWriter(a.stderr), progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(), progressbar.OptionShowCount())
	// That a bar cannot be drawn is no failure of the command.
	return func(n int64) { _ = bar.Set64(min(n, total)) }, func() { a.moving = false; _ = bar.Finish() }
}

// waiting shows a person for how long something has been waited for, once that
// is longer than a moment. The returned function ends it.
func waiting(a *app, what string) (done func()) {
	if !watched(a) {
		return func() {}
	}
	a.moving = true
	over, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-over:
			return
		case <-time.After(patience):
		}
		bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(a.stderr), progressbar.OptionSetDescription(what),
			progressbar.OptionSpinnerType(14), progressbar.OptionSetElapsedTime(true), progressbar.OptionClearOnFinish(), progressbar.OptionSetRenderBlankState(true))
		<-over
		_ = bar.Finish()
	}()
	return sync.OnceFunc(func() { close(over); <-gone; a.moving = false })
}

// sending is waiting for a request that may go in parts, which are counted.
func sending(a *app, what string) (parts client.CallOption, done func()) {
	end := waiting(a, what)
	at := func(int64) {}
	return client.WithParts(func(sent, all int) {
		if sent == 0 { // now it is known how long it takes
			end()
			at, end = progress(a, what+", parts", int64(all))
		}
		at(int64(sent))
	}), func() { end() }
}

// spinner shows a person that a command of unknown length gets on.
func (s *session) spinner(what string) (at func(int64), done func()) {
	if s.flags.json || !ask.IsTerminal(s.stderr) {
		return func(int64) {}, func() {}
	}
	bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(s.stderr), progressbar.OptionSetDescription(what), progressbar.OptionClearOnFinish(),
		progressbar.OptionShowBytes(true))
	return func(n int64) { _ = bar.Set64(n) }, func() { _ = bar.Finish() }
}
