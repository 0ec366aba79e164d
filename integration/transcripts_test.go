// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// replay plays the recorded conversations of the core commands.
func replay(t *testing.T, c *harness.Cluster, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	args = append([]string{"-addr", strings.Join(c.Addrs(), ",")}, args...)
	if c.AdminToken != "" {
		args = append(args, "-admin-token", c.AdminToken)
	}
	if c.ReplicationToken != "" {
		args = append(args, "-replication-token", c.ReplicationToken)
	}
	args = append(args, filepath.Join(harness.Root(), "integration", "testdata", "transcripts"))
	out, err := exec.CommandContext(ctx, binary(t, "integration/replay"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("replay %v: %v\n%s", args, err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	t.Log(lines[len(lines)-1])
}

// Every message goes to the next member: what one confirmed is visible on every other.
func TestTranscriptsThroughEveryMember(t *testing.T) {
	c := sharedCluster(t)
	for _, mode := range []string{"step", "actor", "random"} {
		skip := "owner-reclaim,unsigned-role-claim"
		if mode != "step" {
			skip += ",long" // waits for retries, through one way is enough
		}
		t.Run(mode, func(t *testing.T) { replay(t, c, "-any-node", mode, "-skip-tag", skip) })
	}
}

func TestTranscriptsOwnerReclaim(t *testing.T) {
	c := harness.Start(t, harness.Options{Set: []string{"compat.owner_reclaim=true"}})
	replay(t, c, "-tag", "owner-reclaim")
}

func TestTranscriptsUnsignedRoleCommands(t *testing.T) {
	c := harness.Start(t, harness.Options{Set: []string{"compat.unsigned_role_commands=true"}})
	replay(t, c, "-tag", "unsigned-role-claim")
}

func TestTranscriptsStockRateLimits(t *testing.T) {
	c := harness.Start(t, harness.Options{Members: 1, RateLimits: true})
	replay(t, c, "-default-limits", "-only", "^limits/")
}

func TestTranscriptsWithoutReplicationToken(t *testing.T) {
	c := harness.Start(t, harness.Options{Members: 1, NoReplication: true})
	replay(t, c, "-only", "^replication/")
}
