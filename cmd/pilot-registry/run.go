// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/cluster/base/guess"
	"github.com/pilotregistry/pilotregistry/cluster/service/delivery"
	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
	"github.com/pilotregistry/pilotregistry/cluster/service/tracing"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol/server"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// drainTimeout bounds an orderly stop: requests in flight, hand-over, shutdown.
const drainTimeout = 10 * time.Second

// envParent makes a member stop when its standard input ends: the way dev's
// members notice that dev is gone, however it went.
const envParent = envPrefix + "STOP_WITH_PARENT"

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use: "run", Short: "Run the member of a data directory", Args: cobra.NoArgs,
		Long: `run starts the member that init or join prepared. Every setting has a flag, an environment variable and a key in
the YAML file; flags win over the environment, the environment over the file, and the file over what init or join
kept in config.yaml in the data directory. On SIGTERM and SIGINT, and when
its terminal is closed, the member finishes what is in flight, hands leadership over and stops; it stays a member of
the cluster. Certificates in files are read again when the files change. On SIGHUP it takes log.level and the certificates
in files as they are now.`,
	}
	load := configFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		hung := catchHangUps()
		c, err := load()
		if err != nil {
			return err
		}
		ctx := cmd.Context()
		if os.Getenv(envParent) != "" {
			ctx = untilEOF(ctx, os.Stdin)
		}
		if err := c.startable(); err != nil {
			return err
		}
		return runMember(ctx, c, hung, load)
	}
	return cmd
}

// untilEOF ends the context when r ends.
func untilEOF(ctx context.Context, r io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, r) // any end is the end
		cancel()
	}()
	return ctx
}

// newLogger makes the log of a member; done writes what is held back.
func newLogger(c *config) (log hclog.Logger, done func() error) {
	out := newFoldLog(os.Stderr)
	log = hclog.New(&hclog.LoggerOptions{
		Name: "pilot-registry", Level: hclog.LevelFromString(c.Log.Level), JSONFormat: c.Log.Format == "json", Output: out,
	})
	return log, out.Close
}

// runMember runs until ctx ends, the member leaves its cluster, or a listener fails.
func runMember(ctx context.Context, c *config, hung *hangUps, load func() (*config, error)) error {
	log, done := newLogger(c)
	defer done()
	if err := fault.Serve(); err != nil {
		return err
	}
	for _, w := range c.warnings() {
		log.Warn(w)
	}
	memory := c.watchMemory(ctx, log)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	wire, err := net.Listen("tcp", c.Wire.Listen)
	if err != nil {
		return fmt.Errorf("wire listener: %w", err)
	}
	defer wire.Close()
	out, err := newOutbound(c, registry)
	if err != nil {
		return err
	}
	bounds, err := newBounds(c, memory, registry)
	if err != nil {
		return err
	}
	traces, err := c.traces(out, registry, log)
	if err != nil {
		return err
	}
	defer closeTraces(traces)
	go bounds.certs.watch(ctx, log)
	ctx = hung.watch(ctx, (&reloader{load: load, now: *c, log: log, certs: bounds.certs}).reload)
	engine := c.cluster(wire.Addr().String(), log, registry)
	traces.Attach(&engine)
	engine.Guesses, engine.Exempt, engine.Certificates = bounds.guesses, bounds.exempt, bounds.certs.ends
	engine.CertificateProblems = bounds.certs.problems
	backups, err := c.backups(registry)
	if err != nil {
		return err
	}
	engine.Extra = append(engine.Extra, out.keys, out.sinks(c.Outbound.FileDir, log), backups)
	node, err := cluster.Start(ctx, engine)
	if unusable := (*cluster.UnusableError)(nil); errors.As(err, &unusable) {
		return &exitError{code: cluster.ExitDamaged, err: err}
	}
	if err != nil {
		return err
	}
	front, backend, err := newFrontDoor(ctx, c, node, out, bounds, traces, log)
	if err != nil {
		return errors.Join(err, stop(nil, nil, node))
	}
	showState(registry, node, front, memory)
	opsServer, err := serveOps(ctx, c, node, backend, bounds, registry, log)
	if err != nil {
		return errors.Join(err, stop(nil, nil, node))
	}
	log.Info("serving clients", "address", wire.Addr().String(), "tls", c.Wire.TLS)
	err = serveClients(ctx, front, wire, node, log)
	return errors.Join(err, stop(front, opsServer, node))
}

// serveClients serves until ctx ends, the member leaves its cluster, or the listener fails.
func serveClients(ctx context.Context, front *server.Server, wire net.Listener, node *cluster.Member, log hclog.Logger) (err error) {
	served := make(chan error, 1)
	go func() { served <- front.Serve(wire) }()
	told := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	go func() { defer close(told); tellSupervisor(ctx, node) }()
	select {
	case <-ctx.Done():
		log.Info("stopping: finishing what is in flight")
	case <-node.Left():
		log.Info("this member has left the cluster")
	case err = <-served:
	}
	cancel()
	<-told
	return err
}

// showState registers the metrics of the state and of the budgets.
func showState(registry prometheus.Registerer, node *cluster.Member, front *server.Server, memory *ops.Memory) {
	for _, c := range []prometheus.Collector{delivery.Collector(node.Root), ops.StateCollector(node.Root)} {
		registry.MustRegister(ops.WhenCaughtUp(c, node.CaughtUp))
	}
	registry.MustRegister(ops.BudgetCollector(func() []server.Budget { return slices.Concat(front.Budgets(), writeBudgets(node), memory.Budgets()) }))
}

// writeBudgets are what writes share that wait at this member as leader.
func writeBudgets(node *cluster.Member) []server.Budget {
	commands, mostCommands, bytes, mostBytes := node.Queued()
	return []server.Budget{
		{Name: "writes", Used: int64(commands), Limit: int64(mostCommands)},
		{Name: "write_bytes", Used: int64(bytes), Limit: int64(mostBytes)},
	}
}

// stop drains: clients first, so that nothing new arrives, then the member.
func stop(front *server.Server, opsServer *http.Server, node *cluster.Member) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	var errs []error
	if front != nil {
		errs = append(errs, front.Shutdown(ctx))
	}
	errs = append(errs, node.Shutdown(ctx))
	if opsServer != nil {
		errs = append(errs, opsServer.Close())
	}
	return errors.Join(errs...)
}

// cluster translates the settings of the engine.
func (c *config) cluster(wireAddr string, log hclog.Logger, registry prometheus.Registerer) cluster.Config {
	return cluster.Config{
		DataDir: c.DataDir, PeerAddr: c.Peer.Listen, PeerAdvertise: c.Peer.Advertise,
		WireAdvertise: c.wireAdvertise(wireAddr), OpsAdvertise: c.reachable(c.Ops.Listen),
		Timeouts: cluster.Timeouts{Heartbeat: c.Raft.HeartbeatTimeout, Election: c.Raft.ElectionTimeout},
		Snapshots: cluster.Snapshots{Threshold: c.Raft.SnapshotThreshold, TrailingLogs: c.Raft.TrailingLogs,
			Interval: c.Raft.SnapshotInterval},
		Duties:   cluster.Duties{StableFor: c.Raft.StableFor},
		LogStore: c.Raft.LogStore, Logger: log, Version: buildVersion().Version, LevelMin: levelMin, LevelMax: levelMax,
		PreserveDowngrade: c.Upgrades.PreserveDowngrade, ManualPromotion: c.Raft.ManualPromotion, Registry: registry,
	}
}

// bounds are what callers are counted in, on the wire and on the peer
// listener, and the certificates that the listeners show.
type bounds struct {
	counts  *ops.FrontDoor
	exempt  share.Ranges
	guesses *guess.Guard
	certs   *certificates
	memory  *ops.Memory
}

func newBounds(c *config, memory *ops.Memory, registry prometheus.Registerer) (*bounds, error) {
	exempt, err := c.exempt()
	if err != nil {
		return nil, err
	}
	counts := ops.NewFrontDoor(registry)
	heard := exempt
	if !c.Rate.Enabled { // where sources say nothing, one guesser must not silence all
		heard = share.Ranges{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	}
	return &bounds{counts, exempt, guess.New(guess.Config{Exempt: heard, OnWrong: counts.WrongToken, OnRefused: counts.TokenNotLookedAt}), newCertificates(), memory}, nil
}

// policy are the switches for what clients may do.
func (c *config) policy() gateway.Policy {
	return gateway.Policy{
		OwnerReclaim:      c.Compat.OwnerReclaim,
		Register:          gateway.Access(c.Auth.Register),
		Polo:              gateway.Access(c.Auth.Polo),
		Beacon:            gateway.Access(c.Auth.Beacon),
		UnsignedRoles:     c.Compat.UnsignedRoleCommands,
		UnsignedIdentity:  c.Compat.UnsignedIdentity,
		LegacySignatures:  gateway.Legacy(c.Auth.LegacySignatures),
		Relay:             c.Wire.Relay,
		EndpointStaleness: c.Auth.EndpointStaleness,
		MaxRequest:        c.Wire.MaxRequest,
	}
}

func newFrontDoor(ctx context.Context, c *config, node *cluster.Member, out *outbound, b *bounds, traces *tracing.Tracing, log hclog.Logger) (*server.Server, *gateway.Gateway, error) {
	counts := b.counts
	verifier, err := identity.NewVerifier(c.Accounts.BadgeIssuers, c.Accounts.RecoveryKeys)
	if err != nil {
		return nil, nil, err
	}
	backend := gateway.New(node, gateway.Config{Policy: c.policy(), Outside: out.gateway(node, c.Outbound.FileDir), Metrics: counts,
		Verifier: verifier, Guesses: b.guesses, Exempt: b.exempt}, log)
	if every := c.Auth.NoteRefusals; every > 0 {
		go backend.NoteRefusals(ctx, every)
	}
	go backend.CountRequests(ctx, node.ID(), counts.Requests)
	cfg := server.Config{
		Backend: backend, MaxConns: connsFor(c.Wire.MaxConns, openFiles(), log), MaxConnsPerSource: c.Wire.MaxConnsPerSource,
		ReplyMemory: c.Wire.ReplyMemoryMiB << 20, MaxRequest: c.Wire.MaxRequest, Rates: c.rates(), Exempt: b.exempt, Logger: log.Named("wire"), Metrics: counts, Short: b.memory.Short,
		Timeouts: server.Timeouts{Idle: c.Wire.IdleTimeout, Request: c.Wire.RequestTimeout},
	}
	if traces != nil {
		cfg.Tracer = traces
	}
	if mode := c.wireCertificate(); mode != wireTLSOff {
		cfg.Plain = c.Wire.TLS == wireTLSBoth
		if cfg.TLS, err = b.certs.tlsFor("wire", mode, c.DataDir, c.Wire.TLSCert, c.Wire.TLSKey); err != nil {
			return nil, nil, err
		}
	}
	if c.wireCertificate() == wireTLSSelf {
		pin, err := wirePin(c.DataDir)
		if err != nil {
			return nil, nil, err
		}
		log.Info("wire certificate of the cluster in use", "pin", pin)
	}
	front, err := server.New(cfg)
	return front, backend, err
}

// wireCertificate is where the certificate of the wire listener is from.
func (c *config) wireCertificate() string {
	switch {
	case c.Wire.TLS != wireTLSBoth:
		return c.Wire.TLS
	case c.Wire.TLSCert != "":
		return wireTLSFiles
	}
	return wireTLSSelf
}
