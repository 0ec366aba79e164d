// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/fsm"
)

// backupOf is what an operator keeps of a cluster: a state and the keyring.
func backupOf(t *testing.T, m *member) (state, ring []byte) {
	t.Helper()
	var b bytes.Buffer
	if err := m.self.machine.Snapshot().Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), m.Keyring().Export()
}

func restoreConfig(c *cluster, i int, state, ring []byte) (Config, RestoreConfig) {
	cfg := c.config(i)
	return cfg, RestoreConfig{DataDir: cfg.DataDir, Backup: bytes.NewReader(state), Keyring: ring, PeerAdvertise: cfg.PeerAdvertise}
}

// A restored cluster holds what the backup held under another cluster id; more
// members join it, and members of the old one cannot.
func TestRestoreMakesANewCluster(t *testing.T) {
	old := newCluster(t, 1, nil)
	node := old.node(old.leader())
	for range 20 {
		old.leader().must(increment(t, node, ""))
	}
	state, ring := backupOf(t, old.leader())

	c := emptyCluster(t)
	cfg, rc := restoreConfig(c, 0, state, ring)
	res, err := Restore(t.Context(), rc)
	if err != nil {
		t.Fatal(err)
	}
	m := c.start(cfg)
	c.ready(m)
	if got := m.Root(); got.ClusterID() != res.ClusterID || got.ClusterID() == old.leader().Root().ClusterID() || m.score(node) != 20 {
		t.Errorf("cluster %s, score %d", got.ClusterID(), m.score(node))
	}
	if tokens := m.Root().Tokens(fsm.TokenAdmin); len(tokens) != 1 || !m.Keyring().Verify(tokens[0].MAC, PurposeAdmin, "admin-secret") {
		t.Errorf("the admin token is not what it was: %+v", tokens)
	}
	second := c.config(1)
	if err := Join(t.Context(), JoinConfig{DataDir: second.DataDir, Token: res.JoinToken, PeerAdvertise: second.PeerAdvertise, Version: "test"}); err != nil {
		t.Fatal(err)
	}
	c.start(second)
	c.eventually("both members vote", func() bool { return len(m.roster.voters()) == 2 })
	c.leader().must(increment(t, node, ""))
	restarted := c.restart(m)
	c.ready(restarted)
	if n := restarted.mustRead(node); n != 21 {
		t.Errorf("the score is %d after a restart", n)
	}
}

// What cannot be a backup, or not of this keyring, leaves the directory free.
func TestRestoreRefuses(t *testing.T) {
	old, other := newCluster(t, 1, nil), newCluster(t, 1, nil)
	state, ring := backupOf(t, old.leader())
	damaged := bytes.Clone(state)
	damaged[len(damaged)/2] ^= 1
	for name, tt := range map[string]struct {
		state, ring []byte
		advertise   string
		want        string
	}{
		"no backup":           {nil, ring, "", "not a snapshot"},
		"a damaged backup":    {damaged, ring, "", "the backup cannot be used"},
		"half a backup":       {state[:len(state)/2], ring, "", "the backup cannot be used"},
		"another's keyring":   {state, other.leader().Keyring().Export(), "", "not that of the cluster"},
		"no keyring":          {state, nil, "", "keyring cannot be used"},
		"an address for none": {state, ring, "0.0.0.0:9100", "names no host"},
	} {
		t.Run(name, func(t *testing.T) {
			c := emptyCluster(t)
			cfg, rc := restoreConfig(c, 0, tt.state, tt.ring)
			if tt.advertise != "" {
				rc.PeerAdvertise = tt.advertise
			}
			if _, err := Restore(t.Context(), rc); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if _, err := Init(context.Background(), InitConfig{DataDir: cfg.DataDir}); err != nil {
				t.Errorf("the directory is not free after it: %v", err)
			}
		})
	}
	_, rc := restoreConfig(old, 0, state, ring)
	rc.DataDir = old.leader().cfg.DataDir
	if _, err := Restore(t.Context(), rc); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a member's directory: %v", err)
	}
}
