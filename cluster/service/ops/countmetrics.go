// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/fsm"
)

// counter is a metric of changes that the state counts.
type counter struct {
	cluster.MetricInfo
	series []series
}

// series is a value of a counter's label, empty for a counter without one.
type series struct {
	label string
	count fsm.Count
}

// counters have all their series from the first scrape on.
var counters = []counter{
	counts("pilot_registrations_total", "registrations, first ones and those that changed something", fsm.CountRegistrations),
	counts("pilot_deregistrations_total", "nodes deregistered", fsm.CountDeregistrations),
	counts("pilot_trust_reports_total", "reports of trust", fsm.CountTrustReports),
	counts("pilot_trust_revocations_total", "trust revoked", fsm.CountTrustRevocations),
	counts("pilot_handshake_requests_total", "handshake requests put in an inbox", fsm.CountHandshakeRequests),
	counts("pilot_invites_sent_total", "invites sent", fsm.CountInvitesSent),
	counts("pilot_invites_accepted_total", "invites accepted", fsm.CountInvitesAccepted),
	counts("pilot_invites_rejected_total", "invites rejected", fsm.CountInvitesRejected),
	{cluster.MetricInfo{Name: "pilot_rbac_operations_total", Kind: "counter", Labels: []string{"op"},
		Help: "changes of roles by command, by operation (kick, promote, demote, transfer_ownership); those of a directory or of a succession not among them"},
		[]series{{"kick", fsm.CountKicks}, {"promote", fsm.CountPromotions}, {"demote", fsm.CountDemotions}, {"transfer_ownership", fsm.CountTransfers}}},
	counts("pilot_policy_changes_total", "changes of network policies by set_network_policy", fsm.CountPolicyChanges),
	counts("pilot_key_rotations_total", "keys rotated", fsm.CountKeyRotations),
	counts("pilot_provisions_total", "blueprints that made or changed something", fsm.CountProvisions),
	counts("pilot_audit_export_errors_total", "deliveries to exports that failed: tries in vain, and events that became dead letters", fsm.CountExportErrors),
	counts("pilot_rbac_pre_assignments_total", "roles that waited for a person and were given on joining", fsm.CountPreAssigned),
}

func counts(name, help string, c fsm.Count) counter {
	return counter{cluster.MetricInfo{Name: name, Kind: "counter", Help: help}, []series{{"", c}}}
}

// collectCounts sends the counters of a state that counts.
func (c *stateCollector) collectCounts(root *fsm.Root, out chan<- prometheus.Metric) {
	for i := range counters {
		m := &counters[i]
		for _, s := range m.series {
			changes, counting := root.Count(s.count)
			if !counting {
				return
			}
			var labels []string
			if s.label != "" {
				labels = []string{s.label}
			}
			out <- prometheus.MustNewConstMetric(c.descs[m.Name], prometheus.CounterValue, float64(changes), labels...)
		}
	}
}
