// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
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
	Nodes        []protocol.ListedNode
	// More says that the search ended before the last node.
	Total int
	More  bool
	turns
}

// nodesPage searches by id, hostname, tag, external id and address. The filter
// is in the address of the page, so that a view can be sent to somebody.
func (c *Console) nodesPage(v *visit) (*content, *protocol.Error) {
	q := v.r.URL.Query()
	d := &nodesData{Query: strings.TrimSpace(q.Get("q")), State: q.Get("state")}
	all, more, e := v.nodes(0, func(n *protocol.ListedNode) bool { return matches(n, d.Query, d.State) })
	if e != nil {
		return nil, e
	}
	d.Total, d.More = len(all), more
	d.Nodes, d.turns = paged(all, v.r.URL)
	command := "pilotctl node list"
	return &content{Template: "nodes", Title: "Which nodes are there?", Data: d, Command: command}, nil
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

func matches(n *protocol.ListedNode, query, state string) bool {
	if state == "online" && n.Offline || state == "offline" && !n.Offline || state == "tasks" && !n.TaskExec {
		return false
	}
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

type nodeData struct {
	Node     *protocol.LookupReply
	Key      *protocol.GetKeyInfoReply
	Networks []membershipRow
	Peers    []ops.StatsNode
	Events   []protocol.AuditEntry
}

type membershipRow struct {
	ID         uint16
	Name, Role string
}

func (c *Console) nodePage(v *visit) (*content, *protocol.Error) {
	id, err := strconv.ParseUint(v.r.PathValue("id"), 10, 32)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "%s is not a node id", protocol.Quote(v.r.PathValue("id")))
	}
	d := &nodeData{}
	var e *protocol.Error
	if d.Node, e = ask[protocol.LookupReply](v, "lookup", map[string]any{"node_id": id}); e != nil {
		return nil, e
	}
	if d.Key, e = ask[protocol.GetKeyInfoReply](v, "get_key_info", map[string]any{"node_id": id}); e != nil {
		return nil, e
	}
	names, e := v.networkNames()
	if e != nil {
		return nil, e
	}
	for _, net := range d.Node.Networks {
		if net == 0 {
			continue
		}
		row := membershipRow{ID: net, Name: names[net]}
		if role, e := ask[protocol.GetMemberRoleReply](v, "get_member_role", map[string]any{"network_id": net, "target_node_id": id}); e == nil {
			row.Role = role.Role
		}
		d.Networks = append(d.Networks, row)
	}
	d.Peers, _ = neighbours(c.cfg.Stats(true), uint32(id), 1)
	d.Peers = slices.DeleteFunc(d.Peers, func(n ops.StatsNode) bool { return nodeOf(n.Address) == uint32(id) })
	log, e := ask[protocol.GetAuditLogReply](v, "get_audit_log", map[string]any{"node_id": id, "limit": 20})
	if e != nil {
		return nil, e
	}
	d.Events = log.Entries
	title := fmt.Sprintf("Who is node %d?", id)
	return &content{Template: "node", Title: title, Data: d, Command: fmt.Sprintf("pilotctl lookup %d", id)}, nil
}

func (v *visit) networkNames() (map[uint16]string, *protocol.Error) {
	list, e := ask[protocol.ListNetworksReply](v, "list_networks", nil)
	if e != nil {
		return nil, e
	}
	names := map[uint16]string{}
	for _, n := range list.Networks {
		names[n.ID] = n.Name
	}
	return names, nil
}
