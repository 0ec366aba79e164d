// SPDX-License-Identifier: Apache-2.0

package console

import (
	"slices"

	"github.com/pilotregistry/pilotregistry/protocol"
)

type clusterData struct {
	Status  protocol.ClusterStatusReply
	Members []memberRow
	Changes []protocol.AuditEntry
	// Failing are the sinks whose events do not arrive.
	Failing []protocol.AuditSink
	// Plots and History are the last hour of this member, as pictures and in words.
	Plots   []plot
	History []historyRow
}

// memberRow is a member with its distance to the newest committed entry.
type memberRow struct {
	protocol.ClusterMember
	Lag   uint64
	State string
	Here  bool
}

func (c *Console) clusterPage(v *visit) (*content, *protocol.Error) {
	status := c.status(v.r.Context())
	hour := c.history.list()
	d := &clusterData{Status: status, Plots: plotsOf(hour, c.cfg.Now()), History: rowsOf(hour)}
	for _, m := range status.Members {
		row := memberRow{ClusterMember: m, State: "ok", Here: m.ID == status.MemberID}
		if m.AppliedIndex > 0 && status.CommitIndex > m.AppliedIndex {
			row.Lag = status.CommitIndex - m.AppliedIndex
		}
		switch {
		case !m.Reachable && !row.Here:
			row.State = "bad"
		case m.Problem != "":
			row.State = "warn"
		}
		d.Members = append(d.Members, row)
	}
	if sinks, e := ask[protocol.AuditSinkListReply](v, "audit_sink_list", nil); e == nil {
		d.Failing = slices.DeleteFunc(sinks.Sinks, func(s protocol.AuditSink) bool { return s.Error == "" })
	}
	// The trail is beside the point here: the page is needed most when it cannot be read.
	if log, e := ask[protocol.GetAuditLogReply](v, "get_audit_log", map[string]any{"action": "cluster.*", "limit": 10}); e == nil {
		d.Changes = log.Entries
	} else if e.Code == protocol.CodeAdminToken {
		return nil, e
	}
	return &content{Template: "cluster", Title: "Is the cluster healthy?", Data: d, Command: "pilotctl cluster status", Plots: true}, nil
}

type settingsData struct {
	Settings []protocol.SettingValue
	Features []protocol.Feature
	Level    uint32
	Tokens   *protocol.ClusterJoinTokenListReply
}

func (c *Console) settingsPage(v *visit) (*content, *protocol.Error) {
	list, e := ask[protocol.ListSettingsReply](v, "list_settings", nil)
	if e != nil {
		return nil, e
	}
	d := &settingsData{Settings: list.Settings, Features: protocol.Features, Level: c.status(v.r.Context()).FeatureLevel}
	if d.Tokens, e = ask[protocol.ClusterJoinTokenListReply](v, "cluster_join_token_list", nil); e != nil {
		return nil, e
	}
	return &content{Template: "settings", Title: "What is the registry set to?", Data: d, Command: "pilotctl setting list"}, nil
}
