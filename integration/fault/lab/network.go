// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

// PeerLink is the link over which one slot dials another.
func (l *Lab) PeerLink(from, to int) *Link { return l.links.peers[[2]int{from, to}] }

// ClientLink is the link over which the clients of a site dial a slot.
func (l *Lab) ClientLink(site, slot int) *Link { return l.links.sites[[2]int{site, slot}] }

// Between changes what happens to everything that one slot sends to another,
// over connections that either has dialled.
func (l *Lab) Between(from, to int, change func(*Policy)) {
	for _, way := range []struct {
		link *Link
		d    Direction
	}{{l.PeerLink(from, to), There}, {l.PeerLink(to, from), Back}} {
		p := way.link.Policy(way.d)
		change(&p)
		way.link.Set(way.d, p)
	}
}

// Slots are the places of the members of today.
func (l *Lab) Slots() []int {
	var out []int
	for _, m := range l.Members() {
		out = append(out, m.Slot)
	}
	return out
}

// HealNetwork takes back every policy.
func (l *Lab) HealNetwork() {
	for _, set := range []map[[2]int]*Link{l.links.peers, l.links.sites} {
		for _, link := range set {
			link.SetBoth(Policy{})
		}
	}
}
