// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pilotregistry/pilotregistry/cluster/base/store"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

var updateGolden = flag.Bool("update-golden", false, "record the golden data directory of this version")

// golden is what a recorded data directory must open to.
type golden struct {
	Version string `json:"version"`
	Index   uint64 `json:"index"`
	Digest  string `json:"digest"`
	Nodes   int    `json:"nodes"`
}

const goldenDir = "testdata/golden"

// Every data directory that a released version left opens to the state
// it had: the log and snapshots replay to the recorded digest.
func TestGoldenDataDirectories(t *testing.T) {
	if *updateGolden {
		recordGolden(t, "v"+protocol.Version)
	}
	records, err := filepath.Glob(filepath.Join(goldenDir, "*.json"))
	if err != nil || len(records) == 0 {
		t.Fatalf("no golden data directories found: %v", err)
	}
	for _, record := range records {
		t.Run(strings.TrimSuffix(filepath.Base(record), ".json"), func(t *testing.T) {
			raw, err := os.ReadFile(record)
			if err != nil {
				t.Fatal(err)
			}
			var want golden
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			unpack(t, strings.TrimSuffix(record, ".json")+".tar.gz", dir)
			m := replayDir(t, filepath.Join(dir, "n1"))
			if digest := hex.EncodeToString(digestOf(m)); m.Root().Index() != want.Index || digest != want.Digest || m.Root().NodeCount() != want.Nodes {
				t.Errorf("opens to index %d, digest %s, %d nodes; recorded %+v", m.Root().Index(), digest, m.Root().NodeCount(), want)
			}
		})
	}
}

func digestOf(m *fsm.Machine) []byte {
	d := m.Root().Digest()
	return d[:]
}

// replayDir brings a fresh state machine to the end of a stopped member's
// log, from its newest snapshot.
func replayDir(t *testing.T, dir string) *fsm.Machine {
	t.Helper()
	m := fsm.New()
	after := uint64(0)
	snaps, err := raft.NewFileSnapshotStore(dir, 2, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	list, err := snaps.List()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) > 0 {
		_, rc, err := snaps.Open(list[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Restore(rc); err != nil {
			t.Fatal(err)
		}
		after = list[0].Index
		rc.Close()
	}
	s, err := store.Open(filepath.Join(dir, "raft"), store.KindBolt, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	last, err := s.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	for i := after + 1; i <= last; i++ {
		var l raft.Log
		if err := s.GetLog(i, &l); errors.Is(err, raft.ErrLogNotFound) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		if l.Type != raft.LogCommand {
			continue
		}
		if _, err := m.Apply(l.Index, l.Term, l.Data); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// recordGolden makes a one-member cluster with some of everything and packs
// its data directory.
func recordGolden(t *testing.T, name string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(goldenDir, name+".json")); err == nil {
		t.Fatalf("%s is recorded: what a version left never changes", name)
	}
	dir := t.TempDir()
	c, err := harness.Launch(dir, harness.Options{Members: 1, Set: []string{"raft.snapshot_threshold=16", "raft.trailing_logs=8", "raft.snapshot_interval=1s"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	w, err := harness.Dial(c.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for range 3 {
		s := &story{t: t, w: w, admin: c.AdminToken, tag: "g" + hex.EncodeToString([]byte{byte(time.Now().UnixNano())}), names: map[string]string{}, numbers: map[string]string{}, covered: map[string]bool{}}
		s.play()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := c.Await(ctx, func(harness.Ready) bool {
		metas, err := filepath.Glob(filepath.Join(dir, "n1", "snapshots", "*", "meta.json"))
		return err == nil && len(metas) > 0
	}); err != nil {
		t.Fatalf("no snapshot was taken: %v", err)
	}
	s := &story{t: t, w: w, admin: c.AdminToken, tag: "after", names: map[string]string{}, numbers: map[string]string{}, covered: map[string]bool{}}
	s.play()
	c.Stop()
	m := replayDir(t, filepath.Join(dir, "n1"))
	record, err := json.MarshalIndent(golden{Version: name, Index: m.Root().Index(), Digest: hex.EncodeToString(digestOf(m)), Nodes: m.Root().NodeCount()}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(goldenDir, 0o755); err != nil {
		t.Fatal(err)
	}
	pack(t, filepath.Join(goldenDir, name+".tar.gz"), dir, "n1")
	if err := os.WriteFile(filepath.Join(goldenDir, name+".json"), append(record, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func pack(t *testing.T, path, root, sub string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	err = filepath.Walk(filepath.Join(root, sub), func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: int64(len(raw))}); err != nil {
			return err
		}
		_, err = w.Write(raw)
		return err
	})
	if err := errors.Join(err, w.Close(), z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func unpack(t *testing.T, path, dir string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(dir, filepath.Clean("/"+h.Name))
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, raw, os.FileMode(h.Mode)); err != nil {
			t.Fatal(err)
		}
	}
}
