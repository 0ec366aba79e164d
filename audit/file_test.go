// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func openFileSink(t *testing.T, path string) *fileSink {
	return open(t, export(protocol.FormatFile, path)).(*fileSink)
}

// linesOf is what a file with these events has.
func linesOf(events []protocol.AuditEvent) string {
	var b strings.Builder
	for i := range events {
		b.Write(JSON(&events[i]))
		b.WriteByte('\n')
	}
	return b.String()
}

func wantFile(t *testing.T, path string, events []protocol.AuditEvent) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := linesOf(events); string(got) != want {
		t.Fatalf("the file has %d lines, want %d:\n%s", strings.Count(string(got), "\n"), len(events), got)
	}
}

func audits(t *testing.T) string { return filepath.Join(t.TempDir(), "audit.jsonl") }

// Events that come again, to the same exporter or to the next, are there once.
func TestFileHasEventsOnce(t *testing.T) {
	path := audits(t)
	x := openFileSink(t, path)
	deliver(t, x, some(1, 3))
	deliver(t, x, some(2, 3))
	wantFile(t, path, some(1, 4))
	_ = x.Close()
	y := openFileSink(t, path)
	deliver(t, y, some(1, 4))
	deliver(t, y, some(3, 5))
	wantFile(t, path, some(1, 7))
	deliver(t, x, some(4, 5)) // the first did not write all that is there
	wantFile(t, path, some(1, 8))
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
}

func TestFileRotation(t *testing.T) {
	path := audits(t)
	x := openFileSink(t, path)
	deliver(t, x, some(1, 3))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	deliver(t, x, some(3, 2))
	wantFile(t, path+".1", some(1, 3))
	wantFile(t, path, some(4, 1))
	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	deliver(t, x, some(5, 1))
	wantFile(t, path, some(5, 1))
}

// A crash in a write leaves the beginning of a line; each one is taken away.
func TestFileTornLine(t *testing.T) {
	whole, torn := linesOf(some(1, 2)), linesOf(some(3, 1))
	for cut := range len(torn) {
		for _, before := range []string{whole, ""} {
			path := audits(t)
			if err := os.WriteFile(path, []byte(before+torn[:cut]), 0o600); err != nil {
				t.Fatal(err)
			}
			x := openFileSink(t, path)
			deliver(t, x, some(1, 4))
			_ = x.Close()
			wantFile(t, path, some(1, 4))
		}
	}
}

// A file that is something else is neither cut nor added to.
func TestFileOfSomethingElse(t *testing.T) {
	for _, content := range []string{
		"root:x:0:0\n", "half a line", "{}\n", `{"timestamp":"x"}` + "\n", "\n", "\n\n", linesOf(some(1, 1)) + "other\n", linesOf(some(1, 1)) + "other",
		`{"timestamp":"` + strings.Repeat("x", maxTail),
	} {
		path := audits(t)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if done, err := openFileSink(t, path).Deliver(t.Context(), some(1, 2)); done != 0 || err == nil {
			t.Errorf("%.40q: %d delivered, %v", content, done, err)
		}
		if got, err := os.ReadFile(path); string(got) != content {
			t.Errorf("%.40q was changed, %v", content, err)
		}
	}
	if done, err := openFileSink(t, t.TempDir()).Deliver(t.Context(), some(1, 1)); done != 0 || err == nil {
		t.Errorf("%d delivered to a directory, %v", done, err)
	}
}

// A cluster that began again counts from 1: its events are not taken for
// events that are there.
func TestFileOfAnotherCluster(t *testing.T) {
	path := audits(t)
	x := openFileSink(t, path)
	deliver(t, x, some(1, 5))
	young := some(3, 1)
	young[0].Time += 1000
	if done, err := x.Deliver(t.Context(), young); done != 0 || err == nil || !strings.Contains(err.Error(), "another cluster") {
		t.Errorf("%d delivered, %v", done, err)
	}
	wantFile(t, path, some(1, 5))
}

// What could not be made durable is not in the file, and is written again.
func TestFileSyncFails(t *testing.T) {
	path := audits(t)
	x := openFileSink(t, path)
	synced := 0
	x.sync = func(f *os.File) error {
		synced++
		return f.Sync()
	}
	deliver(t, x, some(1, 2))
	if synced != 1 {
		t.Errorf("a batch took %d fsyncs", synced)
	}
	sync := x.sync
	x.sync = func(*os.File) error { return &os.PathError{Op: "sync", Path: path, Err: errors.New("I/O error")} }
	done, err := x.Deliver(t.Context(), some(3, 2))
	if done != 0 || err == nil || strings.Contains(err.Error(), path) {
		t.Errorf("%d delivered, %v", done, err)
	}
	wantFile(t, path, some(1, 2))
	x.sync = sync
	deliver(t, x, some(3, 2))
	wantFile(t, path, some(1, 4))
}
