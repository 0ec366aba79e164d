// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The verbs and flags that documents of the original name, and those without
// which a wire command would need a program.
func TestVerbsThatDocumentsNameWork(t *testing.T) {
	c := sharedCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pilotctl, dir := binary(t, "cmd/pilotctl"), t.TempDir()
	jwt, marked := filepath.Join(dir, "jwt"), filepath.Join(dir, "admin")
	for path, text := range map[string]string{jwt: "not.a.token\n", marked: "\ufeff" + c.AdminToken + "\r\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ran := func(want int, saying string, args ...string) {
		t.Helper()
		args = append(args, "--addr", c.Addrs()[0], "--no-tls", "--identity", filepath.Join(dir, "key.json"), "--admin-token-file", marked)
		out, code := exits(ctx, t, pilotctl, args...)
		if code != want || !strings.Contains(out, saying) {
			t.Errorf("pilotctl %s: exit %d, want %d and %q\n%s", strings.Join(args, " "), code, want, saying, out)
		}
	}
	ran(0, "", "register")
	ran(0, "node.registered", "audit", "--json")
	ran(0, "entries", "audit", "--network", "17", "--json")
	ran(0, "", "audit-export", "get")
	ran(0, "disabled", "audit-export", "disable")
	ran(0, "", "export", "get")
	ran(0, "", "idp", "get")
	ran(0, `"commands"`, "context")
	ran(0, "get_idp_config", "context")
	ran(1, "", "idp", "validate", "--token-file", jwt) // no provider is set
	ran(0, "disabled", "idp", "webhook", "--off")
	ran(3, "", "punch", "4294967000")
	ran(0, `"total_nodes"`, "cluster", "subscribe", "--token-file", filepath.Join(c.Dir, "replication"), "--count", "1")
	ran(4, "", "cluster", "subscribe", "--token-file", jwt, "--count", "1")
}
