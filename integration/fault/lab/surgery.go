// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
)

// ErrNothingThere says that what was to be damaged does not exist (yet).
var ErrNothingThere = errors.New("there is nothing to damage")

// ErrRunning says that a member's data cannot be copied or changed, because it
// uses it.
var ErrRunning = errors.New("the member is running: its data cannot be touched")

// Database is the file with a member's log, term and vote.
func (m *Member) Database() string { return filepath.Join(m.Dir, "raft", "raft.db") }

// Snapshots are the folders of a member's finished snapshots, oldest first.
func (m *Member) Snapshots() ([]string, error) {
	found, err := filepath.Glob(filepath.Join(m.Dir, "snapshots", "*", "state.bin"))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range found {
		if dir := filepath.Dir(f); filepath.Ext(dir) != ".tmp" {
			out = append(out, dir)
		}
	}
	sort.Slice(out, func(i, j int) bool { return SnapshotIndex(out[i]) < SnapshotIndex(out[j]) })
	return out, nil
}

// SnapshotIndex is up to which entry a snapshot reaches; its name says so.
func SnapshotIndex(dir string) uint64 {
	var term, index, at uint64
	_, _ = fmt.Sscanf(filepath.Base(dir), "%d-%d-%d", &term, &index, &at) // 0 when it is named otherwise
	return index
}

// operate makes sure that nobody uses the data that is about to be changed.
func (l *Lab) operate(m *Member, what string) error {
	if l.Running(m) {
		return fmt.Errorf("%s: %w", m.Name, ErrRunning)
	}
	l.Note("surgery", m.Name, "%s", what)
	return nil
}

// TruncateFile cuts a file of a stopped member to a share of its length.
func (l *Lab) TruncateFile(m *Member, path string, share float64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := l.operate(m, fmt.Sprintf("truncate %s of %d bytes to %.0f %%", filepath.Base(path), info.Size(), 100*share)); err != nil {
		return err
	}
	return os.Truncate(path, int64(float64(info.Size())*share))
}

// FlipBit changes one bit of a file of a stopped member, at a share of its length.
func (l *Lab) FlipBit(m *Member, path string, share float64) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(raw) == 0 {
		return ErrNothingThere
	}
	at := min(int(float64(len(raw))*share), len(raw)-1)
	if err := l.operate(m, fmt.Sprintf("flip a bit of %s at %d of %d", filepath.Base(path), at, len(raw))); err != nil {
		return err
	}
	raw[at] ^= 1 << (at % 8)
	return os.WriteFile(path, raw, 0o600)
}

// FlipEntry changes one bit in a log entry of a stopped member, the newest that
// is long enough. It asks the log itself which entries it has: the file also
// holds the bytes of removed ones, which nobody will ever read.
func (l *Lab) FlipEntry(m *Member) error {
	log, err := check.ReadLog(m.Dir)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(m.Database())
	if err != nil {
		return err
	}
	for i := len(log.Entries) - 1; i >= 0; i-- {
		e := log.Entries[i]
		if len(e.Data) < 64 || !bytes.Contains(raw, e.Data) {
			continue
		}
		if err := l.operate(m, fmt.Sprintf("flip a bit of entry %d", e.Index)); err != nil {
			return err
		}
		return flipAll(m.Database(), raw, e.Data, len(e.Data)/2)
	}
	return ErrNothingThere
}

// FlipStable changes one bit of a stopped member's term or vote.
func (l *Lab) FlipStable(m *Member, key string) error {
	raw, err := os.ReadFile(m.Database())
	if err != nil {
		return err
	}
	if !bytes.Contains(raw, []byte(key)) {
		return ErrNothingThere
	}
	if err := l.operate(m, "flip a bit of "+key); err != nil {
		return err
	}
	// The database keeps a value right after its key.
	return flipAll(m.Database(), raw, []byte(key), len(key)+7)
}

// flipAll flips a bit at an offset after every occurrence of a pattern: the
// database keeps old pages, and nothing tells which one counts.
func flipAll(path string, raw, pattern []byte, offset int) error {
	for at := 0; ; {
		i := bytes.Index(raw[at:], pattern)
		if i < 0 || at+i+offset >= len(raw) {
			return os.WriteFile(path, raw, 0o600)
		}
		raw[at+i+offset] ^= 4
		at += i + len(pattern)
	}
}

// KeepDatabase copies the database of a stopped member, and returns a function
// that puts the copy in the place of what the member has then: the disk gives
// back what it once had.
func (l *Lab) KeepDatabase(m *Member) (restore func() error, err error) {
	if l.Running(m) {
		return nil, fmt.Errorf("%s: %w", m.Name, ErrRunning)
	}
	raw, err := os.ReadFile(m.Database())
	if err != nil {
		return nil, err
	}
	return func() error {
		if err := l.operate(m, "restore an older database"); err != nil {
			return err
		}
		return os.WriteFile(m.Database(), raw, 0o600)
	}, nil
}

// CopyData copies a stopped member's whole data directory.
func (l *Lab) CopyData(m *Member, to string) error {
	if l.Running(m) {
		return fmt.Errorf("%s: %w", m.Name, ErrRunning)
	}
	return os.CopyFS(to, os.DirFS(m.Dir))
}
