// SPDX-License-Identifier: Apache-2.0

package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
)

// publicPerPage is how many nodes the public page shows at once.
const publicPerPage = 25

type publicData struct {
	Stats  ops.Stats
	Uptime string
	// Admin says that the visitor has logged in and sees the nodes.
	Admin                bool
	Tag, Sort            string
	Tasks, Online        bool
	Nodes                []ops.StatsNode
	Page, Pages, Matched int
	Prev, Next           string
}

// public is the page that everybody sees: counts, and after a login the nodes.
func (c *Console) public(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s := c.sessions.of(r, true)
	d := &publicData{Admin: s != nil, Tag: q.Get("tag"), Sort: q.Get("sort"), Tasks: q.Get("tasks") != "", Online: q.Get("online") != ""}
	d.Stats = c.cfg.Stats(d.Admin)
	d.Uptime = uptime(time.Duration(d.Stats.Uptime) * time.Second)
	d.filter(r)
	c.views.show(w, r, http.StatusOK, "public", &frame{Title: "Pilot Protocol registry", Data: d})
}

func (d *publicData) filter(r *http.Request) {
	tag := strings.ToLower(strings.TrimPrefix(strings.TrimSpace(d.Tag), "#"))
	nodes := slices.DeleteFunc(slices.Clone(d.Stats.Nodes), func(n ops.StatsNode) bool {
		return d.Tasks && !n.TaskExec || d.Online && !n.Online ||
			tag != "" && !slices.ContainsFunc(n.Tags, func(t string) bool { return strings.Contains(strings.ToLower(t), tag) })
	})
	switch d.Sort {
	case "trust":
		slices.SortStableFunc(nodes, func(a, b ops.StatsNode) int { return cmp.Compare(b.TrustLinks, a.TrustLinks) })
	case "online":
		slices.SortStableFunc(nodes, func(a, b ops.StatsNode) int { return cmp.Compare(order(a.Online), order(b.Online)) })
	}
	d.Matched = len(nodes)
	d.Nodes, d.Page, d.Pages, d.Prev, d.Next = pagedBy(nodes, r.URL, publicPerPage)
}

func order(first bool) int {
	if first {
		return 0
	}
	return 1
}
