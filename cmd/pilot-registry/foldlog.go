// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"sync"
	"time"
)

const (
	// foldAfter is how many messages of a kind are written as they come.
	foldAfter = 5
	// foldFirst is how long further ones are counted before one is written
	// with the count. Each time that takes twice as long, up to foldLongest.
	foldFirst, foldLongest = time.Minute, 16 * time.Minute
	// foldKinds bounds the kinds that are remembered.
	foldKinds = 1000
)

// Raft and the connections between members say the same several times a second
// while a member is down or there is no quorum. What other parts write is theirs
// to bound, and the audit log is whole.
var (
	foldedParts  = regexp.MustCompile(`^\S+ \[(INFO|WARN|ERROR)\] +pilot-registry\.(raft|raft-net|peer|term): |"@module":"pilot-registry\.(raft|raft-net|peer|term)"`)
	foldedNever  = regexp.MustCompile(`"@level":"(debug|trace)"`)
	foldedTime   = regexp.MustCompile(`^\S+ |"@timestamp":"[^"]*"`)
	foldedNumber = regexp.MustCompile(`[0-9]+`)
	// foldedAbout tells which member a message is about.
	foldedAbout = regexp.MustCompile(`\b(peer|member|follower|node)"?[=:] ?("[^"]*"|\S+)`)
)

// foldLog folds repeated messages of a log: kinds that come often are written
// now and then, with how many came since. It gets one message a Write.
type foldLog struct {
	out io.Writer

	mu    sync.Mutex
	kinds map[string]*foldKind
}

// foldKind are messages that differ in their numbers only.
type foldKind struct {
	written int
	held    int
	last    []byte
	window  time.Duration
	timer   *time.Timer
}

func newFoldLog(out io.Writer) *foldLog { return &foldLog{out: out, kinds: map[string]*foldKind{}} }

// Write writes a message or counts it.
func (f *foldLog) Write(message []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !foldedParts.Match(message) || foldedNever.Match(message) {
		return f.out.Write(message)
	}
	name := foldName(message)
	kind := f.kinds[name]
	if kind == nil {
		f.makeRoom()
		kind = &foldKind{window: foldFirst}
		f.kinds[name] = kind
		kind.timer = time.AfterFunc(kind.window, func() { f.windowEnds(name, kind) })
	}
	if kind.written < foldAfter {
		kind.written++
		return f.out.Write(message)
	}
	kind.held++
	kind.last = append(kind.last[:0], message...)
	return len(message), nil
}

// foldName is what messages of a kind have in common.
func foldName(message []byte) string {
	rest := foldedTime.ReplaceAll(message, nil)
	about := foldedAbout.FindAll(rest, -1)
	return string(foldedNumber.ReplaceAll(rest, []byte("#"))) + string(bytes.Join(about, []byte(" ")))
}

// windowEnds writes the last of what was counted. A kind that came no more is
// forgotten: its next message is news.
func (f *foldLog) windowEnds(name string, kind *foldKind) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kinds[name] != kind {
		return
	}
	if kind.held == 0 {
		delete(f.kinds, name)
		return
	}
	f.flush(kind)
	kind.window = min(2*kind.window, foldLongest)
	kind.timer.Reset(kind.window)
}

func (f *foldLog) flush(kind *foldKind) {
	if kind.held > 0 {
		_, _ = f.out.Write(withCount(kind.last, kind.held)) // a log has nobody to tell
	}
	kind.held = 0
}

// withCount adds to a message how many of its kind came since the one before.
func withCount(message []byte, n int) []byte {
	message = bytes.TrimRight(message, "\n")
	if body, isJSON := bytes.CutSuffix(message, []byte("}")); isJSON && bytes.HasPrefix(message, []byte("{")) {
		return fmt.Appendf(body, ",\"repeated\":%d}\n", n)
	}
	return fmt.Appendf(message, " repeated=%d\n", n)
}

// makeRoom forgets all kinds when there are too many.
func (f *foldLog) makeRoom() {
	if len(f.kinds) >= foldKinds {
		f.forget()
	}
}

func (f *foldLog) forget() {
	for name, kind := range f.kinds {
		kind.timer.Stop()
		f.flush(kind)
		delete(f.kinds, name)
	}
}

// Close writes what is counted still.
func (f *foldLog) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget()
	return nil
}
