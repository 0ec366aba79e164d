// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// Who is forgotten through one member is known to none of them, and a copy of
// the audit log, taken from another one, verifies before and after.
func TestAForgottenPersonIsKnownToNobody(t *testing.T) {
	c := sharedCluster(t)
	w, err := harness.Dial(c.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	node := agent(t, w)
	const person = "erika.mustermann@example.org"
	for _, fields := range []map[string]any{
		{"type": "set_external_id", "node_id": node.ID, "external_id": person, "admin_token": c.AdminToken},
		{"type": "set_hostname", "node_id": node.ID, "hostname": "erikas-host", "signature": node.Sign("set_hostname:" + strconv.FormatUint(uint64(node.ID), 10))},
	} {
		if r, err := w.Call(fields); err != nil || r["type"] == "error" {
			t.Fatal(r, err)
		}
	}
	run := func(args ...string) string {
		out, err := ctl(t, c, args...)
		if err != nil {
			t.Fatalf("pilotctl %v: %v\n%s", args, err, out)
		}
		return out
	}
	var doc struct {
		Nodes, Events []map[string]any
	}
	if err := json.Unmarshal([]byte(run("person", "export", strings.ToUpper(person), "-o", "json")), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Nodes) != 1 || doc.Nodes[0]["hostname"] != "erikas-host" || len(doc.Events) < 3 {
		t.Errorf("export: %+v", doc)
	}
	copyOf := func() string {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		run("audit", "export", "--out", path)
		run("audit", "verify", path)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if !strings.Contains(copyOf(), "erika") {
		t.Fatal("the log does not name the person")
	}
	if out, err := ctl(t, c, "person", "forget", person); err == nil {
		t.Errorf("forgotten without --yes: %s", out)
	}
	run("person", "forget", person, "--yes")
	if log := copyOf(); strings.Contains(log, "erika") || !strings.Contains(log, "erased:sha256:") {
		t.Error("the log still names the person, or has no commitment")
	}
	for _, addr := range c.Addrs() {
		if out := run("person", "export", person, "-o", "json", "--addr", addr); strings.Contains(out, "erikas") || strings.Contains(out, `"node_id"`) {
			t.Errorf("%s: %s", addr, out)
		}
	}
}
