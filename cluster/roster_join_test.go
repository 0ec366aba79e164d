// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/pilotregistry/pilotregistry/cluster/base/guess"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func (c *cluster) token(nonvoter bool, ttl time.Duration) string {
	c.t.Helper()
	token, _, e := c.leader().JoinToken(c.t.Context(), nonvoter, ttl)
	if e != nil {
		c.t.Fatal(e)
	}
	return token
}

func tryJoin(t *testing.T, token, advertise string) (string, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	return dir, Join(t.Context(), JoinConfig{DataDir: dir, Token: token, PeerAdvertise: advertise, Version: "test"})
}

func refusedWith(err error, code string) bool {
	var e *protocol.Error
	return errors.As(err, &e) && e.Code == code
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

// A source that guesses join tokens is refused after a while; the machine with
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
	if _, e := n.roster.handleJoiner(t.Context(), "192.0.2.1:1", junk); e == nil {
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
		if _, e := n.roster.handleJoiner(t.Context(), c.source, guessed); e == nil || e.Code != c.code {
			t.Errorf("from %s: %v, want %s", c.source, e, c.code)
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

// A machine that has seen a spent token, and the name of the member that spent
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
	if e := c.leader().Remove(t.Context(), "9b2a51f2-3c1e-4d5a-9a53-3a6f7e9f1d11", false); e != nil {
		t.Fatal(e)
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
