// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/protocol"
)

type clusterData struct {
	Status  protocol.ClusterStatusReply
	Trouble []trouble
	Members []memberRow
	Upgrade *upgrade
	// Line has the last changes in a few words each, Changes as events.
	Line    []clusterChange
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
	// Host is nil when nothing is known of the member's machine.
	Host *hostRow
}

// hostRow is what a member says of its machine. The states are ok, warn or bad.
type hostRow struct {
	cluster.MemberHost
	// Free is how much of the disk is left, in percent.
	Free                         int
	Disk, Certificate, ClockWord string
}

// From when on something of a machine is marked.
const (
	lowDisk, scarceDisk   = 20, 10 // percent that is left
	certSoon, certNow     = 60 * 24 * time.Hour, 7 * 24 * time.Hour
	clockWrong, clockNote = 10 * time.Second, 5 * time.Second
)

func hostOf(h cluster.MemberHost, now time.Time) *hostRow {
	row := &hostRow{MemberHost: h, Disk: "ok", Certificate: "ok", ClockWord: "ok"}
	if h.DiskBytes > 0 {
		row.Free = int(h.DiskFree * 100 / h.DiskBytes)
		row.Disk = graded(int64(row.Free), scarceDisk, lowDisk)
	}
	ends := time.UnixMilli(min(h.CertificateEnds, h.CAEnds)).Sub(now)
	row.Certificate = graded(int64(ends), int64(certNow), int64(certSoon))
	row.ClockWord = graded(-int64(h.ClockOffset.Abs()), -int64(clockWrong), -int64(clockNote))
	return row
}

// troubles are what on a machine cannot wait. A clock that is wrong is among the
// problems of the cluster already.
func (h *hostRow) troubles(member string, now time.Time) (out []trouble) {
	if h.Disk == "bad" {
		out = append(out, trouble{fmt.Sprintf("member %s has %d %% of its disk left", member, h.Free), "make room on its machine: a member whose disk is full stops"})
	}
	if h.Certificate != "bad" {
		return out
	}
	if ends := time.UnixMilli(h.CertificateEnds); ends.Sub(now) < certNow {
		return append(out, trouble{fmt.Sprintf("the certificate of member %s ends on %s", member, ends.UTC().Format(time.DateOnly)), "look at its log: a certificate renews itself when two thirds of its life are over"})
	}
	return append(out, trouble{fmt.Sprintf("the certificate authority of the cluster ends on %s", time.UnixMilli(h.CAEnds).UTC().Format(time.DateOnly)), "plan a new cluster: the authority cannot be renewed"})
}

// graded is bad below one limit and a warning below the other.
func graded(value, bad, warn int64) string {
	switch {
	case value < bad:
		return "bad"
	case value < warn:
		return "warn"
	}
	return "ok"
}

func (c *Console) clusterPage(v *visit) (*content, *protocol.Error) {
	var hosts map[string]cluster.MemberHost
	var asked sync.WaitGroup
	asked.Go(func() { hosts = c.cfg.Hosts(v.r.Context()) })
	status := c.status(v.r.Context())
	asked.Wait()
	hour, now := c.history.list(), c.cfg.Now()
	d := &clusterData{Status: status, Plots: plotsOf(hour, now), History: rowsOf(hour), Upgrade: upgradeOf(status), Trouble: troubles(&status)}
	for _, m := range status.Members {
		d.Members = append(d.Members, memberOf(m, &status))
		if h, told := hosts[m.ID]; told {
			row := hostOf(h, now)
			d.Members[len(d.Members)-1].Host = row
			d.Trouble = append(d.Trouble, row.troubles(shortID(m.ID), now)...)
		}
	}
	if sinks, e := ask[protocol.AuditSinkListReply](v, "audit_sink_list", nil); e == nil {
		d.Failing = slices.DeleteFunc(sinks.Sinks, func(s protocol.AuditSink) bool { return s.Error == "" })
	}
	// The trail is beside the point here: the page is needed most when it cannot be read.
	if log, e := ask[protocol.GetAuditLogReply](v, "get_audit_log", map[string]any{"action": "cluster.*", "limit": 30}); e == nil {
		d.Line = lastChanges(log.Entries, hour)
		d.Changes = slices.DeleteFunc(log.Entries, func(e protocol.AuditEntry) bool { return e.Action == protocol.EventClusterTokenSeeded })
		d.Changes = d.Changes[:min(len(d.Changes), 10)]
	} else if e.Code == protocol.CodeAdminToken {
		return nil, e
	}
	return &content{Template: "cluster", Title: "Is the cluster healthy?", Data: d, Command: "pilotctl cluster status", Plots: true}, nil
}

func memberOf(m protocol.ClusterMember, status *protocol.ClusterStatusReply) memberRow {
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
	return row
}
