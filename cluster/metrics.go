// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/cluster/base/store"
	"github.com/prometheus/client_golang/prometheus"
)

// MetricInfo describes one metric; the documentation is made from it.
type MetricInfo struct {
	Name, Kind, Help string
	Labels           []string
}

// Metrics lists every metric of this package.
var Metrics = []MetricInfo{
	{"pilot_raft_leader", "gauge", "1 while this member leads, else 0", nil},
	{"pilot_raft_term", "gauge", "raft term", nil},
	{"pilot_raft_commit_index", "gauge", "index up to which entries are committed, as this member knows", nil},
	{"pilot_raft_applied_index", "gauge", "index up to which entries are applied to this member's state", nil},
	{"pilot_raft_last_log_index", "gauge", "index of the last entry in this member's log", nil},
	{"pilot_raft_last_contact_seconds", "gauge", "time since this member heard from the leader, 0 at the leader, +Inf before the first time", nil},
	{"pilot_raft_oldest_entry_timestamp_seconds", "gauge", "when the oldest entry in this member's log was made, by the clock of its leader, in Unix time, 0 for an empty log", nil},
	{"pilot_raft_log_bytes", "gauge", "size of the log store on disk", nil},
	{"pilot_raft_log_free_bytes", "gauge", "part of it that is written again before the file grows: free pages", nil},
	{"pilot_raft_leader_changes_total", "counter", "times this member gained or lost leadership", nil},
	{"pilot_cluster_entries_total", "counter", "log entries proposed by this member as leader", nil},
	{"pilot_cluster_commands_total", "counter", "commands in those entries", nil},
	{"pilot_cluster_batch_commands", "histogram", "commands per log entry", nil},
	{"pilot_cluster_commit_seconds", "histogram", "time from proposing an entry to its being applied", nil},
	{"pilot_cluster_confirm_rounds_total", "counter", "confirm rounds begun by this member as leader", nil},
	{"pilot_cluster_confirms_answered_total", "counter", "confirm rounds of leaders that this member answered", nil},
	{"pilot_cluster_waiting_proposals", "gauge", "proposals made on this member that are not answered yet", nil},
	{"pilot_cluster_queued_commands", "gauge", "commands waiting at this member as leader for the next entry", nil},
	{"pilot_cluster_forwards_total", "counter", "proposals sent on to the leader", nil},
	{"pilot_cluster_log_time_offset_seconds", "gauge", "log time minus the voters' median clock, at the leader; 0 elsewhere", nil},
	{"pilot_cluster_clock_offset_seconds", "gauge", "this member's wall clock minus the voters' median", nil},
	{"pilot_cluster_quarantined", "gauge", "1 when this member has stopped serving because its state or disk is suspect", nil},
	{"pilot_cluster_writes_stopped", "gauge", "1 while no member may write, because the voters' states differ", nil},
	{"pilot_cluster_digest_compared_index", "gauge", "newest checkpoint at which a majority of the voters had this member's state, 0 for none since its start", nil},
	{"pilot_certificate_expiry_timestamp_seconds", "gauge", "when a certificate ends, by certificate (member, ca: between members; wire, ops: of listeners with TLS), in Unix time", []string{"certificate"}},
	{"pilot_certificate_unusable", "gauge", "1 while a certificate should have been replaced and cannot be, by certificate: member, or the listener with its files", []string{"certificate"}},
	{"pilot_disk_bytes", "gauge", "size of the file system of the data directory", nil},
	{"pilot_disk_free_bytes", "gauge", "what is left of it for this member", nil},
	{"pilot_build_info", "gauge", "1, with the version and the Go version that it was built with", []string{"version", "go_version"}},
	{"pilot_peer_panics_total", "counter", "handlers on the peer listener that panicked, which closed their connection, by protocol (handshake, pilot-raft/1, pilot-rpc/1, pilot-join/1)", []string{"protocol"}},
	{"pilot_store_op_seconds", "histogram", "duration of operations on the log store", []string{"op"}},
	{"pilot_snapshot_seconds", "histogram", "duration of writing (persist) and reading (restore) snapshots", []string{"op"}},
	{"pilot_snapshot_bytes", "gauge", "size of the newest snapshot on disk, 0 before the first, as are the next two", nil},
	{"pilot_snapshot_index", "gauge", "index up to which it holds the state", nil},
	{"pilot_snapshot_timestamp_seconds", "gauge", "when it was written, in Unix time", nil},
}

var latencyBuckets = []float64{.0002, .0005, .001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 3}

// metrics of one member. Without a registry they are kept but shown nowhere.
type metrics struct {
	leaderChanges, entries, commands, rounds, forwards prometheus.Counter
	waiting, quarantined                               prometheus.Gauge
	batchCommands, commitSeconds                       prometheus.Histogram
	storeSeconds, snapshotSeconds                      *prometheus.HistogramVec
	peerPanics                                         *prometheus.CounterVec
	collectors                                         []prometheus.Collector
}

func help(name string) string {
	for _, m := range Metrics {
		if m.Name == name {
			return m.Help
		}
	}
	return ""
}

func newMetrics() *metrics {
	m := &metrics{}
	counter := func(name string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help(name)})
		m.collectors = append(m.collectors, c)
		return c
	}
	gauge := func(name string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help(name)})
		m.collectors = append(m.collectors, g)
		return g
	}
	vec := func(name string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help(name), Buckets: buckets}, labels)
		m.collectors = append(m.collectors, h)
		return h
	}
	histogram := func(name string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help(name), Buckets: buckets})
		m.collectors = append(m.collectors, h)
		return h
	}
	m.leaderChanges = counter("pilot_raft_leader_changes_total")
	m.entries = counter("pilot_cluster_entries_total")
	m.commands = counter("pilot_cluster_commands_total")
	m.rounds = counter("pilot_cluster_confirm_rounds_total")
	m.forwards = counter("pilot_cluster_forwards_total")
	m.waiting = gauge("pilot_cluster_waiting_proposals")
	m.quarantined = gauge("pilot_cluster_quarantined")
	m.batchCommands = histogram("pilot_cluster_batch_commands", []float64{1, 2, 4, 8, 16, 32, 64, 128, 256})
	m.commitSeconds = histogram("pilot_cluster_commit_seconds", latencyBuckets)
	const panics = "pilot_peer_panics_total"
	m.peerPanics = prometheus.NewCounterVec(prometheus.CounterOpts{Name: panics, Help: help(panics)}, []string{"protocol"})
	for _, proto := range []string{"handshake", peer.ProtoRaft, peer.ProtoRPC, peer.ProtoJoin} {
		m.peerPanics.WithLabelValues(proto) // shown as 0 until there is one
	}
	m.collectors = append(m.collectors, m.peerPanics)
	m.storeSeconds = vec("pilot_store_op_seconds", latencyBuckets, "op")
	for _, op := range store.Ops {
		m.storeSeconds.WithLabelValues(op)
	}
	m.snapshotSeconds = vec("pilot_snapshot_seconds", []float64{.01, .05, .1, .5, 1, 5, 10, 30}, "op")
	for _, op := range []string{"persist", "restore"} {
		m.snapshotSeconds.WithLabelValues(op)
	}
	return m
}

// register adds the gauges that are read when they are scraped, and registers all.
func (m *metrics) register(n *Member) error {
	if n.self.cfg.Registry == nil {
		return nil
	}
	fn := func(name string, f func() float64) {
		m.collectors = append(m.collectors, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help(name)}, f))
	}
	fn("pilot_raft_leader", func() float64 {
		if n.engine.raft.State() == raft.Leader {
			return 1
		}
		return 0
	})
	fn("pilot_raft_term", func() float64 { return float64(n.engine.raft.CurrentTerm()) })
	fn("pilot_raft_commit_index", func() float64 { return float64(n.engine.raft.CommitIndex()) })
	fn("pilot_raft_applied_index", func() float64 { return float64(n.self.applied.index.Load()) })
	fn("pilot_raft_last_log_index", func() float64 { return float64(n.engine.raft.LastIndex()) })
	fn("pilot_cluster_queued_commands", func() float64 { return float64(n.writes.batch.waiting()) })
	fn("pilot_cluster_log_time_offset_seconds", func() float64 { return n.term.logTimeOffset().Seconds() })
	fn("pilot_cluster_clock_offset_seconds", func() float64 { return n.clock.offset().Seconds() })
	m.registerDisk(n, fn)
	m.registerInfo(n, fn)
	const answered = "pilot_cluster_confirms_answered_total"
	m.collectors = append(m.collectors, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: answered, Help: help(answered)},
		func() float64 { return float64(n.reads.answered.Load()) }))
	for _, c := range m.collectors {
		if err := n.self.cfg.Registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *metrics) unregister(n *Member) {
	if n.self.cfg.Registry == nil {
		return
	}
	for _, c := range m.collectors {
		n.self.cfg.Registry.Unregister(c)
	}
}

func (m *metrics) batch(commands int, took time.Duration) {
	m.entries.Inc()
	m.commands.Add(float64(commands))
	m.batchCommands.Observe(float64(commands))
	m.commitSeconds.Observe(took.Seconds())
}

func (m *metrics) storeOp(name string, took time.Duration) {
	m.storeSeconds.WithLabelValues(name).Observe(took.Seconds())
}

func (m *metrics) snapshotOp(op string, took time.Duration) {
	m.snapshotSeconds.WithLabelValues(op).Observe(took.Seconds())
}

func (m *metrics) peerPanicked(protocol string) { m.peerPanics.WithLabelValues(protocol).Inc() }
