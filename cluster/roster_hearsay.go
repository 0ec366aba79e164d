// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"sync"
	"time"
)

// namedFor is how long the list of members from a hello is trusted.
const namedFor = 30 * time.Second

// hearsay is who the members are as another member said. Raft cannot tell yet
// while this member has no configuration, or an old one.
type hearsay struct {
	kick chan struct{}

	mu    sync.Mutex
	names map[string]string
	at    time.Time
	// configured are the members of the newest committed configuration.
	configured map[string]bool
}

func newHearsay(seeds map[string]string) *hearsay {
	return &hearsay{kick: make(chan struct{}, 1), names: seeds, at: time.Now()}
}

// refresh asks for a new list of members, soon.
func (h *hearsay) refresh() {
	select {
	case h.kick <- struct{}{}:
	default:
	}
}

func (h *hearsay) learn(members map[string]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names, h.at = members, time.Now()
}

// follow forgets members that a committed configuration no longer has. Those
// that no configuration has had so far are still on their way in.
func (h *hearsay) follow(members map[string]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := map[string]string{}
	for id, addr := range h.names {
		if members[id] || !h.configured[id] {
			kept[id] = addr
		}
	}
	h.names, h.configured = kept, members
}

// recentlyNamed reports whether a current member named this one lately.
func (h *hearsay) recentlyNamed(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.names[id]
	return ok && time.Since(h.at) < namedFor
}

// address is where a member was last said to be.
func (h *hearsay) address(id string) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	addr, ok := h.names[id]
	return addr, ok
}

func (h *hearsay) known() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]string, 0, len(h.names))
	for id := range h.names {
		out = append(out, id)
	}
	return out
}
