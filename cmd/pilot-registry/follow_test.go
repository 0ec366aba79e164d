// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// storeOf is a small store of the original with so many nodes.
func storeOf(nodes int) []byte {
	var list []string
	for id := 1; id <= nodes; id++ {
		list = append(list, fmt.Sprintf(`"%d":{"id":%[1]d,"public_key":"","networks":[0],"last_seen":"2026-01-01T00:00:00Z"}`, id))
	}
	return []byte(fmt.Sprintf(`{"version":1,"next_node":%d,"next_net":1,"nodes":{%s},"networks":{"0":{"id":0,"name":"backbone","join_rule":"open","members":null,"created":"2026-01-01T00:00:00Z"}}}`,
		nodes+1, strings.Join(list, ",")))
}

type said struct {
	io.Writer
	lines chan string
}

func (s said) Write(b []byte) (int, error) {
	s.lines <- string(b)
	return len(b), nil
}

func awaitLine(t *testing.T, lines <-chan string, want string) {
	t.Helper()
	for {
		select {
		case line := <-lines:
			if strings.Contains(line, want) {
				return
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%q was never said", want)
		}
	}
}

// A file is followed while it is rewritten, in place and by another name, and
// half written; what counts is what it holds when it is not written any more.
func TestFollowTakesTheLastFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "registry.json")
	put := func(raw []byte) {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Error(err)
		}
	}
	put(storeOf(1))
	o := &importFlags{from: path}
	in, press := io.Pipe()
	out := said{lines: make(chan string, 1000)}
	got, failed := make(chan int, 1), make(chan error, 1)
	go func() {
		store, err := o.follow(context.Background(), out, in)
		if err != nil {
			failed <- err
			return
		}
		got <- len(store.Doc.Nodes)
	}()
	awaitLine(t, out.lines, "1 nodes")
	half := storeOf(2)
	put(half[:len(half)-9])
	awaitLine(t, out.lines, "it ends too early")
	put(half)
	awaitLine(t, out.lines, "2 nodes")
	if _, err := press.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	awaitLine(t, out.lines, "waiting until the file has not changed")
	if err := os.WriteFile(path+".tmp", storeOf(3), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		t.Fatal(err)
	}
	select {
	case n := <-got:
		if n != 3 {
			t.Errorf("%d nodes were taken, and the last file has 3", n)
		}
	case err := <-failed:
		t.Error(err)
	case <-time.After(30 * time.Second):
		t.Error("it never cut over")
	}
}

// A file that stays damaged, and an operator who is gone, make nothing.
func TestFollowRefuses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "registry.json")
	o := &importFlags{from: path}
	if _, err := o.follow(context.Background(), io.Discard, strings.NewReader("")); err == nil || !strings.Contains(err.Error(), "standard input ended") {
		t.Errorf("without a line: %v", err)
	}
	if err := os.WriteFile(path, []byte(`{"nodes":`), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := o.follow(context.Background(), &out, strings.NewReader("\n")); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("a damaged file: %v\n%s", err, out.String())
	}
}
