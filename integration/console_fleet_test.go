// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// A fleet as large as consoles have to show.
const (
	fleetNodes    = 10_000
	fleetNetworks = 200
	fleetMembers  = 500 // of the largest network
	fleetTrust    = 700 // pairs, more than one picture shows
	fleetWriters  = 16
)

// inParallel does something n times on several connections.
func inParallel(t *testing.T, c *harness.Cluster, n int, do func(w *sender, i int)) {
	t.Helper()
	var wg sync.WaitGroup
	for worker := range fleetWriters {
		w := follower(t, c)
		wg.Go(func() {
			for i := worker; i < n; i += fleetWriters {
				do(w, i)
			}
		})
	}
	wg.Wait()
}

// settled is try until the registry has decided.
func (s *sender) settled(request string) map[string]any {
	for {
		reply := s.try(request)
		if reply["outcome"] != "not_applied" && reply["outcome"] != "unknown" {
			return reply
		}
	}
}

// manyNodes registers a fleet and returns its nodes and the id of its largest network.
func manyNodes(t *testing.T, c *harness.Cluster) (nodes []harness.Agent, largest string) {
	t.Helper()
	nodes = make([]harness.Agent, fleetNodes)
	failed := make([]error, fleetNodes)
	inParallel(t, c, fleetNodes, func(w *sender, i int) {
		for range 20 {
			if nodes[i], failed[i] = w.Register(); failed[i] == nil {
				return
			}
		}
	})
	for _, err := range failed {
		if err != nil {
			t.Fatal(err)
		}
	}
	inParallel(t, c, fleetNetworks, func(w *sender, i int) {
		w.settled(fmt.Sprintf(`{"type":"create_network","request_id":"network-%d","admin_token":"$TOKEN","name":"network-%03d","join_rule":"open","enterprise":true,"node_id":%d}`, i, i, nodes[i].ID))
	})
	inParallel(t, c, fleetMembers, func(w *sender, i int) {
		w.settled(fmt.Sprintf(`{"type":"join_network","request_id":"join-%d","admin_token":"$TOKEN","node_id":%d,"network_id":1}`, i, nodes[fleetNetworks+i].ID))
	})
	inParallel(t, c, fleetTrust, func(w *sender, i int) {
		a, b := nodes[i], nodes[i+1]
		w.settled(fmt.Sprintf(`{"type":"report_trust","node_id":%d,"peer_id":%d,"signature":%q}`, a.ID, b.ID, a.Sign(fmt.Sprintf("report_trust:%d:%d", a.ID, b.ID))))
	})
	return nodes, "1"
}

// What a page may bring: bytes of its document, and rows of a table.
const (
	maxPageBytes = 150 << 10
	maxPageRows  = 100
)

// Every page stays usable with 10,000 nodes and 200 networks: it is drawn, it
// is short, and it leads to the rest.
func TestConsoleFleet(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{})
	ready, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, "http://"+ready.Nodes[0].Ops)
	nodes, largest := manyNodes(t, c)
	b.login(c.AdminToken)
	center := nodes[fleetTrust/2].ID
	alive := func() { // a slow machine may have taken longer than nodes may be silent
		inParallel(t, c, fleetTrust+1, func(w *sender, i int) {
			w.settled(fmt.Sprintf(`{"type":"heartbeat","node_id":%d,"signature":%q}`, nodes[i].ID, nodes[i].Sign(fmt.Sprintf("heartbeat:%d", nodes[i].ID))))
		})
	}
	alive()
	for page, want := range map[string]string{
		"/": "page 1 of", "/cluster": "Nothing to do", "/nodes": "10,0", "/nodes?page=200": "10,0", "/nodes?q=%23none": "No node matches",
		"/networks": "200 networks", "/networks?page=5": "200 networks", "/networks/" + largest: "501 members", "/networks/" + largest + "?page=11": "501 members",
		"/trust": "Choose a node", fmt.Sprintf("/trust?node=%d", center): "5 nodes", fmt.Sprintf("/nodes/%d", center): "as a picture", "/audit": "Older", "/delivery": "Dead letters",
		"/do/promote?network=" + largest: "Show the plan", "/settings": "trust.mode",
	} {
		b.open(page)
		b.becomes(fmt.Sprintf(`document.body.innerText.includes(%q) || document.documentElement.outerHTML.includes(%q)`, want, want))
		if bytes := value[int](b, "new Blob([document.documentElement.outerHTML]).size"); bytes > maxPageBytes {
			t.Errorf("%s has %d bytes", page, bytes)
		}
		if rows := value[int](b, "Math.max(0, ...[...document.querySelectorAll('table')].map(t => t.rows.length))"); rows > maxPageRows {
			t.Errorf("%s has a table of %d rows", page, rows)
		}
		b.theme("light", 1440)
		b.shoot("fleet" + strings.NewReplacer("/", "-", "?", "-", "=", "-", "%", "").Replace(page))
	}
	if bad := b.complaints(); len(bad) > 0 {
		t.Errorf("%s", strings.Join(bad, "\n"))
	}
}
