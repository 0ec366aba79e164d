// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// originalMetrics are the metrics of the original registry by kind.
var originalMetrics = map[string][]string{
	"histogram": {"pilot_request_duration_seconds"},
	"gauge": {
		"pilot_nodes_online", "pilot_nodes_total", "pilot_trust_links", "pilot_task_executors", "pilot_uptime_seconds", "pilot_networks_total",
		"pilot_networks_enterprise", "pilot_invites_pending", "pilot_idp_configured", "pilot_webhook_configured", "pilot_audit_export_active",
		"pilot_directory_synced_networks", "pilot_network_members", "pilot_network_admins", "pilot_network_owners", "pilot_network_enterprise",
		"pilot_network_policy_set",
	},
	"counter": {
		"pilot_requests_total", "pilot_errors_total", "pilot_registrations_total", "pilot_deregistrations_total", "pilot_trust_reports_total",
		"pilot_trust_revocations_total", "pilot_handshake_requests_total", "pilot_audit_events_total", "pilot_invites_sent_total",
		"pilot_invites_accepted_total", "pilot_invites_rejected_total", "pilot_rbac_operations_total", "pilot_policy_changes_total",
		"pilot_key_rotations_total", "pilot_provisions_total", "pilot_audit_exports_total", "pilot_audit_export_errors_total",
		"pilot_idp_verifications_total", "pilot_rbac_pre_assignments_total",
	},
}

// fromTheStart are the series that every member shows as 0 before anything has
// happened.
var fromTheStart = map[string]int{
	"pilot_nodes_online": 0, "pilot_nodes_total": 0, "pilot_nodes_offline": 0, "pilot_trust_links": 0, "pilot_task_executors": 0, "pilot_unique_tags": 0,
	"pilot_networks_total": 0, "pilot_networks_enterprise": 0, "pilot_invites_pending": 0, "pilot_directory_synced_networks": 0,
	"pilot_idp_configured": 0, "pilot_webhook_configured": 0, "pilot_audit_export_active": 0,
	"pilot_registrations_total": 0, "pilot_deregistrations_total": 0, "pilot_trust_reports_total": 0, "pilot_trust_revocations_total": 0,
	"pilot_handshake_requests_total": 0, "pilot_invites_sent_total": 0, "pilot_invites_accepted_total": 0, "pilot_invites_rejected_total": 0,
	`pilot_rbac_operations_total{op="kick"}`: 0, `pilot_rbac_operations_total{op="promote"}`: 0, `pilot_rbac_operations_total{op="demote"}`: 0,
	`pilot_rbac_operations_total{op="transfer_ownership"}`: 0, "pilot_policy_changes_total": 0, "pilot_key_rotations_total": 0,
	"pilot_provisions_total": 0, "pilot_audit_exports_total": 0, "pilot_audit_export_errors_total": 0, "pilot_rbac_pre_assignments_total": 0,
}

// agreed are the series whose value depends on time or on the story as a
// whole: all members show the same, and it never falls.
var agreed = []string{"pilot_audit_events_total", "pilot_audit_exports_total"}

// scrape reads the metrics of a member by series. A member that was just
// started may not listen yet.
func scrape(n harness.Member) (page string, series map[string]float64, err error) {
	resp, err := http.Get("http://" + n.Ops + "/metrics")
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", nil, err
	}
	series = map[string]float64{}
	for line := range strings.Lines(string(raw)) {
		name, value, found := strings.Cut(strings.TrimSpace(line), "} ")
		if found {
			name += "}"
		} else if name, value, _ = strings.Cut(strings.TrimSpace(line), " "); name == "#" {
			continue
		}
		if series[name], err = strconv.ParseFloat(value, 64); err != nil {
			return "", nil, fmt.Errorf("%s: %w", line, err)
		}
	}
	return string(raw), series, nil
}

// metricStory changes a cluster and knows what its members have to show.
type metricStory struct {
	t     *testing.T
	c     *harness.Cluster
	wire  *sender
	want  map[string]int
	least map[string]float64 // of agreed, what was shown before
}

// shown waits until every member shows what is wanted.
func (s *metricStory) shown(when string) {
	s.t.Helper()
	ready, err := s.c.Ready()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, n := range ready.Nodes {
		await(s.t, when+": the metrics of "+n.ID, func() (any, bool) {
			now, err := s.c.Ready() // a member that was started again may have another port
			if err != nil {
				return err, false
			}
			for _, m := range now.Nodes {
				if m.ID == n.ID {
					n = m
				}
			}
			_, got, err := scrape(n)
			if err != nil {
				return err, false
			}
			return s.missing(got)
		})
	}
	s.agree(ready.Nodes, when)
}

func (s *metricStory) missing(got map[string]float64) (any, bool) {
	var wrong []string
	for series, want := range s.want {
		if value, there := got[series]; !there || value != float64(want) {
			wrong = append(wrong, fmt.Sprintf("%s is %v (there: %t), want %d", series, value, there, want))
		}
	}
	if _, there := got["pilot_uptime_seconds"]; !there {
		wrong = append(wrong, "pilot_uptime_seconds is not there")
	}
	return wrong, len(wrong) == 0
}

// agree waits until all members show the same of what goes on by itself.
func (s *metricStory) agree(members []harness.Member, when string) {
	s.t.Helper()
	for _, name := range agreed {
		await(s.t, when+": "+name, func() (any, bool) {
			var values []float64
			for _, n := range members {
				_, got, err := scrape(n)
				if err != nil {
					return err, false
				}
				values = append(values, got[name])
			}
			same := values[0] >= s.least[name]
			for _, v := range values {
				same = same && v == values[0]
			}
			if same {
				s.least[name] = values[0]
			}
			return fmt.Sprint(values, ", before ", s.least[name]), same
		})
	}
}

// step carries something out and adds what it changes.
func (s *metricStory) step(what string, do func(), changes map[string]int) {
	s.t.Helper()
	do()
	for series, by := range changes {
		s.want[series] += by
	}
	s.shown(what)
}

// Every metric of the original has its name, kind and a series of 0 on every
// member before anything has happened, except those of networks, of which
// there are none. Each action changes what it should, on every member, and
// nothing else; a change of leader and a rolling restart change nothing.
func TestStateMetricsOfEveryMember(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{Members: 3})
	s := &metricStory{t: t, c: c, wire: follower(t, c), want: maps.Clone(fromTheStart), least: map[string]float64{}}
	s.shown("a new cluster")
	ready, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range ready.Nodes {
		s.declared(n, false)
	}
	nodes := s.people()
	s.trust(nodes)
	fleet, lab := s.networks(nodes)
	s.roles(nodes, fleet, lab)
	s.configuration()
	s.leaving(nodes, fleet)
	for _, n := range ready.Nodes {
		s.declared(n, true)
	}
	s.ofProcesses(ready.Nodes)
	leaderGone(t, c)
	s.shown("after the leader was killed")
	s.wire = follower(t, c)
	s.step("another registration", func() { s.register() }, map[string]int{"pilot_registrations_total": 1, "pilot_nodes_online": 1, "pilot_nodes_total": 1})
	r := &roller{Cluster: c, t: t}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, id := range r.followersFirst() {
		r.restart(ctx, id, syscall.SIGTERM)
	}
	s.shown("after a rolling restart")
}

// declared looks for the names, kinds and help of all metrics of the original.
func (s *metricStory) declared(n harness.Member, networks bool) {
	s.t.Helper()
	page, _, err := scrape(n)
	if err != nil {
		s.t.Fatal(err)
	}
	found := 0
	for kind, names := range originalMetrics {
		for _, name := range names {
			if strings.HasPrefix(name, "pilot_network_") && !networks {
				continue
			}
			found++
			if !strings.Contains(page, "\n# TYPE "+name+" "+kind+"\n") || !strings.Contains(page, "\n# HELP "+name+" ") {
				s.t.Errorf("%s does not show the %s %s with its help", n.ID, kind, name)
			}
		}
	}
	if networks && found != 37 {
		s.t.Errorf("%d metrics of the original, want 37", found)
	}
}

// ofProcesses adds up what each member has counted by itself.
func (s *metricStory) ofProcesses(members []harness.Member) {
	s.t.Helper()
	sums := map[string]float64{}
	for _, n := range members {
		_, got, err := scrape(n)
		if err != nil {
			s.t.Fatal(err)
		}
		for series, v := range got {
			sums[series] += v
		}
	}
	for series, want := range map[string]float64{
		`pilot_requests_total{type="revoke_trust"}`: 1, `pilot_errors_total{type="revoke_trust"}`: 0, `pilot_request_duration_seconds_count{type="revoke_trust"}`: 1,
		`pilot_requests_total{type="kick_member"}`: 2, `pilot_errors_total{type="kick_member"}`: 1, `pilot_request_duration_seconds_count{type="kick_member"}`: 2,
		"pilot_idp_verifications_total": 1,
	} {
		if sums[series] != want {
			s.t.Errorf("%s is %v in all, want %v", series, sums[series], want)
		}
	}
	for _, name := range agreed { // the export may still wait for its second try
		s.least[name] = max(s.least[name], 1)
	}
	s.agree(members, "events and exports")
}
