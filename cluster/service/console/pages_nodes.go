// SPDX-License-Identifier: Apache-2.0

package console

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	// perPage is how many rows a list shows at once.
	perPage = 50
	// searched bounds how many nodes a search looks at.
	searched = 20_000
	// pageOfNodes is how many nodes are asked for at a time.
	pageOfNodes = 2_000
)

type nodesData struct {
	Query, State string
	Columns      []column
	Rows         []nodeRow
	// More says that the search ended before the last node.
	Total int
	More  bool
	// Keep is what links within the page keep of its address.
	Keep url.Values
	turns
}

// Link is the page with another search and the same columns.
func (d *nodesData) Link(query string) string {
	q := url.Values{"q": {query}}
	if cols := d.Keep["col"]; len(cols) > 0 {
		q["col"] = cols
	}
	return "/nodes?" + q.Encode()
}

// column is a part of the list that may be chosen.
type column struct {
	Key, Title string
	Number     bool
	Shown      bool
}

// nodeColumns are in the order in which they are shown; the default ones are Shown.
var nodeColumns = []column{
	{"tags", "Tags", false, true}, {"external_id", "External id", false, true}, {"score", "Score", true, true},
	{"version", "Version", false, true}, {"last_seen", "Last seen", false, true}, {"address", "Address", false, false},
	{"endpoint", "Endpoint", false, false}, {"networks", "Networks", true, false}, {"key_age", "Key made", false, false},
	{"key_ends", "Key ends", false, false}, {"ends", "First membership ends", false, false},
}

// chosenColumns marks those that an address asks for.
func chosenColumns(asked []string) []column {
	out := slices.Clone(nodeColumns)
	if len(asked) == 0 {
		return out
	}
	for i := range out {
		out[i].Shown = slices.Contains(asked, out[i].Key)
	}
	return out
}

// nodeRow is a node of the list with what its state says of it.
type nodeRow struct {
	protocol.ListedNode
	Known fsm.NodeSummary
	// Ending are the ends that are near, in words.
	Ending []ending
}

// ending is the end of something of a node.
type ending struct {
	What string
	At   int64
	Past bool
}

// near is how long before its end something is called expiring: as long as
// the first notice is given in the audit trail.
const near = 30 * 24 * time.Hour

func endingsOf(s *fsm.NodeSummary, now time.Time) (out []ending) {
	for _, e := range []ending{{What: "key", At: s.KeyEnds}, {What: "membership or role", At: s.Ends}} {
		if e.At != 0 && time.UnixMilli(e.At).Sub(now) < near {
			e.Past = e.At <= now.UnixMilli()
			out = append(out, e)
		}
	}
	return out
}

// nodesPage searches by id, hostname, tag, external id and address. Filter and
// columns are in the address of the page, so that a view can be sent to somebody.
func (c *Console) nodesPage(v *visit) (*content, *protocol.Error) {
	q := v.r.URL.Query()
	d := &nodesData{Query: strings.TrimSpace(q.Get("q")), State: q.Get("state"), Columns: chosenColumns(q["col"]), Keep: q}
	all, more, e := v.nodeRows(func(n *nodeRow) bool { return n.in(d.State) && matches(&n.ListedNode, d.Query) })
	if e != nil {
		return nil, e
	}
	d.Total, d.More = len(all), more
	d.Rows, d.turns = paged(all, v.r.URL)
	return &content{Template: "nodes", Title: "Which nodes are there?", Data: d, Command: "pilotctl node list"}, nil
}

// in reports whether a node is in a state of the filter.
func (n *nodeRow) in(state string) bool {
	switch state {
	case "online":
		return !n.Offline
	case "offline":
		return n.Offline
	case "expiring":
		return len(n.Ending) > 0
	case "tasks":
		return n.TaskExec
	}
	return !n.Known.Released // they are seen when offline nodes are asked for
}

// nodeRows lists the nodes that keep wants, by id: those that the command
// lists, and those that are offline, which it leaves out.
func (v *visit) nodeRows(keep func(*nodeRow) bool) (out []nodeRow, more bool, e *protocol.Error) {
	listed, more, e := v.nodes(0, func(*protocol.ListedNode) bool { return true })
	if e != nil {
		return nil, false, e
	}
	now, seen, next := v.c.cfg.Now(), 0, 0
	add := func(n nodeRow) {
		if n.Ending = endingsOf(&n.Known, now); keep(&n) {
			out = append(out, n)
		}
	}
	v.c.cfg.Inspect().EachNode(func(s fsm.NodeSummary) bool {
		for next < len(listed) && listed[next].NodeID < s.ID {
			add(nodeRow{ListedNode: listed[next]})
			next++
		}
		switch {
		case next < len(listed) && listed[next].NodeID == s.ID:
			add(nodeRow{ListedNode: listed[next], Known: s})
			next++
		case !s.Online:
			add(nodeRow{Known: s, ListedNode: protocol.ListedNode{NodeID: s.ID, Hostname: s.Hostname, Version: s.Version, Offline: true,
				Address: protocol.Address{Node: s.ID}.String()}})
		}
		seen++
		return seen < searched
	})
	for _, n := range listed[next:] {
		add(nodeRow{ListedNode: n})
	}
	return out, more || seen >= searched, nil
}

// nodes lists the nodes of a network, 0 for all, that keep wants.
func (v *visit) nodes(network uint16, keep func(*protocol.ListedNode) bool) (out []protocol.ListedNode, more bool, e *protocol.Error) {
	cursor := ""
	for seen := 0; ; {
		fields := map[string]any{"network_id": network, "limit": pageOfNodes}
		if cursor != "" {
			fields["cursor"] = cursor
		}
		page, e := ask[protocol.ListNodesReply](v, "list_nodes", fields)
		if e != nil {
			return nil, false, e
		}
		for i := range page.Nodes {
			if keep(&page.Nodes[i]) {
				out = append(out, page.Nodes[i])
			}
		}
		seen += len(page.Nodes)
		if cursor = page.NextCursor; cursor == "" || seen >= searched {
			return out, cursor != "", nil
		}
	}
}

func matches(n *protocol.ListedNode, query string) bool {
	if query == "" {
		return true
	}
	query = strings.ToLower(query)
	if tag, ok := strings.CutPrefix(query, "#"); ok {
		return slices.ContainsFunc(n.Tags, func(t string) bool { return strings.Contains(strings.ToLower(t), tag) })
	}
	for _, field := range append([]string{strconv.FormatUint(uint64(n.NodeID), 10), n.Hostname, n.ExternalID, n.Address, n.RealAddr}, n.Tags...) {
		if strings.Contains(strings.ToLower(field), query) {
			return true
		}
	}
	return false
}

// paged cuts a list to the page that an address asks for, and makes the
// addresses of those before and after it.
func paged[T any](all []T, at *url.URL) (rows []T, to turns) {
	rows, to.Page, to.Pages, to.Prev, to.Next = pagedBy(all, at, perPage)
	return rows, to
}

// turns lead to the pages beside one of a list.
type turns struct {
	Page, Pages int
	Prev, Next  string
}

func pagedBy[T any](all []T, at *url.URL, size int) (rows []T, page, pages int, prev, next string) {
	q := at.Query()
	page, err := strconv.Atoi(q.Get("page"))
	pages = max((len(all)-1)/size, 0) + 1
	if err != nil || page < 1 {
		page = 1
	}
	page = min(page, pages)
	link := func(n int) string {
		q.Set("page", strconv.Itoa(n))
		return at.Path + "?" + q.Encode()
	}
	if page > 1 {
		prev = link(page - 1)
	}
	if page < pages {
		next = link(page + 1)
	}
	return all[(page-1)*size : min(page*size, len(all))], page, pages, prev, next
}
