// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// patience is how long a test waits for something that must happen. It is
// generous: two cores and the race detector share it.
const patience = 30 * time.Second

type fatalCall struct {
	code   int
	reason string
}

// member is a node of a test cluster, with what it takes to start it again.
type member struct {
	*Member
	id    string
	t     testing.TB
	cfg   Config
	fatal chan fatalCall
}

type cluster struct {
	t       testing.TB
	members []*member
	faults  *faults
	tune    func(i int, c *Config)
	base    string
}

// newCluster starts n voters. tune may change the configuration of the i-th member.
func newCluster(t testing.TB, n int, tune func(i int, c *Config)) *cluster {
	t.Helper()
	c := emptyCluster(t)
	c.tune = tune
	cfg := c.config(0)
	if _, err := Init(t.Context(), InitConfig{DataDir: cfg.DataDir, AdminToken: "admin-secret"}); err != nil {
		t.Fatal(err)
	}
	c.start(cfg)
	c.ready(c.members...)
	for i := 1; i < n; i++ {
		c.join(i, false)
	}
	c.eventually("all members vote", func() bool { return len(c.members[0].roster.voters()) == n })
	c.ready(c.members...)
	return c
}

// emptyCluster stops its members before their directories are removed.
func emptyCluster(t testing.TB) *cluster {
	c := &cluster{t: t, faults: newFaults(), base: t.TempDir()}
	t.Cleanup(c.stop)
	return c
}

func (c *cluster) config(i int) Config {
	cfg := Config{
		DataDir: filepath.Join(c.base, fmt.Sprint(i)), PeerAddr: freeAddr(c.t), Version: "test",
		Timeouts: Timeouts{Heartbeat: 400 * time.Millisecond, Election: 400 * time.Millisecond, LeaderLease: 200 * time.Millisecond},
		Duties:   Duties{StableFor: 50 * time.Millisecond, ComparePoll: 50 * time.Millisecond, StallLimit: 10 * time.Second},
	}
	if os.Getenv("CLUSTER_TEST_LOG") != "" {
		cfg.Logger = hclog.New(&hclog.LoggerOptions{Name: fmt.Sprint(i), Level: hclog.Debug})
	}
	cfg.PeerAdvertise = cfg.PeerAddr
	if c.tune != nil {
		c.tune(i, &cfg)
	}
	return cfg
}

// start runs a prepared data directory.
func (c *cluster) start(cfg Config) *member {
	c.t.Helper()
	m := &member{t: c.t, fatal: make(chan fatalCall, 1)}
	var id string
	cfg.hooks.dial = c.faults.dialer(func() string { return id })
	cfg.Fatal = func(code int, reason string) {
		select {
		case m.fatal <- fatalCall{code, reason}:
		default:
		}
	}
	dir := &dataDir{path: cfg.DataDir}
	file, err := dir.member()
	if err != nil {
		c.t.Fatal(err)
	}
	id = file.MemberID
	m.cfg = cfg
	n, err := Start(context.Background(), cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	m.Member, m.id = n, id
	c.members = append(c.members, m)
	return m
}

// join brings in one more member and starts it.
func (c *cluster) join(i int, nonvoter bool) *member {
	c.t.Helper()
	token, _, e := c.leader().JoinToken(c.t.Context(), nonvoter, 0)
	if e != nil {
		c.t.Fatal(e)
	}
	cfg := c.config(i)
	if err := Join(c.t.Context(), JoinConfig{DataDir: cfg.DataDir, Token: token, PeerAdvertise: cfg.PeerAdvertise, Version: "test"}); err != nil {
		c.t.Fatal(err)
	}
	return c.start(cfg)
}

// restart stops a member and starts it again on its data.
func (c *cluster) restart(m *member) *member {
	c.t.Helper()
	m.kill()
	for i, o := range c.members {
		if o == m {
			c.members = append(c.members[:i], c.members[i+1:]...)
			break
		}
	}
	return c.start(m.cfg)
}

func (c *cluster) stop() {
	c.faults.heal()
	for _, m := range c.members {
		m.kill()
	}
}

func (c *cluster) eventually(what string, ok func() bool) {
	c.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			c.dump()
			c.t.Fatalf("did not happen in %s: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (c *cluster) dump() {
	for _, m := range c.members {
		st := m.report.local()
		c.t.Logf("member %+v checks %+v", st, m.Checks())
	}
}

func (c *cluster) ready(members ...*member) {
	c.t.Helper()
	for _, m := range members {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if err := m.Ready(ctx); err != nil {
			c.dump()
			c.t.Fatal(err)
		}
		cancel()
	}
}

// leader waits until exactly one of the given members (all when none) leads and serves.
func (c *cluster) leader(among ...*member) *member {
	c.t.Helper()
	if len(among) == 0 {
		among = c.members
	}
	var found *member
	c.eventually("a leader", func() bool {
		for _, m := range among {
			if m.IsLeader() {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

func (c *cluster) others(m *member) []*member {
	var out []*member
	for _, o := range c.members {
		if o != m {
			out = append(out, o)
		}
	}
	return out
}

// node registers a node and returns its id.
func (c *cluster) node(m *member) uint32 {
	c.t.Helper()
	var key protocol.PublicKey
	key[0], key[1] = 7, byte(len(c.members))
	body := &protocol.Register{PublicKey: base64.StdEncoding.EncodeToString(key[:]), RegisterFacts: protocol.RegisterFacts{Endpoint: "192.0.2.1:4000"}}
	res := m.must(env(c.t, "register", body))
	var reply protocol.RegisterReply
	if err := json.Unmarshal(res.JSON(), &reply); err != nil {
		c.t.Fatal(err)
	}
	return reply.NodeID
}

func env(t testing.TB, name string, body any) fsm.Envelope {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return fsm.Envelope{Code: protocol.Must(name).Code, Body: raw, Source: "192.0.2.1:4000"}
}

// increment is a command that must take effect exactly once.
func increment(t testing.TB, node uint32, requestID string) fsm.Envelope {
	one := 1.0
	e := env(t, "update_polo_score", protocol.UpdatePoloScore{NodeID: node, Delta: &one})
	if requestID != "" {
		e.RequestID = requestID
		e.Hash = [32]byte{1}
	}
	return e
}

// score reads the counter from a member's own state.
func (m *member) score(node uint32) int64 {
	m.t.Helper()
	res, e := m.Root().Read(&fsm.Call{Row: protocol.Must("get_polo_score"), Body: &protocol.NodeRequest{NodeID: node}})
	if e != nil {
		m.t.Fatal(e)
	}
	return res.Reply.(*protocol.PoloScoreReply).PoloScore
}

// read is a linearizable read of the counter.
func (m *member) read(ctx context.Context, node uint32) (int64, *protocol.Error) {
	index, e := m.ReadIndex(ctx)
	if e == nil {
		e = m.WaitApplied(ctx, index)
	}
	if e != nil {
		return 0, e
	}
	return m.score(node), nil
}

func (m *member) mustRead(node uint32) int64 {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n, e := m.read(ctx, node)
	if e != nil {
		m.t.Fatal(e)
	}
	return n
}

func (m *member) must(e fsm.Envelope) fsm.Result {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	res, perr := m.Propose(ctx, e)
	if perr == nil {
		perr = res.Err
	}
	if perr != nil {
		m.t.Fatalf("%s: %s (%s)", perr.Code, perr.Text, perr.Outcome)
	}
	return res
}

// agree waits until all members have the same state.
func (c *cluster) agree(members ...*member) {
	c.t.Helper()
	c.eventually("members have the same state", func() bool {
		first := members[0].Root()
		for _, m := range members[1:] {
			if r := m.Root(); r.Index() != first.Index() || r.Digest() != first.Digest() {
				return false
			}
		}
		return true
	})
}

func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func isVoter(m *member, id string) bool {
	for _, s := range m.roster.servers() {
		if string(s.ID) == id {
			return s.Suffrage == raft.Voter
		}
	}
	return false
}

// kill stops without draining, as a crash would, but without leaking anything.
func (n *Member) kill() {
	n.stopOnce.Do(func() {
		n.self.draining.Store(true)
		n.engine.server.Abort()
		_ = n.stop()
	})
}
