// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// countsAge is how old the counts may be that strangers are shown: asking for
// them must not cost what the state is large.
const countsAge = 2 * time.Second

// Counts makes the answer of /api/stats from a member's state.
type Counts struct {
	root func() *fsm.Root
	now  func() time.Time

	mu   sync.Mutex
	last Stats
	at   time.Time
}

// NewCounts counts what root shows.
func NewCounts(root func() *fsm.Root) *Counts { return &Counts{root: root, now: time.Now} }

// Stats counts, and with details lists the nodes and trust pairs of now.
func (c *Counts) Stats(details bool) Stats {
	if details {
		return statsOf(c.root(), true)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); c.at.IsZero() || now.Sub(c.at) > countsAge {
		c.last, c.at = statsOf(c.root(), false), now
	}
	return c.last
}

func statsOf(root *fsm.Root, details bool) Stats {
	t := root.Totals()
	s := Stats{
		TotalNodes: uint64(t.Nodes), ActiveNodes: uint64(t.Nodes), TrustLinks: uint64(t.TrustLinks),
		TotalRequests: root.TotalRequests(), UniqueTags: uint64(t.Tags), TaskExecutors: uint64(t.Executors),
		Uptime: root.Age() / 1000,
	}
	if details {
		s.list(root.ReplicationDocument().(*fsm.ReplicationDoc))
	}
	return s
}

// list adds the live nodes, by address, and the trust pairs among them.
func (s *Stats) list(doc *fsm.ReplicationDoc) {
	address := map[string]string{}
	for id, n := range doc.Nodes {
		net := uint16(0)
		if len(n.Networks) > 0 {
			net = n.Networks[0]
		}
		address[id] = protocol.Address{Network: net, Node: n.ID}.String()
	}
	links := map[string]int{}
	for _, pair := range doc.TrustPairs {
		a, b, _ := strings.Cut(pair, ":")
		if address[a] != "" && address[b] != "" {
			s.Edges = append(s.Edges, StatsEdge{address[a], address[b]})
			links[a], links[b] = links[a]+1, links[b]+1
		}
	}
	for id, n := range doc.Nodes {
		tags := n.Tags
		if tags == nil {
			tags = []string{}
		}
		s.Nodes = append(s.Nodes, StatsNode{Address: address[id], Tags: tags, Online: true, TrustLinks: links[strconv.FormatUint(uint64(n.ID), 10)],
			TaskExec: n.TaskExec, PoloScore: n.PoloScore, Network: firstNetwork(n.Networks)})
	}
	slices.SortFunc(s.Nodes, func(a, b StatsNode) int { return strings.Compare(a.Address, b.Address) })
}

// firstNetwork is the first of a node's networks that is not the backbone, 0 for none.
func firstNetwork(networks []uint16) uint16 {
	for _, n := range networks {
		if n != 0 {
			return n
		}
	}
	return 0
}
