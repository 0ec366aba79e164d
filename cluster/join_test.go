// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/guess"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func (c *cluster) token(nonvoter bool, ttl time.Duration) string {
	c.t.Helper()
	token, _, perr := c.leader().JoinToken(c.t.Context(), nonvoter, ttl)
	if perr != nil {
		c.t.Fatal(perr)
	}
	return token
}

func tryJoin(t *testing.T, token, advertise string) (string, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	return dir, Join(t.Context(), JoinConfig{DataDir: dir, Token: token, PeerAdvertise: advertise, Version: "test"})
}

func refusedWith(err error, code string) bool {
	var perr *protocol.Error
	return errors.As(err, &perr) && perr.Code == code
}

func TestJoinTokens(t *testing.T) {
	t.Parallel()
	now := &shiftClock{}
	c := newCluster(t, 1, func(_ int, cfg *Config) { cfg.Clock = now })
	t.Run("is good once", func(t *testing.T) {
		token := c.token(false, 0)
		dir, err := tryJoin(t, token, freeAddr(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tryJoin(t, token, freeAddr(t)); !refusedWith(err, protocol.CodeTokenInvalid) {
			t.Errorf("second use: %v", err)
		}
		if err := Join(t.Context(), JoinConfig{DataDir: dir, Token: token, PeerAdvertise: freeAddr(t)}); err == nil || !strings.Contains(err.Error(), "already holds a member") {
			t.Errorf("joined into a used directory: %v", err)
		}
		for name, want := range map[string]os.FileMode{"": 0o700, "member.json": 0o600, "keyring": 0o600, "tls/member.key": 0o600} {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil || info.Mode().Perm() != want {
				t.Errorf("%q has mode %v, want %v (%v)", name, info.Mode().Perm(), want, err)
			}
		}
	})
	t.Run("wrong secret", func(t *testing.T) {
		parsed, err := peer.ParseToken(c.token(false, 0))
		if err != nil {
			t.Fatal(err)
		}
		parsed.Secret = "guess"
		if _, err := tryJoin(t, parsed.String(), freeAddr(t)); !refusedWith(err, protocol.CodeTokenInvalid) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another authority", func(t *testing.T) {
		parsed, err := peer.ParseToken(c.token(false, 0))
		if err != nil {
			t.Fatal(err)
		}
		parsed.CASHA256 = strings.Repeat("0", 64)
		if _, err := tryJoin(t, parsed.String(), freeAddr(t)); !errors.Is(err, peer.ErrForeignCluster) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no address to dial", func(t *testing.T) {
		for _, addr := range []string{"", "0.0.0.0:9100", ":9100", "[::]:9100", "host:0"} {
			if _, err := tryJoin(t, c.token(false, 0), addr); err == nil || !strings.Contains(err.Error(), "advertise") {
				t.Errorf("%q: %v", addr, err)
			}
		}
		if _, err := tryJoin(t, c.token(false, 0), "registry.example:9100"); !refusedWith(err, protocol.CodeInvalid) {
			t.Errorf("a mix of loopback and other addresses: %v", err)
		}
	})
	t.Run("levels", func(t *testing.T) {
		err := Join(t.Context(), JoinConfig{DataDir: filepath.Join(t.TempDir(), "data"), Token: c.token(false, 0), PeerAdvertise: freeAddr(t), LevelMin: 7, LevelMax: 9})
		if !refusedWith(err, protocol.CodeFeatureNotActive) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("expired", func(t *testing.T) {
		token := c.token(false, time.Minute)
		now.shift(2 * time.Minute)
		if _, err := tryJoin(t, token, freeAddr(t)); !refusedWith(err, protocol.CodeTokenInvalid) {
			t.Errorf("got %v", err)
		}
	})
}

func TestFirstTokenOfInit(t *testing.T) {
	t.Parallel()
	c := emptyCluster(t)
	cfg := c.config(0)
	res, err := Init(t.Context(), InitConfig{DataDir: cfg.DataDir, AdminToken: "top-secret-admin", ReplicationToken: "top-secret-repl", PeerAdvertise: cfg.PeerAdvertise})
	if err != nil {
		t.Fatal(err)
	}
	seeds, err := os.ReadFile(filepath.Join(cfg.DataDir, fileBootstrap))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(seeds), "top-secret") || strings.Contains(string(seeds), "PRIVATE KEY") {
		t.Error("the seeds hold a secret in the clear")
	}
	m := c.start(cfg)
	c.ready(m)
	if _, err := os.Stat(filepath.Join(cfg.DataDir, fileBootstrap)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the seeds are still there: %v", err)
	}
	for kind, secret := range map[fsm.TokenKind][2]string{
		fsm.TokenAdmin: {PurposeAdmin, "top-secret-admin"}, fsm.TokenReplication: {PurposeReplication, "top-secret-repl"},
	} {
		tokens := m.Root().Tokens(kind)
		if len(tokens) != 1 || !m.Keyring().Verify(tokens[0].MAC, secret[0], secret[1]) {
			t.Errorf("token %v is not in the state: %+v", kind, tokens)
		}
	}
	if m.Root().ClusterID() != res.ClusterID || m.ID() != res.MemberID {
		t.Errorf("cluster %s member %s, want %+v", m.Root().ClusterID(), m.ID(), res)
	}
	if _, err := tryJoin(t, res.JoinToken, freeAddr(t)); err != nil {
		t.Errorf("the first join token: %v", err)
	}
}

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

// TestLaggingMemberGetsASnapshot: what it missed is no longer in anybody's log.
func TestLaggingMemberGetsASnapshot(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(_ int, cfg *Config) {
		cfg.Snapshots = Snapshots{Threshold: 20, TrailingLogs: 2, Interval: 50 * time.Millisecond}
	})
	leader := c.leader()
	late := c.others(leader)[0]
	node := c.node(leader)
	late.kill()
	behind := late.engine.raft.LastIndex()
	rest := c.others(late)
	for range 60 {
		leader.must(increment(t, node, ""))
	}
	c.eventually("the logs are cut", func() bool {
		for _, m := range rest {
			first, err := m.engine.store.FirstIndex()
			if err != nil || first <= behind+1 {
				return false
			}
		}
		return true
	})
	late = c.restart(late)
	c.ready(late)
	if got := late.mustRead(node); got != 60 {
		t.Errorf("the late member reads %d", got)
	}
	c.agree(c.members...)
}

func TestMemberMovesToAnotherAddress(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	moved := c.others(c.leader())[0]
	node := c.node(moved)
	moved.cfg.PeerAddr = freeAddr(t)
	moved.cfg.PeerAdvertise = moved.cfg.PeerAddr
	moved = c.restart(moved)
	c.ready(c.members...)
	for _, s := range c.leader().roster.servers() {
		if string(s.ID) == moved.id && string(s.Address) != moved.cfg.PeerAddr {
			t.Errorf("the configuration has address %s, want %s", s.Address, moved.cfg.PeerAddr)
		}
	}
	if !isVoter(c.leader(), moved.id) {
		t.Error("the member lost its vote by moving")
	}
	moved.must(increment(t, node, ""))
	for _, m := range c.members {
		m.mustRead(node)
	}
}

func TestForeignClusterIsRefused(t *testing.T) {
	t.Parallel()
	a, b := newCluster(t, 1, nil).members[0], newCluster(t, 1, nil).members[0]
	file, err := b.dir.member()
	if err != nil {
		t.Fatal(err)
	}
	id, _, err := b.dir.identity(file)
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

func TestRemovedMemberIsRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	gone := c.others(leader)[0]
	stays := c.others(leader)[1]
	node := c.node(leader)
	if perr := stays.Remove(t.Context(), gone.id, false); perr != nil {
		t.Fatal(perr)
	}
	c.eventually("the removed member says so", func() bool {
		st := gone.Status(context.Background())
		return strings.Contains(strings.Join(st.Problems, "\n"), "do not accept this one")
	})
	if _, err := gone.engine.client.Call(t.Context(), leader.id, rpcStatus, nil); !errors.Is(err, peer.ErrNotMember) {
		t.Errorf("a removed member with a valid certificate: %v", err)
	}
	stays.must(increment(t, node, ""))
	for _, m := range leader.Root().Members() {
		if m.ID == gone.id {
			t.Error("the removed member's record is still there")
		}
	}
}

func TestRemoveAndTransferRules(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	follower, down := c.others(leader)[0], c.others(leader)[1]
	if perr := follower.TransferLeadership(t.Context(), "no-such-member"); perr == nil || perr.Code != protocol.CodeNotFound {
		t.Errorf("transfer to nobody: %v", perr)
	}
	c.eventually("the feature level allows the event", func() bool { return leader.Root().Level() >= fsm.LevelMin })
	if perr := follower.TransferLeadership(t.Context(), down.id); perr != nil {
		t.Fatal(perr)
	}
	c.eventually("the chosen member leads", down.IsLeader)
	if got := lastEvent(down, protocol.EventLeadershipTransferred); got != "system  from="+leader.id+" to="+down.id+" asked_at="+follower.id {
		t.Errorf("the audit log has %q", got)
	}
	down.kill()
	c.leader(leader, follower)
	perr := follower.Remove(t.Context(), leader.id, false)
	if perr == nil || perr.Code != protocol.CodeConflict {
		t.Errorf("removal that leaves one of two voters was not refused: %v", perr)
	}
	if perr := follower.Remove(t.Context(), down.id, false); perr != nil {
		t.Errorf("removal of the member that is down: %v", perr)
	}
	if got := len(c.leader(leader, follower).roster.voters()); got != 2 {
		t.Errorf("%d voters left", got)
	}
}

func TestManualPromotion(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, func(_ int, cfg *Config) { cfg.ManualPromotion = true })
	m := c.join(1, false)
	c.ready(m)
	if isVoter(m, m.id) {
		t.Error("promoted although promotion is manual")
	}
	c.eventually("the feature level allows the event", func() bool { return m.Root().Level() >= fsm.LevelMin })
	if perr := m.Promote(t.Context(), m.id); perr != nil {
		t.Fatal(perr)
	}
	c.eventually("the vote arrives", func() bool { return isVoter(m, m.id) })
	c.eventually("the audit log has it", func() bool {
		return lastEvent(m, protocol.EventClusterMemberPromoted) == "system  member_id="+m.id+" asked_at="+m.id
	})
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

// Somebody who tries join tokens is not heard after a while; the machine with
// the right one joins from elsewhere. Nothing long of what strangers send is logged.
func TestGuessingAJoinTokenStopsAtTheSource(t *testing.T) {
	t.Parallel()
	log := &lines{}
	now := &shiftClock{}
	c := newCluster(t, 1, func(_ int, cfg *Config) {
		cfg.Logger = hclog.New(&hclog.LoggerOptions{Output: log})
		cfg.Guesses = guess.New(guess.Config{Now: func() time.Time { return now.Now() }})
	})
	n := c.leader()
	junk := []byte(fmt.Sprintf(`{"member_id":%q,"name":"n","secret":"guess"}`, strings.Repeat("x", 60<<10)))
	if _, err := n.roster.handleJoiner(t.Context(), "192.0.2.1:1", junk); err == nil {
		t.Fatal("let in")
	}
	if longest := log.longest(); longest > 1<<10 {
		t.Errorf("a line of %d bytes was logged", longest)
	}
	guessed := []byte(`{"member_id":"9b2a51f2-3c1e-4d5a-9a53-3a6f7e9f1d11","name":"n","secret":"guess"}`)
	for range 40 {
		n.cfg.Guesses.Wrong("192.0.2.1:1", guess.Join)
	}
	for _, c := range []struct{ source, code string }{{"192.0.2.1:2", protocol.CodeRateLimited}, {"192.0.2.2:1", protocol.CodeTokenInvalid}} {
		if _, err := n.roster.handleJoiner(t.Context(), c.source, guessed); err == nil || err.Code != c.code {
			t.Errorf("from %s: %v, want %s", c.source, err, c.code)
		}
	}
	notes := map[string]uint64{}
	for note, times := range n.cfg.Guesses.Notes() {
		notes[note.String()] += times
	}
	if notes["join token_invalid 192.0.2.2"] != 1 || notes["join token_not_looked_at 192.0.2.1"] != 1 {
		t.Errorf("notes: %v", notes)
	}
	if _, err := tryJoin(t, c.token(false, 0), freeAddr(t)); err != nil {
		t.Errorf("the right token from elsewhere: %v", err)
	}
}

// Who has seen a token that was spent, and the name of the member that spent
// it, must not get in: not before that member is there, nor after it was removed.
func TestSpentJoinTokenGivesNoOtherKeyACertificate(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	raw := c.token(false, 0)
	token, err := peer.ParseToken(raw)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(csr []byte) error {
		t.Helper()
		payload, err := json.Marshal(joinRequest{MemberID: "9b2a51f2-3c1e-4d5a-9a53-3a6f7e9f1d11", CSR: csr, Name: token.Name, Secret: token.Secret,
			Peer: freeAddr(t), Version: "test", LevelMin: 1, LevelMax: fsm.LevelMax})
		if err != nil {
			t.Fatal(err)
		}
		_, err = peer.CallJoin(t.Context(), token, nil, payload)
		return err
	}
	_, csr, err := peer.NewMemberKey()
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := peer.NewMemberKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := ask(csr); err != nil {
		t.Fatal(err)
	}
	if err := ask(other); !refusedWith(err, protocol.CodeTokenInvalid) {
		t.Errorf("another key: %v", err)
	}
	if err := ask(csr); err != nil {
		t.Errorf("the same key tries again: %v", err)
	}
	if perr := c.leader().Remove(t.Context(), "9b2a51f2-3c1e-4d5a-9a53-3a6f7e9f1d11", false); perr != nil {
		t.Fatal(perr)
	}
	for _, key := range [][]byte{csr, other} {
		if err := ask(key); !refusedWith(err, protocol.CodeTokenInvalid) {
			t.Errorf("after the removal: %v", err)
		}
	}
}

// A member's id, address and version are stored, and shown in terminals, logs
// and the audit trail. Who holds a token joins under one spelling of an id, which
// nothing can be hidden in, and is not taken for a member that is there.
func TestAJoiningMachineCannotHideInTheNameOfAMember(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	token, err := peer.ParseToken(c.token(false, 0))
	if err != nil {
		t.Fatal(err)
	}
	_, csr, err := peer.NewMemberKey()
	if err != nil {
		t.Fatal(err)
	}
	ask := func(change func(*joinRequest)) error {
		t.Helper()
		req := joinRequest{MemberID: "9b2a51f2-3c1e-4d5a-9a53-3a6f7e9f1d11", CSR: csr, Name: token.Name, Secret: token.Secret,
			Peer: freeAddr(t), Version: "test", LevelMin: 1, LevelMax: fsm.LevelMax}
		change(&req)
		payload, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = peer.CallJoin(t.Context(), token, nil, payload)
		return err
	}
	there := c.leader().id
	for _, id := range []string{strings.ToUpper(there), "urn:uuid:" + there, "{" + there + "}", "@" + there + "@", "\n" + there + "\x1b", strings.ReplaceAll(there, "-", "")} {
		if err := ask(func(r *joinRequest) { r.MemberID = id }); !refusedWith(err, protocol.CodeInvalid) {
			t.Errorf("member id %q: %v", id, err)
		}
	}
	for name, change := range map[string]func(*joinRequest){
		"a version with control characters": func(r *joinRequest) { r.Version = "1.0\x1b[2J\nlevel=ERROR" },
		"a version of a kilobyte":           func(r *joinRequest) { r.Version = strings.Repeat("v", 1024) },
		"an address with a line break":      func(r *joinRequest) { r.Peer = "127.0.0.1\n:9100" },
		"an address that is no host":        func(r *joinRequest) { r.Peer = "a b@c:9100" },
		"a port that is no number":          func(r *joinRequest) { r.Peer = "127.0.0.1:http\u0085" },
	} {
		if err := ask(change); !refusedWith(err, protocol.CodeInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := ask(func(*joinRequest) {}); err != nil {
		t.Errorf("what was refused has spent the token: %v", err)
	}
}

// The token says who may vote; a member that asks for more does not get it.
func TestAMemberCannotGiveItselfAVote(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	greedy := c.join(1, true)
	c.ready(greedy)
	file, err := greedy.dir.member()
	if err != nil {
		t.Fatal(err)
	}
	file.NonVoter = false
	if err := greedy.dir.writeMember(file); err != nil {
		t.Fatal(err)
	}
	greedy = c.restart(greedy)
	c.ready(greedy)
	later := c.join(2, false)
	c.eventually("a member that came later has a vote", func() bool { return isVoter(c.leader(), later.id) })
	if isVoter(c.leader(), greedy.id) {
		t.Error("the member has a vote because it asked for one")
	}
}

func TestAMemberCannotMakeAnotherLeave(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil)
	victim, attacker := c.members[0], c.members[1]
	for _, op := range []adminRequest{{Op: opLeave}, {Op: opLeave, Lead: true}, {Op: opRemove, ID: victim.id, Force: true}} {
		var reply adminReply
		err := callJSON(t.Context(), attacker.engine.client, victim.id, rpcAdmin, op, &reply)
		if !refusedWith(err, protocol.CodePermissionDenied) {
			t.Errorf("%+v: %v", op, err)
		}
	}
	c.ready(victim, attacker)
}
