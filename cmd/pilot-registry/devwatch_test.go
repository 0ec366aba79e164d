// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Whoever reads the ready file signals the processes in it: one that ended
// must not stay there because nobody leads.
func TestReadyFileHasNoDeadProcessesWithoutALeader(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := &dev{devOptions: devOptions{readyFile: filepath.Join(dir, "ready.json"), basePort: 9000}, members: []*devMember{{dir: filepath.Join(dir, "n1")}}}
	old := []byte(`{"members":[{"id":"m","pid":4711}],"leader":"m"}`)
	if err := d.announce(old); err != nil {
		t.Fatal(err)
	}
	if err := d.herald(&heralded{greeted: true, doc: old, leader: "m"}, "", false); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(d.readyFile)
	if err != nil {
		t.Fatal(err)
	}
	var now readyDocument
	if err := json.Unmarshal(raw, &now); err != nil || now.Leader != "" || len(now.Members) != 1 || now.Members[0].PID != 0 {
		t.Errorf("%s, %v", raw, err)
	}
}
