// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"slices"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Names of certificates; those of listeners have the listener's.
const (
	certMember = "member"
	certCA     = "ca"
)

// certWarning is how long before its end a certificate is a problem in status.
const certWarning = 60 * 24 * time.Hour

// listCerts lists when the certificates of the members end that have told,
// the next end first. What all of these members have alike is listed once,
// without a member.
func listCerts(members []protocol.ClusterMember, hosts []*MemberHost) []protocol.ClusterCertificate {
	type ending struct {
		name string
		at   int64
	}
	who, told := map[ending][]string{}, 0
	for i, h := range hosts {
		if h == nil {
			continue
		}
		told++
		note := func(name string, at int64) {
			if at > 0 {
				who[ending{name, at}] = append(who[ending{name, at}], members[i].ID)
			}
		}
		note(certMember, h.CertificateEnds)
		note(certCA, h.CAEnds)
		for name, at := range h.Listeners {
			note(name, at)
		}
	}
	out := []protocol.ClusterCertificate{}
	for e, ids := range who {
		ends := time.UnixMilli(e.at).UTC().Format(time.RFC3339)
		if e.name != certMember && len(ids) == told {
			ids = []string{""}
		}
		for _, id := range ids {
			out = append(out, protocol.ClusterCertificate{Certificate: e.name, Ends: ends, MemberID: id})
		}
	}
	slices.SortFunc(out, func(a, b protocol.ClusterCertificate) int {
		return cmp.Or(cmp.Compare(a.Ends, b.Ends), cmp.Compare(a.Certificate, b.Certificate), cmp.Compare(a.MemberID, b.MemberID))
	})
	return out
}

// certNext is what to do about a certificate that ends soon.
var certNext = map[string]string{
	certMember: "look at that member's log: a certificate renews itself when two thirds of its life are over; docs/runbooks/certificate-ends.md says what to do",
	certCA:     "plan a new cluster, see docs/runbooks/certificate-ends.md",
	"wire":     "clients that pin it look at no dates and go on; for those that do, see docs/runbooks/certificate-ends.md",
	"ops":      "see docs/runbooks/certificate-ends.md",
}

// certProblems names certificates that end within certWarning of now.
func certProblems(all []protocol.ClusterCertificate, now time.Time, add func(do, format string, args ...any)) {
	for _, c := range all {
		ends, err := time.Parse(time.RFC3339, c.Ends)
		if err != nil || ends.Sub(now) > certWarning {
			continue
		}
		whose, when := "", "ends"
		if c.MemberID != "" {
			whose = " of member " + c.MemberID
		}
		if ends.Before(now) {
			when = "ended"
		}
		add(certNext[c.Certificate], "the %s certificate%s %s on %s", c.Certificate, whose, when, ends.Format(time.DateOnly))
	}
}
