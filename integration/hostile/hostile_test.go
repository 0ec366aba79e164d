// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.RemoveBinaries()
	os.Exit(code)
}

// memoryBound is what docs/limits.md says about the memory of a member, for
// fewer than 1,000 nodes and 1,000 connections.
const memoryBound = 1<<30 + 1000*(128<<10)

// A client that behaves keeps writing while strangers, and a node with a key,
// flood everything that is shared, all at once.
func TestFloodsSlowDownNobodyElse(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: floods come from addresses of their own, 127.0.0.2 and so on, which only Linux has")
	}
	calm, fire, long := 2*time.Second, 6*time.Second, os.Getenv("PILOT_E2E") != ""
	if long {
		calm, fire = 10*time.Second, 40*time.Second
	}
	s := newSiege(t)
	pause, stop := context.WithTimeout(t.Context(), calm)
	s.victim.Write(pause, 50)
	stop()
	undisturbed, errs := s.victim.Took()
	noErrors(t, "undisturbed", errs)

	attack, end := context.WithCancel(t.Context())
	var under sync.WaitGroup
	during := func(f func()) { under.Add(1); go func() { defer under.Done(); f() }() }
	floods, joins := s.floods(long), &Flood{Name: "hold the peer port", Source: "127.0.0.12", Meant: []string{protocol.CodeOverloaded}}
	for _, f := range floods {
		during(func() { f.Run(attack, s.addrs) })
	}
	during(func() { HoldJoins(attack, joins, s.nodes[0].Peer, 64) })
	during(func() {
		HoldUnread(attack, "127.0.0.22", s.addrs, 64, 20, map[string]any{"type": "beacon_list"})
	})
	var most int64
	during(func() { most = Peak(attack, s.pids()) })
	during(func() { s.victim.Write(attack, 50) })

	least := time.After(fire)
	giveUp := time.After(4 * time.Minute)
	for _, f := range append(floods, joins) {
		if len(f.Meant) == 0 || f.Name == fillIDs && !long { // it takes tens of thousands of requests
			continue
		}
		select {
		case <-f.Refused():
		case <-giveUp:
			t.Errorf("not refused as meant (%s): %s", strings.Join(f.Meant, " or "), f)
		}
	}
	s.othersGoOn()
	<-least
	end()
	under.Wait()
	disturbed, errs := s.victim.Took()
	noErrors(t, "under fire", errs)
	if most > memoryBound {
		t.Errorf("a member had %d MiB, bound %d MiB", most>>20, int64(memoryBound)>>20)
	}
	fmt.Printf("undisturbed: %s\nunder fire:  %s\nmost memory of a member: %d MiB\n", undisturbed, disturbed, most>>20)
	for _, f := range append(floods, joins) {
		fmt.Println(f)
	}
}

func noErrors(t *testing.T, when string, errs []error) {
	t.Helper()
	if len(errs) > 0 {
		t.Errorf("%s, %d writes of a client that behaves failed, the first: %v", when, len(errs), errs[0])
	}
}

// siege is a cluster with everything configured that the floods are after.
type siege struct {
	t      *testing.T
	c      *harness.Cluster
	nodes  []harness.Member
	addrs  []string
	victim *Victim
	// floods of nodes: which has a key, and which node strangers talk about.
	key   harness.Agent
	other harness.Agent
}

func newSiege(t *testing.T) *siege {
	t.Helper()
	c := harness.Start(t, harness.Options{RateLimits: true})
	ready, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	s := &siege{t: t, c: c, nodes: ready.Nodes, addrs: c.Addrs()}
	if s.victim, err = NewVictim(t.Context(), s.addrs); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.victim.Close() })
	w := s.dial("127.0.0.1")
	for _, a := range []*harness.Agent{&s.key, &s.other} {
		if *a, err = w.Register(); err != nil {
			t.Fatal(err)
		}
	}
	verifier := httptest.NewServer(http.HandlerFunc(verify))
	siem := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(5 * time.Millisecond) }))
	t.Cleanup(verifier.Close)
	t.Cleanup(siem.Close)
	s.admin(w, map[string]any{"type": "set_external_id", "node_id": s.other.ID, "external_id": "carol@example.com"})
	s.admin(w, map[string]any{"type": "set_identity_webhook", "url": verifier.URL})
	s.admin(w, map[string]any{"type": "set_audit_export", "format": "json", "endpoint": siem.URL, "required": true})
	return s
}

// verify is an identity webhook that takes its time; honest tokens are known.
func verify(w http.ResponseWriter, r *http.Request) {
	var q struct{ Token string }
	_ = json.NewDecoder(r.Body).Decode(&q)
	time.Sleep(100 * time.Millisecond)
	name, honest := strings.CutPrefix(q.Token, "honest ")
	_ = json.NewEncoder(w).Encode(map[string]any{"verified": honest, "external_id": name})
}

func (s *siege) dial(source string) *harness.Wire {
	s.t.Helper()
	w, err := harness.DialFrom(source, s.addrs[0])
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = w.Close() })
	return w
}

func (s *siege) admin(w *harness.Wire, v map[string]any) map[string]any {
	s.t.Helper()
	v["admin_token"] = s.c.AdminToken
	reply, err := w.Call(v)
	if err != nil || reply["type"] == "error" {
		s.t.Fatalf("%s: %v %v", v["type"], reply, err)
	}
	return reply
}

func (s *siege) pids() (out []int) {
	for _, n := range s.nodes {
		out = append(out, n.PID)
	}
	return out
}

const fillIDs = "fill the memory of ids"

// floods are what is sent at once. Each has its own address.
func (s *siege) floods(long bool) []*Flood {
	conns := 16
	if long {
		conns = 64
	}
	node := s.key.ID
	return []*Flood{
		{Name: "pull the largest reply", Source: "127.0.0.2", Meant: []string{protocol.CodeRateLimited, protocol.CodeOverloaded}, Conns: 4, MaxRequests: 20_000,
			Requests: func(int) map[string]any { return map[string]any{"type": "beacon_list"} }},
		{Name: "junk beacons", Source: "127.0.0.3", Meant: []string{protocol.CodeInvalid}, Conns: 1, MaxRequests: 200,
			Requests: func(i int) map[string]any {
				return map[string]any{"type": "beacon_register", "beacon_id": i + 1, "addr": strings.Repeat("\x01", 256)}
			}},
		{Name: "take the list of beacons", Source: "127.0.0.4", Meant: []string{protocol.CodeRateLimited, protocol.CodeLimitReached}, Conns: 16, MaxRequests: 8_000,
			Requests: func(i int) map[string]any {
				return map[string]any{"type": "beacon_register", "beacon_id": i + 1, "addr": fmt.Sprintf("192.0.2.1:%d", 1+i%60_000)}
			}},
		{Name: fillIDs, Source: "127.0.0.5", Meant: []string{protocol.CodeRateLimited}, Conns: conns, MaxRequests: 150_000,
			Requests: func(i int) map[string]any {
				return map[string]any{"type": "update_polo_score", "node_id": node, "delta": 0, "request_id": fmt.Sprintf("%058d", i)}
			}},
		{Name: "fill the required sink", Source: "127.0.0.13", Meant: []string{protocol.CodeAuditBehind}, Conns: 16, MaxRequests: 150_000,
			Requests: func(i int) map[string]any {
				return map[string]any{"type": "update_polo_score", "node_id": s.other.ID, "delta": 1 - 2*(i%2)}
			}},
		{Name: "flush the security events", Source: "127.0.0.6", Conns: 4, MaxRequests: 50_000,
			Requests: func(int) map[string]any {
				return map[string]any{"type": "report_trust", "node_id": node, "peer_id": node, "signature": s.key.Sign(fmt.Sprintf("report_trust:%d:%d", node, node))}
			}},
		{Name: "occupy the verifications", Source: "127.0.0.9", Meant: []string{protocol.CodeRateLimited, protocol.CodeOverloaded}, Conns: 16, MaxRequests: 20_000,
			Requests: func(i int) map[string]any {
				return map[string]any{"type": "register", "listen_addr": ":4000", "public_key": s.key.PublicKey(), "identity_token": fmt.Sprintf("junk %d", i)}
			}},
	}
}

// othersGoOn does, under fire, what the floods would take away.
func (s *siege) othersGoOn() {
	s.t.Helper()
	w := s.dial("127.0.0.1")
	reply, err := w.Call(map[string]any{"type": "beacon_register", "beacon_id": 4_000_000, "addr": "198.51.100.1:9001"})
	if err != nil || reply["type"] == "error" {
		s.t.Errorf("a beacon cannot announce itself: %v %v", reply, err)
	}
	a, err := harness.NewAgent()
	if err != nil {
		s.t.Fatal(err)
	}
	// Strangers have a part of the backlog of a required sink together, so a
	// newcomer is told to come again while the flood has filled it.
	for giveUp := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		reply, err = s.dial("127.0.0.99").Call(map[string]any{"type": "register", "listen_addr": ":4000", "public_key": a.PublicKey(), "identity_token": "honest dave@example.com"})
		if err != nil || reply["code"] != protocol.CodeAuditBehind || time.Now().After(giveUp) {
			break
		}
	}
	if err != nil || reply["external_id"] != "dave@example.com" {
		s.t.Errorf("somebody else cannot register with a token: %v %v", reply, err)
	}
	reply = s.admin(w, map[string]any{"type": "get_audit_log", "action": protocol.EventExternalIDSet, "ascending": true})
	if text := fmt.Sprint(reply["entries"]); !strings.Contains(text, "carol@example.com") {
		s.t.Errorf("a security event was flushed: %s", text)
	}
}
