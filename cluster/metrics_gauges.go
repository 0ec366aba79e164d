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
	m.collectors = append(m.collectors, newCertificates(n.certs))
	constant("pilot_build_info", []string{"version", "go_version"}).WithLabelValues(n.self.cfg.Version, runtime.Version()).Set(1)
}

// certificates shows when certificates end and which cannot be replaced. They
// are read when they are shown: those of listeners come later than the member,
// and all can be renewed.
type certificates struct {
	*renewal
	ends, bad *prometheus.Desc
}

func newCertificates(r *renewal) *certificates {
	desc := func(name string) *prometheus.Desc {
		return prometheus.NewDesc(name, help(name), []string{"certificate"}, nil)
	}
	return &certificates{r, desc("pilot_certificate_expiry_timestamp_seconds"), desc("pilot_certificate_unusable")}
}

// Describe implements prometheus.Collector.
func (c *certificates) Describe(out chan<- *prometheus.Desc) { out <- c.ends; out <- c.bad }

// Collect implements prometheus.Collector.
func (c *certificates) Collect(out chan<- prometheus.Metric) {
	for name, at := range c.certEnds() {
		out <- prometheus.MustNewConstMetric(c.ends, prometheus.GaugeValue, unixSeconds(at), name)
	}
	for name, bad := range c.unusable() {
		value := 0.0
		if bad {
			value = 1
		}
		out <- prometheus.MustNewConstMetric(c.bad, prometheus.GaugeValue, value, name)
	}
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
