// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
)

// Member is a running member. It composes its parts and hands calls to them:
// the roster knows who belongs to the cluster, writes brings commands to the
// log, reads proves that a state is current, term does what only a leader does,
// and health takes the member out of service when it must not answer.
type Member struct {
	self    *self
	dir     *dataDir
	ring    *keyring.Keyring
	metrics *metrics
	clock   *leaderClock
	engine  *engine

	roster *roster
	hello  *greeter
	fence  *fence
	keys   *rotation
	writes *writes
	reads  *reads
	term   *term
	skew   *clockGuard

	health  *health
	levels  *levels
	certs   *renewal
	watch   *watchdog
	digests *digests
	marks   *marks
	confirm *confirmation
	repairs *repairs
	disk    *disk
	report  *reporter

	cancel   context.CancelFunc
	stopOnce sync.Once
	// left is closed when an AdminClient has made this member leave.
	left     chan struct{}
	leftOnce func()
}

// Start runs the member of a data directory that Init or Join prepared. It
// returns when the member listens, not when it is ready: see Ready.
func Start(ctx context.Context, cfg Config) (*Member, error) {
	cfg = cfg.withDefaults()
	dir, err := openDataDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	n := &Member{self: newSelf(cfg), dir: dir, metrics: newMetrics(), clock: &leaderClock{source: cfg.Clock}, left: make(chan struct{})}
	n.leftOnce = sync.OnceFunc(func() { close(n.left) })
	n.health = &health{self: n.self, quarantined: n.metrics.quarantined}
	n.levels = &levels{self: n.self, dir: dir, health: n.health}
	n.engine = &engine{self: n.self, dir: dir, health: n.health, metrics: n.metrics, ops: newStoreOps(), address: n.addressOf}
	runCtx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	if err := errors.Join(ctx.Err(), n.wire(runCtx)); err != nil {
		n.abandon()
		return nil, err
	}
	return n, nil
}

// wire builds the member from the ground up: files, network, raft, parts. No
// part is used before up is closed.
func (n *Member) wire(ctx context.Context) error {
	file, id, err := n.load()
	if err != nil {
		return err
	}
	if err := n.levels.check(); err != nil {
		return err
	}
	n.hello = &greeter{self: n.self, said: newHearsay(file.Seeds), ring: n.ring, health: n.health}
	if err := n.listen(id); err != nil {
		return err
	}
	n.engine.fsm = &adapter{machine: n.self.machine, applied: n.self.applied, observe: n.metrics.snapshotOp, failed: n.health.storeFailed, onConfig: n.onConfiguration, onLevel: n.levels.note, noted: n.engine.noteApplied, timed: n.self.tracer != nil,
		onHalt: func(reason string) { n.health.fatal(ExitDamaged, reason) }}
	n.marks = &marks{self: n.self, dir: n.dir}
	if err := n.marks.load(); err != nil {
		return err
	}
	n.confirm = &confirmation{self: n.self, marks: n.marks, since: file.Repaired, began: time.Now(), kick: make(chan struct{}, 1), confirmed: map[string]bool{}}
	n.engine.marks, n.engine.confirm = n.marks, n.confirm
	notify := make(chan bool, 16)
	if err := n.engine.open(notify); err != nil {
		return err
	}
	n.compose(ctx, file, id)
	n.disk.look()
	if err := n.metrics.register(n); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	if err := n.dir.write([]byte(n.engine.server.Addr().String()+"\n"), filePeerAddr); err != nil {
		return err
	}
	close(n.self.up)
	n.self.run(func() { n.confirm.seek(ctx) })
	n.self.run(func() { n.marks.keep(ctx) })
	n.self.run(func() { n.term.watch(ctx, notify) })
	n.self.run(func() { n.writes.batch.run(ctx) })
	n.self.run(func() { n.hello.greet(ctx) })
	n.self.run(func() { n.fence.tell(ctx) })
	n.self.run(func() { n.certs.keep(ctx) })
	n.self.run(func() { n.watch.guard(ctx) })
	n.self.run(func() { n.digests.compare(ctx) })
	n.self.run(func() { n.disk.watch(ctx) })
	n.self.run(func() { n.report.catchUp(ctx) })
	n.self.log.Info("member started", "member", n.self.id, "cluster", n.self.clusterID, "peer", n.self.cfg.PeerAdvertise, "version", n.self.cfg.Version)
	return nil
}

// load reads who this member is.
func (n *Member) load() (memberFile, *peer.Identity, error) {
	file, err := n.dir.member()
	if err != nil {
		return file, nil, err
	}
	id, err := n.dir.identity(file)
	if err != nil {
		return file, nil, err
	}
	if err := n.dir.refuseHalfRecovered(); err != nil {
		return file, nil, err
	}
	if err := n.dir.beginAnew(&file); err != nil {
		return file, nil, err
	}
	if n.ring, err = n.dir.keyring(); err != nil {
		return file, nil, err
	}
	n.self.id, n.self.clusterID = file.MemberID, file.ClusterID
	if n.self.cfg.Tracer != nil {
		n.self.tracer = n.self.cfg.Tracer(file.MemberID)
	}
	return file, id, nil
}

// listen opens the connections to other members.
func (n *Member) listen(id *peer.Identity) (err error) {
	cfg, known := &n.self.cfg, peer.NewKnown()
	id.Now = n.self.certTime
	n.engine.client = peer.NewClient(peer.ClientConfig{Identity: id, Known: known, Dial: cfg.hooks.dial, Addr: n.addressOf, Logger: n.self.log.Named("peer")})
	n.engine.server, err = peer.Listen(cfg.PeerAddr, peer.ServerConfig{Identity: id, Known: known, Authorize: n.authorize, Handle: n.handle, Join: n.join, Panicked: n.metrics.peerPanicked, Logger: n.self.log.Named("peer")})
	if err != nil {
		return err
	}
	if cfg.PeerAdvertise == "" {
		cfg.PeerAdvertise = n.engine.server.Addr().String()
	}
	return CheckAdvertise(cfg.PeerAdvertise)
}

// compose makes the parts and shows them to one another.
func (n *Member) compose(ctx context.Context, file memberFile, id *peer.Identity) {
	self, r, client := n.self, n.engine.raft, n.engine.client
	n.term = &term{self: self, raft: r, clock: n.clock, health: n.health, seeds: n.dir, ring: n.ring, changes: n.metrics.leaderChanges, duties: n.duties}
	router := &router{id: self.id, term: n.term, peers: client}
	n.term.router = router
	n.roster = &roster{self: self, ring: n.ring, identity: id, raft: r, conns: client, router: router, clock: n.clock, term: n.term, said: n.hello.said}
	n.roster.epoch = file.Epoch
	n.roster.marks, n.roster.peers = n.marks, client
	n.fence = &fence{self: self, epoch: file.Epoch, behind: file.Fenced, peers: client, health: n.health}
	n.hello.roster, n.hello.term, n.hello.peers = n.roster, n.term, client
	n.reads = newReads(ctx, &reads{self: self, raft: r, peers: client, roster: n.roster, term: n.term, health: n.health, clock: n.clock, begun: n.metrics.rounds})
	n.writes = newWrites(&writes{self: self, raft: r, peers: client, roster: n.roster, term: n.term, health: n.health, clock: n.clock, metrics: n.metrics, lastApplied: n.engine.fsm.timedEntry.Load})
	n.certs = &renewal{self: self, dir: n.dir, identity: id, roster: n.roster, term: n.term}
	n.disk = &disk{path: n.dir.path, store: n.engine.store, snaps: n.engine.snaps}
	n.report = &reporter{self: self, raft: r, peers: client, roster: n.roster, hello: n.hello, term: n.term, reads: n.reads, health: n.health, clock: n.clock, ring: n.ring, wantsVote: !file.NonVoter,
		disk: n.disk, certs: n.certs, confirm: n.confirm}
	n.roster.reads, n.roster.writes, n.roster.status = n.reads, n.writes, n.report
	n.term.roster, n.term.reads, n.term.writes = n.roster, n.reads, n.writes
	n.skew = &clockGuard{term: n.term}
	n.levels.roster = n.roster
	n.keys = &rotation{self: self, ring: n.ring, raft: r, peers: client, roster: n.roster, writes: n.writes}
	n.watch = &watchdog{self: self, ops: n.engine.ops, raft: r, writes: n.writes.batch, reads: n.reads, health: n.health, conns: n.engine}
	n.digests = &digests{self: self, raft: r, trans: n.engine.trans, logs: n.engine.store, peers: client, roster: n.roster, health: n.health}
	n.marks.peers, n.marks.roster = client, n.roster
	n.confirm.peers, n.confirm.roster = client, electorate{n.roster}
	n.confirm.end = func() logEnd { return endOf(r.Stats()) }
	n.confirm.old = func(reason string) {
		n.digests.standAside(fmt.Sprintf("%s: the data directory %s is an old copy; `pilot-registry cluster repair %s` on another member's machine gives it the others' log", reason, n.dir.path, self.id))
	}
	n.repairs = &repairs{self: self, dir: n.dir, health: n.health}
}

// duties are what this member does while it leads.
func (n *Member) duties() []Duty {
	c := n.self.cfg.Duties
	built := []Duty{
		dutyFunc{"tick", c.TickAfter / 4, n.writes.tick},
		dutyFunc{"sweep", c.SweepEvery, sweep},
		dutyFunc{"level", time.Second, n.levels.raise},
		dutyFunc{"checkpoint", min(c.CheckpointEvery, time.Second), n.digests.checkpointDue()},
		dutyFunc{"promoter", max(c.StableFor/4, 20*time.Millisecond), newPromoter(n.roster).look},
		dutyFunc{"clock", c.ClockEvery, n.skew.look},
		dutyFunc{"marks", marksEvery, n.marks.share()},
	}
	return append(built, n.self.cfg.Extra...)
}

// addressOf looks into raft's configuration first, then into what members said.
func (n *Member) addressOf(id string) (string, bool) {
	if id == n.self.id {
		return n.self.cfg.PeerAdvertise, true
	}
	if n.self.started() {
		if s, ok := n.roster.find(id); ok {
			return string(s.Address), true
		}
		if addr, ok := n.fence.behind[id]; ok {
			return addr, true
		}
	}
	return n.hello.said.address(id)
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
	n.hello.said.follow(members)
	n.self.run(func() {
		select {
		case <-n.self.dead:
			return
		case <-time.After(removalGrace):
		}
		if n.self.started() {
			n.engine.server.KeepMembers(func(id string) bool { return id == n.self.id || n.roster.knows(id) })
		}
	})
}

// abandon undoes a Start that failed half-way.
func (n *Member) abandon() {
	n.self.stopping.Store(true)
	n.cancel()
	n.engine.abandon()
	n.dir.close()
}
