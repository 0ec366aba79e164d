// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// member is a scripted server at one address.
type member struct {
	addr string
	// answer returns the reply to the n-th request of this member (from 0);
	// "" closes the connection instead, hang says nothing more.
	answer func(n int, req request) string
	down   bool
	// identity is the answer to cluster_id, which is not among the recorded
	// requests; "" is that of a server that does not know it. With record it is
	// a request like any other.
	identity string
	record   bool
	// wrap is TLS, when set.
	wrap func(net.Conn) net.Conn
}

const hang = "hang"

// request is a request as it came over the wire.
type request map[string]any

func (r request) text(name string) string {
	s, _ := r[name].(string)
	return s
}

// cluster is a set of scripted members behind a dialer.
type cluster struct {
	mu      sync.Mutex
	members map[string]*member
	dialled []string
	seen    []seen
	open    int
	maxOpen int
}

type seen struct {
	addr string
	req  request
}

func newCluster(members ...*member) *cluster {
	c := &cluster{members: map[string]*member{}}
	for _, m := range members {
		c.members[m.addr] = m
	}
	return c
}

func (c *cluster) set(addr string, change func(m *member)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c.members[addr])
}

func (c *cluster) dial(_ context.Context, _, addr string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dialled = append(c.dialled, addr)
	m := c.members[addr]
	if m == nil || m.down {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	if m.wrap != nil {
		far = m.wrap(far)
	}
	c.open++
	c.maxOpen = max(c.maxOpen, c.open)
	go c.serve(m, far)
	return near, nil
}

func (c *cluster) serve(m *member, nc net.Conn) {
	defer func() {
		nc.Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.open--
	}()
	for {
		body, err := protocol.ReadFrame(nc, protocol.MaxRequestLimit, nil)
		if err != nil {
			return
		}
		var req request
		if err := json.Unmarshal(body, &req); err != nil {
			return
		}
		c.mu.Lock()
		if req.text("type") == "cluster_id" && !m.record {
			reply := m.identity
			c.mu.Unlock()
			if reply == "" {
				reply = `{"type":"error","error":"unknown message type: \"cluster_id\"","code":"unknown_command"}`
			}
			if _, err := nc.Write(protocol.AppendFrame(nil, []byte(reply))); err != nil {
				return
			}
			continue
		}
		n := 0
		for _, s := range c.seen {
			if s.addr == m.addr {
				n++
			}
		}
		c.seen = append(c.seen, seen{m.addr, req})
		answer := m.answer
		c.mu.Unlock()
		switch reply := answer(n, req); reply {
		case "":
			return
		case hang:
			nc.Read(make([]byte, 1)) // until the client gives up
			return
		default:
			if _, err := nc.Write(protocol.AppendFrame(nil, []byte(reply))); err != nil {
				return
			}
		}
	}
}

func (c *cluster) requests() []seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]seen(nil), c.seen...)
}

func (c *cluster) dials() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.dialled...)
}

// client makes a client of the cluster's addresses a:1, b:1 … as far as they exist.
func (c *cluster) client(t testing.TB, o client.Options) *client.Client {
	t.Helper()
	if o.Addrs == nil {
		for _, addr := range []string{"a:1", "b:1", "c:1"} {
			if c.members[addr] != nil {
				o.Addrs = append(o.Addrs, addr)
			}
		}
	}
	o.Dialer = c.dial
	cl, err := client.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	return cl
}

func ok(int, request) string { return `{"type":"x_ok"}` }

func script(replies ...string) func(int, request) string {
	return func(n int, _ request) string {
		if n < len(replies) {
			return replies[n]
		}
		return ok(n, nil)
	}
}

func failing(code string, outcome protocol.Outcome) string {
	return string(protocol.EncodeError(&protocol.Error{Code: code, Text: "no luck", Outcome: outcome}))
}

func identity(t testing.TB) *client.Identity {
	t.Helper()
	id, err := client.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// wantError checks the parts of an error that scripts rely on.
func wantError(t testing.TB, err error, code string, outcome protocol.Outcome) *client.Error {
	t.Helper()
	var e *client.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a *client.Error", err)
	}
	if e.Code != code || e.Outcome != outcome {
		t.Fatalf("got code %q, outcome %q (%v), want %q, %q", e.Code, e.Outcome, err, code, outcome)
	}
	return e
}

func ids(list []seen) string {
	out := ""
	for _, s := range list {
		out += fmt.Sprintf("%s %v;", s.addr, s.req["request_id"])
	}
	return out
}
