// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/cluster/base/store"
	"github.com/pilotregistry/pilotregistry/cluster/base/termguard"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// identityOf is who a node is; it never changes.
type identityOf struct {
	id        string
	clusterID string
	caHash    string
	member    memberFile
	dir       *dataDir
	ring      *keyring.Keyring
}

// engine are the parts a node drives.
type engine struct {
	machine *fsm.Machine
	fsm     *adapter
	applied *indexWaiter
	store   *store.Store
	terms   *termguard.Guard
	trans   *termguard.Transport
	raft    *raft.Raft
	server  *peer.Server
	client  *peer.Client
	clock   *leaderClock
	batch   *batcher
	rounds  *readRounds
	mint    *minter
	hello   *greeter
	watch   *watchdog
	metrics *metrics
}

// conditions change while a node runs.
type conditions struct {
	// readyTerm is the term whose first command is applied here, while leading it.
	readyTerm  atomic.Uint64
	draining   atomic.Bool
	stopping   atomic.Bool
	caughtUp   atomic.Bool
	quarantine atomic.Pointer[string]
	// diverged stops writes: no majority agrees on a digest.
	diverged atomic.Pointer[string]
	// inflight counts proposals, own and forwarded.
	inflight atomic.Int64
	// confirms counts answered confirm requests.
	confirms  atomic.Uint64
	fatalOnce sync.Once
	stopOnce  sync.Once
}

// Member is a running member.
type Member struct {
	identityOf
	engine
	conditions
	cfg Config
	log hclog.Logger

	// changed is signalled when leadership or readiness changes.
	changed broadcast
	// skewedRounds counts the leader's comparisons in a row that found its clock
	// wrong; its duty only.
	skewedRounds int
	// membership serialises changes of raft's configuration.
	membership sync.Mutex
	cancel     context.CancelFunc
	wg         sync.WaitGroup
	// up is closed when the node is wired, left after Leave through the admin
	// client, dead when raft is stopped.
	up, left, dead chan struct{}
	leftOnce       func()
}

// Start runs the member of a data directory that Init or Join prepared. It
// returns when the member listens, not when it is ready: see Ready.
func Start(ctx context.Context, cfg Config) (*Member, error) {
	cfg = cfg.withDefaults()
	dir, err := openDataDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	n := &Member{cfg: cfg, log: cfg.Logger, up: make(chan struct{}), left: make(chan struct{}), dead: make(chan struct{})}
	n.leftOnce = sync.OnceFunc(func() { close(n.left) })
	n.dir = dir
	runCtx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	if err := errors.Join(ctx.Err(), n.wire(runCtx)); err != nil {
		n.abandon()
		return nil, err
	}
	return n, nil
}

// wire builds the node from the ground up.
func (n *Member) wire(ctx context.Context) error {
	id, err := n.load()
	if err != nil {
		return err
	}
	if err := n.checkLevel(); err != nil {
		return err
	}
	n.machine, n.applied = fsm.New(), &indexWaiter{}
	n.mint, n.watch = newMinter(), &watchdog{ops: map[uint64]storeOp{}}
	n.metrics = newMetrics()
	n.clock = &leaderClock{source: n.cfg.Clock}
	n.hello = newGreeter(n.member.Seeds)
	n.batch = newBatcher(n)
	n.rounds = &readRounds{ctx: ctx, ask: n.askIndex}
	n.fsm = &adapter{machine: n.machine, applied: n.applied, observe: n.metrics.snapshotOp, failed: n.storeFailed, onConfig: n.onConfiguration, onLevel: n.onLevel, noted: n.noteApplied,
		onHalt: func(reason string) { n.fatal(ExitDamaged, reason) }}
	known := peer.NewKnown()
	n.client = peer.NewClient(peer.ClientConfig{Identity: id, Known: known, Dial: n.cfg.hooks.dial, Addr: n.addressOf, Logger: n.log.Named("peer")})
	n.server, err = peer.Listen(n.cfg.PeerAddr, peer.ServerConfig{Identity: id, Known: known, Authorize: n.authorize, Handle: n.handle, Join: n.join, Panicked: n.metrics.peerPanicked, Logger: n.log.Named("peer")})
	if err != nil {
		return err
	}
	if n.cfg.PeerAdvertise == "" {
		n.cfg.PeerAdvertise = n.server.Addr().String()
	}
	if err := checkAdvertise(n.cfg.PeerAdvertise); err != nil {
		return err
	}
	notify := make(chan bool, 16)
	if err := n.openRaft(notify); err != nil {
		return err
	}
	if err := n.metrics.register(n); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	if err := n.dir.write([]byte(n.server.Addr().String()+"\n"), filePeerAddr); err != nil {
		return err
	}
	close(n.up)
	n.run(func() { n.watchLeadership(ctx, notify) })
	n.run(func() { n.batch.run(ctx) })
	n.run(func() { n.greet(ctx) })
	n.run(func() { n.guard(ctx) })
	n.run(func() { n.compareDigests(ctx) })
	n.run(func() { n.catchUp(ctx) })
	n.log.Info("member started", "member", n.id, "cluster", n.clusterID, "peer", n.cfg.PeerAdvertise, "version", n.cfg.Version)
	return nil
}

// load reads who this member is.
func (n *Member) load() (*peer.Identity, error) {
	m, err := n.dir.member()
	if err != nil {
		return nil, err
	}
	id, _, err := n.dir.identity(m)
	if err != nil {
		return nil, err
	}
	if n.ring, err = n.dir.keyring(); err != nil {
		return nil, err
	}
	n.member, n.id, n.clusterID, n.caHash = m, m.MemberID, m.ClusterID, id.CAHash()
	return id, nil
}

// addressProvider tells raft where a member is and, for Dial, which member it means.
type addressProvider struct{ n *Member }

// ServerAddr is called for every dial.
func (p addressProvider) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	addr, ok := p.n.addressOf(string(id))
	if !ok {
		return "", fmt.Errorf("no address known for member %s", id)
	}
	return peer.RaftAddress(string(id), addr), nil
}

// addressOf looks into raft's configuration first, then into the last hello.
func (n *Member) addressOf(id string) (string, bool) {
	if id == n.id {
		return n.cfg.PeerAdvertise, true
	}
	select {
	case <-n.up:
		for _, s := range n.servers() {
			if string(s.ID) == id {
				return string(s.Address), true
			}
		}
	default:
	}
	return n.hello.address(id)
}

// servers of the latest configuration this member knows.
func (n *Member) servers() []raft.Server {
	f := n.raft.GetConfiguration()
	if f.Error() != nil {
		return nil
	}
	return f.Configuration().Servers
}

func (n *Member) leaderID() string {
	_, id := n.raft.LeaderWithID()
	return string(id)
}

// removalGrace is how long a removed member keeps its connections, so that it
// gets the answer to its own request to be removed.
const removalGrace = 2 * time.Second

// onConfiguration is called by the state machine for committed configurations.
func (n *Member) onConfiguration(c raft.Configuration) {
	members := map[string]bool{}
	for _, s := range c.Servers {
		members[string(s.ID)] = true
	}
	n.hello.follow(members)
	n.run(func() {
		select {
		case <-n.dead:
		case <-time.After(removalGrace):
			n.server.KeepMembers(func(id string) bool { return id == n.id || n.knows(id) })
		}
	})
}

// Root is the newest applied state: immutable, and never torn.
func (n *Member) Root() *fsm.Root { return n.machine.Root() }

// Keyring holds the cluster's secret keys.
func (n *Member) Keyring() *keyring.Keyring { return n.ring }

// ID of this member.
func (n *Member) ID() string { return n.id }

// IsLeader reports whether this member leads and serves its term.
func (n *Member) IsLeader() bool { return n.leading(n.raft.CurrentTerm()) }

// LeaderID is the leader as far as this member knows, or empty.
func (n *Member) LeaderID() string { return n.leaderID() }

// PeerAddr is the address of the peer listener.
func (n *Member) PeerAddr() string { return n.server.Addr().String() }

// Changed returns a channel that is closed when leadership or readiness changes next.
func (n *Member) Changed() <-chan struct{} { return n.changed.next() }

// Left is closed when this member left its cluster at the request of an AdminClient.
func (n *Member) Left() <-chan struct{} { return n.left }

// join is handleJoiner, once the node is wired.
func (n *Member) join(ctx context.Context, remote string, payload []byte) ([]byte, *protocol.Error) {
	select {
	case <-n.up:
		return n.handleJoiner(ctx, remote, payload)
	case <-ctx.Done():
		return nil, protocol.NotAppliedf(codeNotReady, "member %s is starting", n.id)
	}
}

func (n *Member) run(f func()) {
	n.wg.Add(1)
	go func() {
		defer n.wg.Done()
		f()
	}()
}

// abandon undoes a Start that failed half-way.
func (n *Member) abandon() {
	n.stopping.Store(true)
	n.cancel()
	if n.raft != nil {
		_ = n.raft.Shutdown().Error()
	}
	var closers []io.Closer
	if n.trans != nil {
		closers = append(closers, n.trans)
	}
	if n.store != nil {
		closers = append(closers, n.store)
	}
	if n.server != nil {
		n.server.Close()
	}
	if n.client != nil {
		n.client.Close()
	}
	for _, c := range closers {
		_ = c.Close()
	}
	n.dir.close()
}
