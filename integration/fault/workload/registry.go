// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"slices"
	"strings"
)

// Entry is a place in the list of workloads.
type Entry struct {
	// ID is the workload's number in the plan, Name what its operations are
	// recorded under.
	ID, Name string
	Title    string
	// Missing says why there is no such workload yet; empty when there is one.
	Missing string
	make    func() Workload
}

// All lists every workload there is or will be. A place without a workload
// says what it waits for, so that a run can print what it does not test.
var All = []Entry{
	{ID: "W1", Name: "w1-register", Title: "tags and visibility of a node as a register", make: newRegisters},
	{ID: "W1", Name: "w1-counter", Title: "score of a node as a counter", make: newCounters},
	{ID: "W2", Name: "w2-names", Title: "hostnames claimed, released and resolved", make: newNames},
	{ID: "W3", Name: "w3-keys", Title: "registration is idempotent by public key", make: newRegistrations},
	{ID: "W4", Name: "w4-ids", Title: "node ids rise and are never used again", make: newIDs},
	{ID: "W5", Name: "w5-members", Title: "membership of networks as a set", make: newMembers},
	{ID: "W6", Name: "w6-invites", Title: "invites are accepted once", make: newInvites},
	{ID: "W7", Name: "w7-owners", Title: "a network has exactly one owner", make: newOwners},
	{ID: "W8", Name: "w8-together", Title: "a network is deleted with everything in it, at once", make: newTogether},
	{ID: "W9", Name: "w9-audit", Title: "every change is audited once", make: newAudits},
	{ID: "W10", Name: "w10-webhooks", Title: "webhooks are delivered at least once, in order", make: newWebhooks},
	{ID: "W11", Name: "w11-watch", Title: "streams lose nothing", Missing: "waits for a stream that can be resumed"},
	{ID: "W13", Name: "w13-out", Title: "removed members do not serve", make: newOutsiders},
	{ID: "W14", Name: "w14-revoked", Title: "roles that were revoked command nothing", make: newRevoked},
	// Last: its digests are of everything that the others did.
	{ID: "W12", Name: "w12-snap", Title: "snapshots are installed, digests agree", make: newSnapshots},
}

// New makes workloads by name, all there are when none is named, in the order
// of All. The error names what there is.
func New(names ...string) ([]Workload, error) {
	var out []Workload
	left := slices.Clone(names)
	for _, e := range All {
		at := slices.Index(left, e.Name)
		if len(names) > 0 && at < 0 || len(names) == 0 && e.Missing != "" {
			continue
		}
		if e.Missing != "" {
			return nil, fmt.Errorf("workload %s (%s) %s", e.Name, e.Title, e.Missing)
		}
		if at >= 0 {
			left = slices.Delete(left, at, at+1)
		}
		out = append(out, e.make())
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("there is no workload %s; there are %s", strings.Join(left, ", "), strings.Join(built(), ", "))
	}
	return out, nil
}

func built() []string {
	var out []string
	for _, e := range All {
		if e.Missing == "" {
			out = append(out, e.Name)
		}
	}
	return out
}

// Missing lists, a line each, the workloads that there are not yet and why.
func Missing() []string {
	var out []string
	for _, e := range All {
		if e.Missing != "" {
			out = append(out, fmt.Sprintf("%s %s: %s", e.ID, e.Title, e.Missing))
		}
	}
	return out
}
