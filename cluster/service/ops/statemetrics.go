// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/fsm"
)

// networksNamed bounds the networks that have series of their own; the rest
// are added up as otherNetworks. Networks are taken in the order they were made.
const (
	networksNamed = 1000
	otherNetworks = "other"
)

// total is a metric that is read off the replicated state.
type total struct {
	cluster.MetricInfo
	value func(*fsm.Root, *fsm.Totals) int64
}

var totals = []total{
	{gauge("pilot_nodes_online", "nodes that have given a sign of life in the last three minutes"), func(_ *fsm.Root, t *fsm.Totals) int64 { return int64(t.Nodes) }},
	{gauge("pilot_nodes_total", "nodes that are registered and not offline"), func(_ *fsm.Root, t *fsm.Totals) int64 { return int64(t.Nodes) }},
	{gauge("pilot_nodes_offline", "nodes that are silent and come back with a sign of life"), func(_ *fsm.Root, t *fsm.Totals) int64 { return int64(t.Offline) }},
	{gauge("pilot_trust_links", "pairs of nodes that trust each other"), func(_ *fsm.Root, t *fsm.Totals) int64 { return int64(t.TrustLinks) }},
	{gauge("pilot_task_executors", "online nodes that execute tasks"), func(_ *fsm.Root, t *fsm.Totals) int64 { return int64(t.Executors) }},
	{gauge("pilot_unique_tags", "different tags of online nodes"), func(_ *fsm.Root, t *fsm.Totals) int64 { return int64(t.Tags) }},
	{gauge("pilot_uptime_seconds", "age of the cluster, whatever members were up"), func(r *fsm.Root, _ *fsm.Totals) int64 { return r.Age() / 1000 }},
	{gauge("pilot_networks_total", "networks besides the backbone"), func(_ *fsm.Root, t *fsm.Totals) int64 { return int64(t.Networks) }},
	{gauge("pilot_networks_enterprise", "networks with enterprise features"), func(_ *fsm.Root, t *fsm.Totals) int64 { return int64(t.Enterprise) }},
	{gauge("pilot_invites_pending", "invites that wait for an answer"), func(_ *fsm.Root, t *fsm.Totals) int64 { return int64(t.Invites) }},
	{gauge("pilot_directory_synced_networks", "networks with roles that wait for people of a directory"), func(_ *fsm.Root, t *fsm.Totals) int64 { return int64(t.SyncedNetworks) }},
	{gauge("pilot_pubkeys_total", "public keys bound to nodes, also to those that are gone"), func(_ *fsm.Root, t *fsm.Totals) int64 { return int64(t.Keys) }},
	{gauge("pilot_handshake_inbox_size", "handshake requests that wait to be polled"), func(_ *fsm.Root, t *fsm.Totals) int64 { return int64(t.Requests) }},
	{gauge("pilot_handshake_responses_size", "answers to handshakes that wait to be polled"), func(_ *fsm.Root, t *fsm.Totals) int64 { return int64(t.Responses) }},
	{gauge("pilot_request_ids_bytes", "memory of request ids of nodes and token holders"), func(_ *fsm.Root, t *fsm.Totals) int64 { return t.KnownIDs }},
	{gauge("pilot_request_ids_strangers_bytes", "memory of request ids of everybody else"), func(_ *fsm.Root, t *fsm.Totals) int64 { return t.StrangersIDs }},
	{gauge("pilot_feature_level", "feature level of the cluster, 0 before it is initialised"), func(r *fsm.Root, _ *fsm.Totals) int64 { return int64(r.Level()) }},
}

// ofNetwork is a metric of each network.
type ofNetwork struct {
	cluster.MetricInfo
	value func(*fsm.NetworkTotals) int64
}

var ofNetworks = []ofNetwork{
	{network("pilot_network_members", "members of a network, offline ones included"), func(n *fsm.NetworkTotals) int64 { return int64(n.Members) }},
	{network("pilot_network_admins", "admins of a network, its owner not among them"), func(n *fsm.NetworkTotals) int64 { return int64(n.Admins) }},
	{network("pilot_network_owners", "owners of a network"), func(n *fsm.NetworkTotals) int64 { return int64(n.Owners) }},
	{network("pilot_network_enterprise", "1 for a network with enterprise features, else 0"), func(n *fsm.NetworkTotals) int64 { return one(n.Enterprise) }},
	{network("pilot_network_policy_set", "1 for a network that limits members or ports, else 0"), func(n *fsm.NetworkTotals) int64 { return one(n.PolicySet) }},
}

func gauge(name, help string) cluster.MetricInfo {
	return cluster.MetricInfo{Name: name, Kind: "gauge", Help: help}
}

func network(name, help string) cluster.MetricInfo {
	return cluster.MetricInfo{Name: name, Kind: "gauge", Help: help, Labels: []string{"network"}}
}

func one(set bool) int64 {
	if set {
		return 1
	}
	return 0
}

// StateMetrics lists the metrics that are read off the replicated state. They
// are the same on all members, as far as each has applied the log: take the
// maximum, not the sum.
var StateMetrics = func() (list []cluster.MetricInfo) {
	for _, t := range totals {
		list = append(list, t.MetricInfo)
	}
	for _, n := range ofNetworks {
		list = append(list, n.MetricInfo)
	}
	for _, c := range counters {
		list = append(list, c.MetricInfo)
	}
	return list
}()

// stateCollector reads the metrics at the time of a scrape.
type stateCollector struct {
	root  func() *fsm.Root
	descs map[string]*prometheus.Desc
}

// WhenCaughtUp keeps metrics of the state absent until a member has applied
// what it knew before it was started, so that they do not fall and rise again
// with a restart.
func WhenCaughtUp(c prometheus.Collector, caughtUp func() bool) prometheus.Collector {
	return &waiting{c, caughtUp}
}

type waiting struct {
	prometheus.Collector
	caughtUp func() bool
}

// Collect implements prometheus.Collector.
func (w *waiting) Collect(out chan<- prometheus.Metric) {
	if w.caughtUp() {
		w.Collector.Collect(out)
	}
}

// StateCollector makes the metrics of a member's state.
func StateCollector(root func() *fsm.Root) prometheus.Collector {
	c := &stateCollector{descs: map[string]*prometheus.Desc{}, root: root}
	for _, m := range StateMetrics {
		c.descs[m.Name] = prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range StateMetrics {
		out <- c.descs[m.Name]
	}
}

// Collect implements prometheus.Collector.
func (c *stateCollector) Collect(out chan<- prometheus.Metric) {
	root := c.root()
	send := func(m *cluster.MetricInfo, value int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(c.descs[m.Name], prometheus.GaugeValue, float64(value), labels...)
	}
	t := root.Totals()
	for i := range totals {
		send(&totals[i].MetricInfo, totals[i].value(root, &t))
	}
	sums, others := sumNetworks(root.EachNetwork)
	for i := range ofNetworks {
		for _, n := range sums {
			send(&ofNetworks[i].MetricInfo, ofNetworks[i].value(&n), n.Name)
		}
		if others.any {
			send(&ofNetworks[i].MetricInfo, others.sums[i], otherNetworks)
		}
	}
	c.collectCounts(root, out)
}

// rest adds up the networks that have no series of their own.
type rest struct {
	any  bool
	sums []int64 // in the order of ofNetworks
}

func sumNetworks(each func(func(fsm.NetworkTotals) bool)) (named []fsm.NetworkTotals, others rest) {
	others.sums = make([]int64, len(ofNetworks))
	each(func(n fsm.NetworkTotals) bool {
		if len(named) < networksNamed && n.Name != otherNetworks {
			named = append(named, n)
			return true
		}
		others.any = true
		for i := range ofNetworks {
			others.sums[i] += ofNetworks[i].value(&n)
		}
		return true
	})
	return named, others
}
