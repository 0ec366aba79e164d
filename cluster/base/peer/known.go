// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"net"
	"sync"

	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// Known are the addresses from which members have proved who they are, or at
// which they were reached: one for each member. Handshakes from there have
// places of their own, so that strangers who fill the others with handshakes
// that they do not finish keep no member out.
type Known struct {
	mu       sync.Mutex
	byMember map[string]share.Source
}

// NewKnown makes a Known without any.
func NewKnown() *Known { return &Known{byMember: map[string]share.Source{}} }

// note keeps where a member is.
func (k *Known) note(member string, remote net.Addr) {
	if k == nil || member == "" {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.byMember[member] = share.OfConn(remote)
}

// has reports whether a member is at a source.
func (k *Known) has(source share.Source) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.byMember {
		if s == source {
			return true
		}
	}
	return false
}

// keep forgets members that keep no longer names.
func (k *Known) keep(keep func(member string) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for m := range k.byMember {
		if !keep(m) {
			delete(k.byMember, m)
		}
	}
}
