// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Who has recorded signed requests sends them again to every member, after
// leaders were killed under floods and again after all members were: each is
// answered as the first time and has no effect.
func TestRecordedRequestsHaveNoEffectAfterFailOvers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: floods come from addresses of their own, 127.0.0.2 and so on, which only Linux has")
	}
	c := harness.Start(t, harness.Options{RateLimits: true})
	r := &recorder{t: t, c: c}
	mine, other := r.agent(), r.agent()
	r.clusterID = r.call(map[string]any{"type": "cluster_id"})["cluster_id"].(string)
	for i := range 5 {
		r.record(mine, map[string]any{"type": "set_tags", "node_id": mine.ID, "tags": []string{fmt.Sprint("old", i)}})
	}
	r.record(mine, map[string]any{"type": "set_hostname", "node_id": mine.ID, "hostname": "old-name"})
	r.record(mine, map[string]any{"type": "report_trust", "node_id": mine.ID, "peer_id": other.ID})
	r.record(other, map[string]any{"type": "request_handshake", "from_node_id": other.ID, "to_node_id": mine.ID, "justification": "the code is 4711"})
	r.record(mine, map[string]any{"type": "poll_handshakes", "node_id": mine.ID})

	attack, end := context.WithCancel(t.Context())
	defer end()
	var under sync.WaitGroup
	for i, request := range []func(int) map[string]any{
		func(int) map[string]any { return map[string]any{"type": "list_nodes", "network_id": 0} },
		func(i int) map[string]any {
			return map[string]any{"type": "update_polo_score", "node_id": other.ID, "delta": 1, "request_id": fmt.Sprint("flood", i)}
		},
	} {
		f := &Flood{Source: fmt.Sprintf("127.0.0.%d", 40+i), Conns: 8, MaxRequests: 40_000, Requests: request}
		under.Add(1)
		go func() { defer under.Done(); f.Run(attack, c.Addrs()) }()
	}
	for range 2 {
		ready := r.ready()
		leader, _ := ready.LeaderNode()
		r.kill(leader)
	}
	r.do(mine, map[string]any{"type": "set_tags", "node_id": mine.ID, "tags": []string{"new"}})
	r.do(mine, map[string]any{"type": "set_hostname", "node_id": mine.ID, "hostname": "new-name"})
	r.do(mine, map[string]any{"type": "revoke_trust", "node_id": mine.ID, "peer_id": other.ID})
	r.replay("after two leaders were killed", mine, other)
	end()
	under.Wait()
	r.kill(r.ready().Nodes...)
	r.replay("after all members were killed", mine, other)
}

// recorder is a client whose requests somebody else has seen.
type recorder struct {
	t         *testing.T
	c         *harness.Cluster
	clusterID string
	frames    [][]byte
	first     []map[string]any
}

func (r *recorder) ready() harness.Ready {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	ready, err := r.c.Await(ctx, func(x harness.Ready) bool { _, ok := x.LeaderNode(); return ok && len(x.Nodes) == 3 })
	if err != nil {
		r.t.Fatal(err)
	}
	return ready
}

// kill ends members and waits until others run in their places and the cluster serves.
func (r *recorder) kill(nodes ...harness.Member) {
	r.t.Helper()
	gone := map[int]bool{}
	for _, n := range nodes {
		gone[n.PID] = true
		if err := syscall.Kill(n.PID, syscall.SIGKILL); err != nil {
			r.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := r.c.Await(ctx, func(x harness.Ready) bool {
		for _, n := range x.Nodes {
			if gone[n.PID] {
				return false
			}
		}
		_, led := x.LeaderNode()
		return led && len(x.Nodes) == 3
	}); err != nil {
		r.t.Fatal(err)
	}
	r.call(map[string]any{"type": "list_networks"})
}

// send sends a frame from an address until it is answered by something other
// than that there is no leader.
func (r *recorder) send(source, addr string, frame []byte) map[string]any {
	r.t.Helper()
	var last any
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		reply, err := exchange(source, addr, frame)
		code, _ := reply["code"].(string)
		if err == nil && code != protocol.CodeNoLeader && code != protocol.CodeTimeout && code != protocol.CodeTimeoutRead {
			return reply
		}
		last = fmt.Sprint(reply, err)
	}
	r.t.Fatalf("%s does not answer: %v", addr, last)
	return nil
}

func exchange(source, addr string, frame []byte) (map[string]any, error) {
	w, err := harness.DialFrom(source, addr)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	raw, err := w.Exchange(frame, 15*time.Second)
	if err != nil {
		return nil, err
	}
	var reply map[string]any
	return reply, json.Unmarshal(raw, &reply)
}

func (r *recorder) call(v map[string]any) map[string]any {
	r.t.Helper()
	reply := r.send("", r.c.Addrs()[0], harness.Frame(v))
	if reply["type"] == "error" {
		r.t.Fatalf("%v: %v", v["type"], reply)
	}
	return reply
}

func (r *recorder) agent() harness.Agent {
	r.t.Helper()
	a, err := harness.NewAgent()
	if err != nil {
		r.t.Fatal(err)
	}
	reply := r.call(map[string]any{"type": "register", "listen_addr": ":4000", "public_key": a.PublicKey()})
	a.ID = uint32(reply["node_id"].(float64))
	return a
}

func (r *recorder) sealed(a harness.Agent, v map[string]any) []byte {
	r.t.Helper()
	payload, err := json.Marshal(v)
	if err != nil {
		r.t.Fatal(err)
	}
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce)
	s := protocol.Signed{NodeID: a.ID, TS: time.Now().UnixMilli(), Nonce: hex.EncodeToString(nonce), Payload: string(payload)}
	s.Signature = protocol.Secret(a.Sign(string(s.Text(r.clusterID))))
	body, err := s.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	return protocol.AppendFrame(nil, body)
}

func (r *recorder) do(a harness.Agent, v map[string]any) (frame []byte, reply map[string]any) {
	r.t.Helper()
	frame = r.sealed(a, v)
	if reply = r.send("", r.c.Addrs()[0], frame); reply["type"] == "error" {
		r.t.Fatalf("%v: %v", v["type"], reply)
	}
	return frame, reply
}

func (r *recorder) record(a harness.Agent, v map[string]any) {
	r.t.Helper()
	frame, reply := r.do(a, v)
	r.frames, r.first = append(r.frames, frame), append(r.first, reply)
}

func (r *recorder) replay(when string, mine, other harness.Agent) {
	r.t.Helper()
	for i, frame := range r.frames {
		for _, addr := range r.c.Addrs() {
			got := r.send("127.0.0.66", addr, frame)
			if got["replayed"] != true || got["index"] != r.first[i]["index"] || got["type"] != r.first[i]["type"] {
				r.t.Errorf("%s, request %d at %s: %v, want what was answered first: %v", when, i, addr, got, r.first[i])
			}
		}
	}
	node := r.call(map[string]any{"type": "lookup", "node_id": mine.ID})
	if fmt.Sprint(node["tags"]) != "[new]" || node["hostname"] != "new-name" {
		r.t.Errorf("%s the node is %v", when, node)
	}
	if trust := r.call(map[string]any{"type": "check_trust", "node_id": mine.ID, "peer_id": other.ID}); trust["trusted"] == true {
		r.t.Errorf("%s the revoked trust is back", when)
	}
}
