// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"encoding/json"
	"net/http"
)

// Stats is the answer of /api/stats. The lists are never null.
type Stats struct {
	TotalNodes    uint64      `json:"total_nodes"`
	ActiveNodes   uint64      `json:"active_nodes"`
	TrustLinks    uint64      `json:"total_trust_links"`
	TotalRequests uint64      `json:"total_requests"`
	UniqueTags    uint64      `json:"unique_tags"`
	TaskExecutors uint64      `json:"task_executors"`
	Nodes         []StatsNode `json:"nodes"`
	Edges         []StatsEdge `json:"edges"`
	// Uptime is the age of the cluster in seconds.
	Uptime int64 `json:"uptime_secs"`
}

// StatsNode is a node as the page of the registry shows it, without endpoint,
// key, hostname, owner and external id.
type StatsNode struct {
	Address    string   `json:"address"`
	Tags       []string `json:"tags"`
	Online     bool     `json:"online"`
	TrustLinks int      `json:"trust_links"`
	TaskExec   bool     `json:"task_exec"`
	PoloScore  int64    `json:"polo_score"`
	// Network is the first that the node is in beside the backbone, for pictures.
	Network uint16 `json:"-"`
}

// StatsEdge is a trust pair whose two nodes are registered.
type StatsEdge struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

// stats tells everybody the counts, and the nodes and trust pairs to callers
// with the admin token. A wrong token is refused, so that a scraper notices.
func (c *Config) stats(w http.ResponseWriter, r *http.Request) {
	details, e := c.authorized(r)
	if e != nil {
		refuse(w, e)
		return
	}
	s := c.Stats(details)
	if s.Nodes == nil {
		s.Nodes = []StatsNode{}
	}
	if s.Edges == nil {
		s.Edges = []StatsEdge{}
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	if details {
		h.Set("Cache-Control", "no-store")
	} else {
		h.Set("Access-Control-Allow-Origin", "*")
	}
	_ = json.NewEncoder(w).Encode(s) // the client has gone
}
