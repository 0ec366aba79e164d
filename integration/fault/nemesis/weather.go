// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nemesis

import (
	"sync"

	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
)

// weather is the sum of what actions do to the network at the same time:
// taking one fault back leaves the others in force.
type weather struct {
	lab *lab.Lab

	mu     sync.Mutex
	next   int
	fronts map[int]front
}

// front is what one action does. Either part may be nil.
type front struct {
	// between changes what slot from sends to slot to, over any connection.
	between func(from, to int, p *lab.Policy)
	// dialled changes a link, one way: from dialled to.
	dialled func(from, to int, d lab.Direction, p *lab.Policy)
	// clients changes what passes between a site and a slot.
	clients func(site, slot int, d lab.Direction, p *lab.Policy)
}

func newWeather(l *lab.Lab) *weather { return &weather{lab: l, fronts: map[int]front{}} }

// add puts a front in force and returns how to end it.
func (w *weather) add(f front) (end func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	id := w.next
	w.fronts[id] = f
	w.apply()
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.fronts, id)
		w.apply()
	}
}

func (w *weather) clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.fronts)
	w.apply()
}

// apply computes every policy again.
func (w *weather) apply() {
	for to := 1; to < lab.MaxSlots; to++ {
		for from := 1; from < lab.MaxSlots; from++ {
			if from == to {
				continue
			}
			link := w.lab.PeerLink(from, to)
			link.Set(lab.There, w.peer(from, to, lab.There))
			link.Set(lab.Back, w.peer(from, to, lab.Back))
		}
		for site := range w.lab.Sites {
			link := w.lab.ClientLink(site, to)
			link.Set(lab.There, w.client(site, to, lab.There))
			link.Set(lab.Back, w.client(site, to, lab.Back))
		}
	}
}

// peer is the policy of one direction of the link over which from dials to.
func (w *weather) peer(from, to int, d lab.Direction) lab.Policy {
	var p lab.Policy
	for _, f := range w.fronts {
		if f.between != nil && d == lab.There {
			f.between(from, to, &p)
		}
		if f.between != nil && d == lab.Back {
			f.between(to, from, &p)
		}
		if f.dialled != nil {
			f.dialled(from, to, d, &p)
		}
	}
	return p
}

func (w *weather) client(site, slot int, d lab.Direction) lab.Policy {
	var p lab.Policy
	for _, f := range w.fronts {
		if f.clients != nil {
			f.clients(site, slot, d, &p)
		}
	}
	return p
}

// set is a set of slots.
type set map[int]bool

func slotsOf(members []*lab.Member) set {
	out := set{}
	for _, m := range members {
		out[m.Slot] = true
	}
	return out
}

// apart blocks everything between two groups, both ways.
func apart(a, b set) func(from, to int, p *lab.Policy) {
	return func(from, to int, p *lab.Policy) {
		if a[from] && b[to] || b[from] && a[to] {
			p.Block = true
		}
	}
}

// alone cuts members off from everybody else, whoever that is by then.
func alone(a set) func(from, to int, p *lab.Policy) {
	return func(from, to int, p *lab.Policy) {
		if a[from] != a[to] {
			p.Block = true
		}
	}
}
