// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"math"
	"runtime"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
)

// registerDisk adds what the member's data take, as it was found last.
func (m *metrics) registerDisk(n *Member, fn func(name string, f func() float64)) {
	fn("pilot_raft_log_bytes", func() float64 { return float64(n.disk.use().log.Bytes) })
	fn("pilot_raft_oldest_entry_timestamp_seconds", func() float64 {
		if at := n.disk.use().oldest; !at.IsZero() {
			return unixSeconds(at)
		}
		return 0
	})
	fn("pilot_raft_log_free_bytes", func() float64 { return float64(n.disk.use().log.Free) })
	fn("pilot_snapshot_bytes", func() float64 { return float64(n.disk.use().snapshot.Bytes) })
	fn("pilot_snapshot_index", func() float64 { return float64(n.disk.use().snapshot.Index) })
	fn("pilot_snapshot_timestamp_seconds", func() float64 {
		if at := n.disk.use().snapshot.At; !at.IsZero() {
			return unixSeconds(at)
		}
		return 0
	})
	fn("pilot_disk_bytes", func() float64 { return float64(n.disk.use().bytes) })
	fn("pilot_disk_free_bytes", func() float64 { return float64(n.disk.use().free) })
}

// registerInfo adds what the member is and how it stands to the others.
func (m *metrics) registerInfo(n *Member, fn func(name string, f func() float64)) {
	fn("pilot_raft_last_contact_seconds", func() float64 {
		if n.engine.raft.State() == raft.Leader {
			return 0
		}
		if at := n.engine.raft.LastContact(); !at.IsZero() {
			return time.Since(at).Seconds()
		}
		return math.Inf(1)
	})
	fn("pilot_cluster_writes_stopped", func() float64 {
		if _, yes := n.health.writesStopped(); yes {
			return 1
		}
		return 0
	})
	fn("pilot_cluster_digest_compared_index", func() float64 { return float64(n.digests.compared.Load()) })
	constant := func(name string, labels []string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help(name)}, labels)
		m.collectors = append(m.collectors, v)
		return v
	}
	m.collectors = append(m.collectors, newCertificates(n.certs.certEnds))
	constant("pilot_build_info", []string{"version", "go_version"}).WithLabelValues(n.self.cfg.Version, runtime.Version()).Set(1)
}

// certificates shows when certificates end. They are read when they are
// shown: those of listeners come later than the member, and all can be renewed.
type certificates struct {
	all  func() map[string]time.Time
	ends *prometheus.Desc
}

func newCertificates(all func() map[string]time.Time) *certificates {
	const name = "pilot_certificate_expiry_timestamp_seconds"
	return &certificates{all: all, ends: prometheus.NewDesc(name, help(name), []string{"certificate"}, nil)}
}

// Describe implements prometheus.Collector.
func (c *certificates) Describe(out chan<- *prometheus.Desc) { out <- c.ends }

// Collect implements prometheus.Collector.
func (c *certificates) Collect(out chan<- prometheus.Metric) {
	for name, at := range c.all() {
		out <- prometheus.MustNewConstMetric(c.ends, prometheus.GaugeValue, unixSeconds(at), name)
	}
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
