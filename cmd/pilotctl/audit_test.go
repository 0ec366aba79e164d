// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// copyOf is a copy of the registry's log as audit export writes it.
func copyOf(t *testing.T, r *registry) []string {
	t.Helper()
	var lines []string
	add := func(v any) {
		raw, err := jsonLine(v)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(raw))
	}
	add(r.auditChain("audit_chain_ok"))
	for i := range r.events {
		add(r.events[i].Entry())
	}
	return lines
}

func verifyText(t *testing.T, text string) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := verifyAudit(path); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), path+":"))
	}
	return nil
}

// Whatever is done to a copy is found, and the line is named.
func TestVerifyFindsChanges(t *testing.T) {
	t.Parallel()
	lines := copyOf(t, newRegistry())
	replaced := func(n int, old, repl string) []string {
		out := slices.Clone(lines)
		if out[n-1] = strings.Replace(out[n-1], old, repl, 1); out[n-1] == lines[n-1] {
			t.Fatalf("line %d has no %s: %s", n, old, lines[n-1])
		}
		return out
	}
	without := func(n int) []string { return slices.Delete(slices.Clone(lines), n-1, n) }
	swapped := slices.Clone(lines)
	swapped[3], swapped[4] = swapped[4], swapped[3]
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"untouched":          {lines, ""},
		"actor":              {replaced(4, "node:7", "node:8"), "4: the chain is broken at event 7"},
		"attribute":          {replaced(3, `["node_id","7"]`, `["node_id","8"]`), "3: event 6: what it shows is not"},
		"details":            {replaced(4, `"details":"target_node_id=7"`, `"details":"target_node_id=8"`), "4: event 7: what it shows is not"},
		"hash":               {replaced(4, `"chain":"`, `"chain":"0`), "4: event 7: its chain is not"},
		"class":              {replaced(4, `"security"`, `"activity"`), "4: the chain is broken at event 7"},
		"unknown class":      {replaced(4, `"security"`, `"other"`), "4: event 7: "},
		"field added":        {replaced(4, `"seq"`, `"note":"x","seq"`), "4: event 7 is not written as"},
		"field twice":        {replaced(4, `"action"`, `"action":"x","action"`), "4: event 7 is not written as"},
		"first taken out":    {without(2), "3: the chain is broken at event 7"},
		"middle taken out":   {without(4), "5: the chain is broken at event 9"},
		"last taken out":     {without(8), "8: events of the class security are missing at the end: the last is 9, the newest should be 11"},
		"swapped":            {swapped, "5: event 7 comes after event 8"},
		"twice":              {slices.Insert(slices.Clone(lines), 4, lines[3]), "5: event 7 comes after event 7"},
		"head":               {replaced(1, `"head":"`, `"head":"0`), "9: events of the class security are missing"},
		"anchor":             {replaced(1, `"anchor":"01`, `"anchor":"03`), "2: the chain is broken at event 5"},
		"anchor of no class": {replaced(1, `"class":"activity"`, `"class":"security"`), `1: the first line is wrong about the class "security"`},
		"class left out":     {replaced(1, `"class":"activity"`, `"class":"x"`), "3: event 6 is of the class activity"},
		"no event":           {slices.Insert(slices.Clone(lines), 4, ""), "5: the line is not an event"},
		"no head":            {lines[1:], "1: the first line does not say"},
		"nothing":            {nil, "1: "},
	} {
		text := ""
		if len(c.lines) > 0 {
			text = strings.Join(c.lines, "\n") + "\n"
		}
		err := verifyText(t, text)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	text := strings.Join(lines, "\n") + "\n"
	for cut := range len(text) {
		if verifyText(t, text[:cut]) == nil {
			t.Fatalf("a copy cut to %d of %d bytes verifies", cut, len(text))
		}
	}
}

// No byte of an event can be changed.
func TestVerifyFindsEveryByte(t *testing.T) {
	t.Parallel()
	lines := copyOf(t, newRegistry())
	head, text := lines[0]+"\n", []byte(strings.Join(lines[1:], "\n")+"\n")
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		if verifyText(t, head+string(changed)) == nil {
			t.Fatalf("byte %d of %q was changed, and the copy verifies", i, text)
		}
	}
}

// atRegistry runs a command line at a registry and returns its exit code.
func atRegistry(t *testing.T, r *registry, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{Backend: r})
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	defer s.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(adminToken), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	code = run(append(args, "--addr", l.Addr().String(), "--no-tls", "--admin-token-file", token, "--identity", token+".none"), &out, &errs)
	return code, out.String(), errs.String()
}

// Events that are cut off or happen while a copy is made do not break it.
func TestExportOfLivingLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "copy")
	r := newRegistry()
	r.onPage = func() {
		r.cut() // after the look at the chains: the copy begins again
		r.happen()
		r.onChain = func() { r.onPage = r.happen } // in the second copy, after its head
	}
	if code, _, stderr := atRegistry(t, r, "audit", "export", "--out", path); code != failure.OK {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	report, err := verifyAudit(path)
	if err != nil {
		t.Fatal(err)
	}
	if c := report.Chains[0]; c.FirstSeq != 7 || c.LastSeq != 12 || c.Events != 4 {
		t.Errorf("the copy has %+v", c)
	}
}

// A log that is broken in the registry is copied, and the error says where.
func TestExportOfBrokenLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "copy")
	r := newRegistry()
	r.events[2].Actor = "node:8"
	code, stdout, stderr := atRegistry(t, r, "audit", "export", "--out", path)
	if code != failure.Failed || stdout != "" || !strings.Contains(stderr, "copy:4: the chain is broken at event 7") {
		t.Errorf("exit code %d, %s, %s", code, stdout, stderr)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v, %v", info, err)
	}
}

// tail shows what happens after it began, and not what was before.
func TestTailFollows(t *testing.T) {
	t.Parallel()
	r := newRegistry()
	r.onChain = func() { r.onChain = func() { r.onChain = r.happen } }
	code, stdout, stderr := atRegistry(t, r, "audit", "tail", "--count", "1", "--interval", "10ms", "--action", "key.*")
	if want := "2026-03-31T10:20:41Z  12  key.rotated  system\n"; code != failure.OK || stdout != want {
		t.Errorf("exit code %d, %q, %s", code, stdout, stderr)
	}
}

// line is one line without what steers a terminal.
func TestTailLine(t *testing.T) {
	t.Parallel()
	e := protocol.AuditEntry{Timestamp: "t", Seq: 1, Action: "a", Actor: "token:x\ny", NodeID: 2, Details: "d=\x1b[2J"}
	if got := line(&e); got != "t  1  a  token:x\ufffdy  node_id=2  d=\ufffd[2J" {
		t.Errorf("the line is %q", got)
	}
}
