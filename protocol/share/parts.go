// SPDX-License-Identifier: Apache-2.0

package share

// Parts divide a total. A holder may have Each, a wider group of holders
// Group; 0 means no bound. Under pressure both shrink: nobody may
// have more than is still free, no group more than groupPart times that. So a
// few greedy holders never fill the total, and one that has nothing yet finds
// a place: with n of them, each ends at a part of 1 in n+1.
type Parts struct {
	Total int64
	Each  int64
	Group int64
	// Modest keeps the last quarter for holders that have, with what they ask
	// for, at most 1 in 64 of the total. Without it a dozen greedy holders leave
	// one that has a little nothing more.
	Modest bool
}

// modestPart and keptPart are what Modest means.
const (
	modestPart = 64
	keptPart   = 4
)

// groupPart is how many times what is free a group of holders may have.
const groupPart = 8

// Limit names the bound that refuses; it is fit for metrics and texts.
type Limit string

// Limits.
const (
	// Within: nothing refuses.
	Within Limit = ""
	// OwnPart: the holder has what a single one may have.
	OwnPart Limit = "own"
	// GroupPart: the holder's wider group has what a group may have.
	GroupPart Limit = "group"
	// WholeTotal: everything is taken.
	WholeTotal Limit = "total"
)

// Use is what is held now: by the one who asks, by its wider group (which
// includes it) and by all.
type Use struct{ Own, Group, Total int64 }

// Allows says whether a holder may have n more, or which bound refuses it.
func (p Parts) Allows(held Use, n int64) Limit {
	free := p.Total - held.Total
	if p.Modest {
		if held.Own+n <= p.Total/modestPart && n <= free {
			return p.allowsGroup(held, n, free)
		}
		if free -= p.Total / keptPart; n > free && held.Own > 0 {
			return OwnPart
		}
	}
	switch {
	case n > free:
		return WholeTotal
	case p.Each > 0 && held.Own+n > p.Each, held.Own > 0 && held.Own+n > free:
		return OwnPart
	}
	return p.allowsGroup(held, n, free)
}

func (p Parts) allowsGroup(held Use, n, free int64) Limit {
	if p.Group > 0 && held.Group+n > p.Group || held.Group > 0 && held.Group/groupPart >= free {
		return GroupPart
	}
	return Within
}
