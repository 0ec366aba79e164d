// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
)

func TestRestartKeepsEverything(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(_ int, cfg *Config) {
		cfg.Snapshots = Snapshots{Threshold: 20, TrailingLogs: 5, Interval: 50 * time.Millisecond}
	})
	node := c.node(c.members[0])
	for range 100 {
		c.members[1].must(increment(t, node, ""))
	}
	first := c.members[0].must(increment(t, node, "kept"))
	c.eventually("a snapshot", func() bool {
		found, _ := filepath.Glob(filepath.Join(c.members[0].cfg.DataDir, "snapshots", "*-*"))
		return len(found) > 0
	})
	leader := c.leader()
	for _, m := range c.members {
		m.kill()
	}
	old := c.members
	c.members = nil
	for _, m := range old {
		c.start(m.cfg)
	}
	c.ready(c.members...)
	for _, m := range c.members {
		if got := m.mustRead(node); got != 101 {
			t.Errorf("member %s reads %d", m.id, got)
		}
	}
	if again := c.members[2].must(increment(t, node, "kept")); !again.Replayed || again.Index != first.Index {
		t.Errorf("a request id was forgotten: %+v", again)
	}
	if c.leader().engine.raft.CurrentTerm() <= leader.engine.raft.CurrentTerm() {
		t.Error("the term did not grow")
	}
	c.agree(c.members...)
}

func TestForeignClusterIsRefused(t *testing.T) {
	t.Parallel()
	a, b := newCluster(t, 1, nil).members[0], newCluster(t, 1, nil).members[0]
	file, err := b.dir.member()
	if err != nil {
		t.Fatal(err)
	}
	id, err := b.dir.identity(file)
	if err != nil {
		t.Fatal(err)
	}
	client := peer.NewClient(peer.ClientConfig{Identity: id, Addr: func(string) (string, bool) { return a.PeerAddr(), true }})
	defer client.Close()
	_, err = client.Call(t.Context(), a.id, rpcStatus, nil)
	if !errors.Is(err, peer.ErrForeignCluster) {
		t.Errorf("got %v", err)
	}
	var transport *peer.TransportError
	if !errors.As(err, &transport) || transport.Sent {
		t.Errorf("a request left for a foreign cluster: %v", err)
	}
}

func TestDataDirs(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	m := c.members[0]
	if _, err := Start(t.Context(), m.cfg); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("second process on one directory: %v", err)
	}
	if _, err := Start(t.Context(), Config{DataDir: t.TempDir(), PeerAddr: "127.0.0.1:0"}); err == nil || !strings.Contains(err.Error(), "pilot-registry init") {
		t.Errorf("empty directory: %v", err)
	}
	m.kill()
	if _, err := Init(t.Context(), InitConfig{DataDir: m.cfg.DataDir}); err == nil || !strings.Contains(err.Error(), "already holds a member") {
		t.Errorf("init over a member: %v", err)
	}
	whole := filepath.Join(m.cfg.DataDir, fileMember)
	raw, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func() error{
		"is incomplete":                    func() error { return os.Remove(whole) },
		"is damaged":                       func() error { return os.WriteFile(whole, []byte("{"), 0o600) },
		"belongs to another cluster":       func() error { return rewrite(whole, raw, func(f *memberFile) { f.ClusterID = "other" }) },
		"member certificate is for member": func() error { return rewrite(whole, raw, func(f *memberFile) { f.MemberID = "other" }) },
		"has left cluster":                 func() error { return rewrite(whole, raw, func(f *memberFile) { f.Left = true }) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if n, err := Start(t.Context(), m.cfg); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want %q, got %v", what, err)
			if n != nil {
				n.kill()
			}
		}
	}
}

func rewrite(path string, raw []byte, change func(*memberFile)) error {
	var f memberFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return err
	}
	change(&f)
	out, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return os.WriteFile(path, out, 0o600)
}

func TestAdminClientAndLeave(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil)
	follower := c.others(c.leader())[0]
	admin, err := DialAdmin(follower.cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	st, err := admin.Status(t.Context())
	if err != nil || st.MemberID != follower.id || !st.Ready || len(st.Members) != 2 {
		t.Errorf("status %+v, %v", st, err)
	}
	if members, err := admin.Members(t.Context()); err != nil || len(members) != 2 || !members[0].Reachable || !members[1].Reachable {
		t.Errorf("members %+v, %v", members, err)
	}
	if token, expires, err := admin.JoinToken(t.Context(), false, time.Hour); err != nil || token == "" || time.Until(expires) < 50*time.Minute {
		t.Errorf("join token until %s, %v", expires, err)
	}
	if err := admin.Transfer(t.Context(), follower.id); err != nil {
		t.Fatal(err)
	}
	c.eventually("the follower leads", follower.IsLeader)
	if err := admin.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-follower.Left():
	case <-time.After(patience):
		t.Fatal("the process was not told that its member left")
	}
	rest := c.others(follower)
	if got := c.leader(rest...).roster.voters(); len(got) != 1 || got[0].ID == raft.ServerID(follower.id) {
		t.Errorf("voters after leaving: %+v", got)
	}
	follower.kill()
	if _, err := Start(t.Context(), follower.cfg); err == nil || !strings.Contains(err.Error(), "has left cluster") {
		t.Errorf("start after leaving: %v", err)
	}
}
