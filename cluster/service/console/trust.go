// SPDX-License-Identifier: Apache-2.0

package console

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	// drawn is how many nodes a picture of all shows; above it the picture is of
	// one node's neighbourhood.
	drawn = 500
	// depth is how far a neighbourhood reaches.
	depth = 2
	// fewNodes fit a picture of lowHeight.
	fewNodes, lowHeight = 20, 360
)

type trustData struct {
	Query  string
	Center string
	// Whole says that the picture shows all nodes with trust.
	Whole          bool
	Nodes          int
	Dots           []dot
	Lines          []line
	Rows           []trustRow
	Width, Height  int
	TooMany, Alone bool
	// Labels says that there is room for the ids in the picture.
	Labels bool
}

// dot is a node in the picture.
type dot struct {
	ID      uint32
	Label   string
	X, Y, R float64
	Center  bool
	// Left says that the label is on the left side, where there is room for it.
	Left bool
	// Tint is the same for nodes of the same network, 0 for those in none.
	Tint int
}

// tints is how many colours tell networks apart.
const tints = 6

// tintOf is the colour of a network.
func tintOf(network uint16) int {
	if network == 0 {
		return 0
	}
	return int(network-1)%tints + 1
}

type line struct{ X1, Y1, X2, Y2 float64 }

type trustRow struct {
	ID    uint32
	Node  ops.StatsNode
	Peers []uint32
}

func (c *Console) trustPage(v *visit) (*content, *protocol.Error) {
	d := &trustData{Query: strings.TrimSpace(v.r.URL.Query().Get("node")), Width: 960, Height: 640}
	stats := c.cfg.Stats(true)
	d.Nodes = len(stats.Nodes)
	nodes, edges := stats.Nodes, stats.Edges
	if d.Query != "" {
		id, err := strconv.ParseUint(d.Query, 10, 32)
		if err != nil {
			return nil, protocol.Errorf(protocol.CodeInvalid, "%s is not a node id", protocol.Quote(d.Query))
		}
		nodes, edges = neighbours(stats, uint32(id), depth)
		d.Center, d.Alone = d.Query, len(nodes) == 0
	} else {
		nodes, edges = connected(nodes, edges)
		d.Whole = true
	}
	if d.TooMany = len(nodes) > drawn; !d.TooMany {
		d.draw(nodes, edges)
		d.Labels = len(nodes) <= 60
	}
	title, command := "Who trusts whom?", "pilotctl trust check NODE PEER"
	if d.Center != "" {
		title = fmt.Sprintf("Whom does node %s trust?", d.Center)
	}
	return &content{Template: "trust", Title: title, Data: d, Command: command}, nil
}

// nodeOf is the id in an address.
func nodeOf(address string) uint32 {
	a, err := protocol.ParseAddress(address)
	if err != nil {
		return 0
	}
	return a.Node
}

// connected leaves out nodes without trust.
func connected(nodes []ops.StatsNode, edges []ops.StatsEdge) ([]ops.StatsNode, []ops.StatsEdge) {
	return slices.DeleteFunc(slices.Clone(nodes), func(n ops.StatsNode) bool { return n.TrustLinks == 0 }), edges
}

// neighbours are the nodes up to a distance from one, which is among them, and
// none when nobody is near.
func neighbours(stats ops.Stats, id uint32, far int) (nodes []ops.StatsNode, edges []ops.StatsEdge) {
	peers := map[uint32][]uint32{}
	for _, e := range stats.Edges {
		a, b := nodeOf(e.Source), nodeOf(e.Target)
		peers[a], peers[b] = append(peers[a], b), append(peers[b], a)
	}
	near := map[uint32]bool{id: true}
	for ring := []uint32{id}; far > 0; far-- {
		var next []uint32
		for _, a := range ring {
			for _, b := range peers[a] {
				if !near[b] {
					near[b] = true
					next = append(next, b)
				}
			}
		}
		ring = next
	}
	for _, n := range stats.Nodes {
		if near[nodeOf(n.Address)] {
			nodes = append(nodes, n)
		}
	}
	for _, e := range stats.Edges {
		if near[nodeOf(e.Source)] && near[nodeOf(e.Target)] {
			edges = append(edges, e)
		}
	}
	if len(peers[id]) == 0 {
		return nil, nil
	}
	return nodes, edges
}

// draw places the nodes by forces: trust pulls, nearness pushes. It begins on
// a spiral in the order of the ids, so the same trust gives the same picture.
func (d *trustData) draw(nodes []ops.StatsNode, edges []ops.StatsEdge) {
	slices.SortFunc(nodes, func(a, b ops.StatsNode) int { return cmp.Compare(nodeOf(a.Address), nodeOf(b.Address)) })
	at := map[uint32]int{}
	x, y := make([]float64, len(nodes)), make([]float64, len(nodes))
	for i, n := range nodes {
		at[nodeOf(n.Address)] = i
		angle, radius := float64(i)*2.399963, math.Sqrt(float64(i)+0.5)
		x[i], y[i] = radius*math.Cos(angle), radius*math.Sin(angle)
	}
	var pairs [][2]int
	peers := make([][]uint32, len(nodes))
	for _, e := range edges {
		a, okA := at[nodeOf(e.Source)]
		b, okB := at[nodeOf(e.Target)]
		if okA && okB {
			pairs = append(pairs, [2]int{a, b})
			peers[a], peers[b] = append(peers[a], nodeOf(e.Target)), append(peers[b], nodeOf(e.Source))
		}
	}
	settle(x, y, pairs)
	if len(nodes) <= fewNodes {
		d.Height = lowHeight
	}
	fit(x, y, d.Width, d.Height)
	for i, n := range nodes {
		id := nodeOf(n.Address)
		label := strconv.FormatUint(uint64(id), 10)
		d.Dots = append(d.Dots, dot{ID: id, Label: label, X: x[i], Y: y[i], R: 4 + math.Min(float64(n.TrustLinks), 12)/2, Center: label == d.Center, Left: x[i] > float64(d.Width)*0.9, Tint: tintOf(n.Network)})
		slices.Sort(peers[i])
		d.Rows = append(d.Rows, trustRow{ID: id, Node: n, Peers: peers[i]})
	}
	for _, p := range pairs {
		d.Lines = append(d.Lines, line{x[p[0]], y[p[0]], x[p[1]], y[p[1]]})
	}
}

// settle moves the nodes in steps that get smaller (Fruchterman and Reingold).
func settle(x, y []float64, pairs [][2]int) {
	const steps = 80
	n := len(x)
	dx, dy := make([]float64, n), make([]float64, n)
	for step := range steps {
		clear(dx)
		clear(dy)
		for i := range n {
			for j := range i {
				ax, ay := x[i]-x[j], y[i]-y[j]
				f := 1 / math.Max(ax*ax+ay*ay, 0.01)
				dx[i], dy[i], dx[j], dy[j] = dx[i]+ax*f, dy[i]+ay*f, dx[j]-ax*f, dy[j]-ay*f
			}
			dx[i], dy[i] = dx[i]-x[i]*0.01, dy[i]-y[i]*0.01 // what has no trust does not fly off
		}
		for _, p := range pairs {
			ax, ay := x[p[0]]-x[p[1]], y[p[0]]-y[p[1]]
			f := math.Hypot(ax, ay)
			dx[p[0]], dy[p[0]], dx[p[1]], dy[p[1]] = dx[p[0]]-ax*f, dy[p[0]]-ay*f, dx[p[1]]+ax*f, dy[p[1]]+ay*f
		}
		limit := math.Sqrt(float64(n)+1) * 0.2 * float64(steps-step) / steps
		for i := range n {
			length := math.Max(math.Hypot(dx[i], dy[i]), 1e-9)
			move := math.Min(length, limit) / length
			x[i], y[i] = x[i]+dx[i]*move, y[i]+dy[i]*move
		}
	}
}

// fit scales coordinates into a picture, whole pixels with a margin, both ways
// alike so that lengths can be compared.
func fit(x, y []float64, width, height int) {
	if len(x) == 0 {
		return
	}
	const margin = 32
	lowX, highX, lowY, highY := slices.Min(x), slices.Max(x), slices.Min(y), slices.Max(y)
	scale := math.Min(float64(width-2*margin)/math.Max(highX-lowX, 1e-9), float64(height-2*margin)/math.Max(highY-lowY, 1e-9))
	for i := range x {
		x[i] = math.Round(float64(width)/2 + (x[i]-(lowX+highX)/2)*scale)
		y[i] = math.Round(float64(height)/2 + (y[i]-(lowY+highY)/2)*scale)
	}
}
