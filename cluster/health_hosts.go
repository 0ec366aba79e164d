// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"sync"
	"time"
)

// MemberHost is what a member says of the machine that it runs on. Times are
// Unix milliseconds, 0 when there is none.
type MemberHost struct {
	// DiskBytes is the size of the file system of the data directory, DiskFree
	// what is left of it for this member.
	DiskBytes uint64 `json:"disk_bytes,omitempty"`
	DiskFree  uint64 `json:"disk_free,omitempty"`
	// Listeners are when the certificates of its listeners end: wire, ops.
	Listeners map[string]int64 `json:"listeners,omitempty"`
	// CertificateProblem is why a certificate of the member cannot be renewed.
	CertificateProblem string `json:"certificate_problem,omitempty"`
	// CertificateEnds is of the member's certificate, CAEnds of the cluster's CA.
	CertificateEnds int64 `json:"certificate_ends,omitempty"`
	CAEnds          int64 `json:"ca_ends,omitempty"`
	// SnapshotAt is when the newest snapshot was written.
	SnapshotAt int64 `json:"snapshot_at,omitempty"`
	// ClockOffset is the member's clock minus the median of the voters' clocks.
	ClockOffset time.Duration `json:"-"`
}

// host is what this member says of its own machine.
func (p *reporter) host() *MemberHost {
	use := p.disk.use()
	h := &MemberHost{DiskBytes: use.bytes, DiskFree: use.free}
	if !use.snapshot.At.IsZero() {
		h.SnapshotAt = use.snapshot.At.UnixMilli()
	}
	h.CertificateProblem = p.certs.failing()
	for name, at := range p.certs.certEnds() {
		switch name {
		case certMember:
			h.CertificateEnds = at.UnixMilli()
		case certCA:
			h.CAEnds = at.UnixMilli()
		default:
			if h.Listeners == nil {
				h.Listeners = map[string]int64{}
			}
			h.Listeners[name] = at.UnixMilli()
		}
	}
	return h
}

// hosts asks every member about its machine, for at most half a second each.
// Members that do not answer, and those of versions that do not tell, are
// left out.
func (p *reporter) hosts(ctx context.Context) map[string]MemberHost {
	servers := p.roster.servers()
	answers := make([]*MemberHost, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Go(func() {
			st, err := p.ask(ctx, string(s.ID))
			if err != nil || st.Host == nil {
				return
			}
			st.Host.ClockOffset = time.Duration(st.ClockOffsetMS) * time.Millisecond
			answers[i] = st.Host
		})
	}
	wg.Wait()
	out := map[string]MemberHost{}
	for i, s := range servers {
		if answers[i] != nil {
			out[string(s.ID)] = *answers[i]
		}
	}
	return out
}

// Hosts are what the members that answer say of their machines, by member id.
// It works without a quorum.
func (n *Member) Hosts(ctx context.Context) map[string]MemberHost { return n.report.hosts(ctx) }
