// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// arena is a few nodes that compete for a few hostnames.
type arena struct {
	key   string
	nodes []node
	hosts []string
}

const arenaNodes, arenaHosts = 3, 3

// names is W2: hostnames claimed, released, changed and resolved.
type names struct {
	pool *pool[arena]
}

func newNames() Workload { return &names{} }

func (w *names) Name() string { return "w2-names" }
func (w *names) Weight() int  { return 4 }

func (w *names) Models() []check.Model {
	return models(check.KindNames, check.KindRegister, check.KindLife)
}

func (w *names) Setup(ctx context.Context, env *Env) error {
	w.pool = newPool(3, 400, w.newArena)
	c := NewClient(env, w.Name()+"-setup")
	defer c.Close()
	return w.pool.fill(ctx, c)
}

// newArena registers nodes and makes them public: only public names resolve
// for everybody.
func (w *names) newArena(ctx context.Context, c *Client) (arena, bool) {
	var a arena
	for range arenaNodes {
		n, ok := c.newNode(ctx, w.Name())
		if !ok {
			return a, false
		}
		op := c.Do(ctx, Request{Workload: w.Name(), Key: n.registerKey(), Command: "set_visibility", Signer: n.key,
			Body: &protocol.SetVisibility{NodeID: n.id, Public: true}, Identified: true, Resend: 2})
		if op.Outcome != history.OK {
			return a, false
		}
		a.nodes = append(a.nodes, n)
	}
	a.key = fmt.Sprintf("%s/%d", check.KindNames, a.nodes[0].id)
	for i := range arenaHosts {
		a.hosts = append(a.hosts, fmt.Sprintf("h-%s-%d-%c", c.env.Run, a.nodes[0].id, 'a'+i))
	}
	return a, true
}

func (w *names) Step(ctx context.Context, c *Client) {
	s, ok := w.pool.take(ctx, c)
	if !ok {
		return
	}
	a := s.value
	n, host := a.nodes[c.rng.IntN(len(a.nodes))], a.hosts[c.rng.IntN(len(a.hosts))]
	var r Request
	switch at := c.rng.IntN(100); {
	case at < 35: // a claim, or a change when it holds another name
		r = c.writing(a.claim(w.Name(), n, host))
	case at < 45:
		r = c.writing(a.claim(w.Name(), n, ""))
	case at < 75:
		r = c.reading(a.resolve(w.Name(), host, n))
	default:
		r = c.reading(a.lookup(w.Name(), n))
	}
	w.pool.note(s, c.Do(ctx, r))
}

func (a arena) claim(workload string, n node, host string) Request {
	return Request{Workload: workload, Key: a.key, Command: "set_hostname", Signer: n.key, Body: &protocol.SetHostname{NodeID: n.id, Hostname: host}}
}

func (a arena) resolve(workload, host string, by node) Request {
	return Request{Workload: workload, Key: a.key, Command: "resolve_hostname", Body: &protocol.ResolveHostname{Hostname: host, RequesterID: by.id}}
}

func (a arena) lookup(workload string, n node) Request {
	return Request{Workload: workload, Key: a.key, Command: "lookup", Body: &protocol.NodeRequest{NodeID: n.id}}
}

func (w *names) Final(ctx context.Context, env *Env) error {
	var reads []Request
	for _, a := range w.pool.recent() {
		for i := range a.nodes {
			reads = append(reads, a.lookup(w.Name(), a.nodes[i]))
		}
		for _, host := range a.hosts {
			reads = append(reads, a.resolve(w.Name(), host, a.nodes[0]))
		}
	}
	return readEverywhere(ctx, env, w.Name(), reads)
}
