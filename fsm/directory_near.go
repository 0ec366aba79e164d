// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Near misses: entries that are probably meant for a member although they do
// not match, because a program on the way changed letter case, dropped accents,
// wrote question marks for them, or cut the listing off. They are reported,
// and nobody is removed for them.

// nearMisses finds entries by what they are near to.
type nearMisses struct {
	byNear map[string]*protocol.DirectoryEntry
	// lossy are entries that match nobody and hold question marks.
	lossy map[string]*protocol.DirectoryEntry
	// cut is the last entry when it matches nobody: it may be a beginning.
	cut *protocol.DirectoryEntry
	// members are the first members by near key.
	members map[string]uint32
}

// personOf is the key of whom an entry is about.
func personOf(e *protocol.DirectoryEntry) string { return e.Keys.MatchOf(e.ExternalID) }

func (p *syncPlan) findNear() nearMisses {
	m := nearMisses{byNear: map[string]*protocol.DirectoryEntry{}, lossy: map[string]*protocol.DirectoryEntry{}, members: map[string]uint32{}}
	for i := range p.entries {
		e := &p.entries[i]
		m.byNear[e.Keys.NearOf(e.ExternalID)] = e
		if len(p.members[personOf(e)]) > 0 {
			continue
		}
		if strings.Contains(e.ExternalID, "?") {
			m.lossy[personOf(e)] = e
		}
		if i == len(p.entries)-1 {
			m.cut = e
		}
	}
	for i := len(p.ids) - 1; i >= 0; i-- {
		n, _ := p.v.nodes.records.Get(p.ids[i])
		m.members[n.keys.NearOf(n.externalID)] = n.id
	}
	return m
}

// entryFor is an entry that is near to a member, nil when none is.
func (m *nearMisses) entryFor(v *view, id uint32) *protocol.DirectoryEntry {
	n, _ := v.nodes.records.Get(id)
	if e := m.byNear[n.keys.NearOf(n.externalID)]; e != nil {
		return e
	}
	if e := m.lossy[protocol.Lossy(n.person())]; e != nil {
		return e
	}
	if m.cut != nil && strings.HasPrefix(n.person(), personOf(m.cut)) {
		return m.cut
	}
	return nil
}

// tellNear reports an entry that matches nobody but is near to a member, of
// whom nothing else will be said.
func (p *syncPlan) tellNear(e *protocol.DirectoryEntry) {
	id, near := p.near.members[e.Keys.NearOf(e.ExternalID)]
	if !near {
		return
	}
	n, _ := p.v.nodes.records.Get(id)
	p.warn("%s matches nobody, and %s (node %d) is nearly the same: the entry was not applied to that member", protocol.Quote(e.ExternalID), protocol.Quote(n.externalID), id)
}
