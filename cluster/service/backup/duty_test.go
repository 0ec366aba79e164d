// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/fsm"
)

// leader is a duty's view of a cluster that does not change.
type leader struct {
	cluster.DutyEnv
	root *fsm.Root
}

func (l leader) Root() *fsm.Root      { return l.root }
func (l leader) Logger() hclog.Logger { return hclog.NewNullLogger() }

// founded is the state of a cluster.
func founded(t *testing.T) leader {
	t.Helper()
	m := fsm.New()
	body := []byte(`{"cluster_id":"0a1b2c3d-0000-4000-8000-000000000000","level":1}`)
	entry := fsm.AppendEntry(nil, &fsm.Entry{Time: 1000, Term: 1, Envelopes: []fsm.Envelope{{Code: fsm.KindClusterInit, Body: body}}})
	if _, err := m.Apply(1, 1, entry); err != nil {
		t.Fatal(err)
	}
	return leader{root: m.Root()}
}

func plainFile(path string, fill func(io.Writer) error) error {
	var b bytes.Buffer
	if err := fill(&b); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// A backup is saved when the newest is old enough, the oldest go, and files of
// other clusters and people stay.
func TestTheScheduleFollowsTheNewestFile(t *testing.T) {
	dir, env := t.TempDir(), founded(t)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	d := New(Config{Dir: dir, Every: time.Hour, Keep: 2, Suffix: ".backup", Write: plainFile, Now: func() time.Time { return now }})
	others := []string{"notes.txt", "registry-ffffffff-20200101T000000Z-1.backup", "registry-0a1b2c3d-20200101T000000Z-1.txt"}
	for _, name := range others {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, step := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {59 * time.Minute, 1}, {time.Minute, 2}, {time.Hour, 2}, {time.Hour, 2}} {
		now = now.Add(step.after)
		if err := d.look(t.Context(), env); err != nil {
			t.Fatal(err)
		}
		files, err := d.list(env.root.ClusterID())
		if err != nil || len(files) != step.want {
			t.Fatalf("step %d: %d backups, %v; want %d", i, len(files), err, step.want)
		}
		if got := testutil.ToFloat64(d.last); got != float64(files[0].made.Unix()) || testutil.ToFloat64(d.size) == 0 {
			t.Errorf("step %d: the newest is said to be of %v with %v bytes", i, got, testutil.ToFloat64(d.size))
		}
		m := fsm.New()
		raw, err := os.Open(files[0].path)
		if err != nil || m.Restore(raw) != nil || m.Root().Digest() != env.root.Digest() {
			t.Errorf("step %d: the backup does not restore (%v)", i, err)
		}
	}
	for _, name := range others {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s is gone", name)
		}
	}
}

// What fails is counted and leaves the backups that there are.
func TestABackupThatFails(t *testing.T) {
	env, full := founded(t), errors.New("no space left on device")
	d := New(Config{Dir: t.TempDir(), Every: time.Hour, Keep: 1, Suffix: ".backup", Write: func(string, func(io.Writer) error) error { return full }})
	if err := d.look(t.Context(), env); !errors.Is(err, full) || testutil.ToFloat64(d.failures) != 1 {
		t.Errorf("%v, %v failures", err, testutil.ToFloat64(d.failures))
	}
	d.Dir = filepath.Join(d.Dir, "missing")
	if err := d.look(t.Context(), env); !errors.Is(err, os.ErrNotExist) || testutil.ToFloat64(d.failures) != 2 {
		t.Errorf("%v, %v failures", err, testutil.ToFloat64(d.failures))
	}
}

// A leadership that ends while a backup is written leaves no file.
func TestABackupEndsWithLeadership(t *testing.T) {
	ctx, lost := context.WithCancel(t.Context())
	dir := t.TempDir()
	d := New(Config{Dir: dir, Every: time.Hour, Suffix: ".backup", Write: func(path string, fill func(io.Writer) error) error { lost(); return plainFile(path, fill) }})
	d.Run(ctx, founded(t))
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	if testutil.ToFloat64(d.failures) != 0 {
		t.Error("the end of leadership counts as a failure")
	}
}
