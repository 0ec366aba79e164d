// SPDX-License-Identifier: Apache-2.0

package workload_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/integration/fault/workload"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// fake is a member that answers as it is told to; "" hangs up.
type fake struct {
	net.Listener
	mu       sync.Mutex
	requests []map[string]any
	conns    []net.Conn
}

func newFake(t *testing.T, answer func(request map[string]any) string) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{Listener: l}
	t.Cleanup(f.stop)
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns = append(f.conns, nc)
			f.mu.Unlock()
			go f.serve(nc, answer)
		}
	}()
	return f
}

func (f *fake) serve(nc net.Conn, answer func(map[string]any) string) {
	defer nc.Close()
	in := bufio.NewReader(nc)
	for {
		body, err := protocol.ReadFrame(in, protocol.MaxRequestBytes, nil)
		if err != nil {
			return
		}
		var request map[string]any
		if json.Unmarshal(body, &request) != nil {
			return
		}
		f.mu.Lock()
		f.requests = append(f.requests, request)
		f.mu.Unlock()
		reply := answer(request)
		if reply == "" {
			return
		}
		if _, err := nc.Write(protocol.AppendFrame(nil, []byte(reply))); err != nil {
			return
		}
	}
}

func (f *fake) stop() {
	f.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, nc := range f.conns {
		nc.Close()
	}
}

func (f *fake) seen() []map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}

func setUp(t *testing.T, members ...net.Listener) (*workload.Env, *workload.Client) {
	t.Helper()
	rec, err := history.NewRecorder("")
	if err != nil {
		t.Fatal(err)
	}
	env := &workload.Env{Recorder: rec, Seed: 7, Timeout: 200 * time.Millisecond, Members: func() []workload.Member {
		var out []workload.Member
		for i, m := range members {
			out = append(out, workload.Member{Name: fmt.Sprint("n", i+1), Addr: m.Addr().String()})
		}
		return out
	}}
	all, err := workload.New("w1-register")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := workload.NewSuite(env, all...); err != nil {
		t.Fatal(err)
	}
	c := workload.NewClient(env, "c")
	t.Cleanup(c.Close)
	return env, c
}

func write(member workload.Member) workload.Request {
	return workload.Request{Workload: "test", Key: "node/1", Command: "set_tags", Member: member, Body: &protocol.SetTags{NodeID: 1, Tags: []string{"a"}}}
}

const done = `{"node_id":1,"tags":["a"],"type":"set_tags_ok","index":9}`

func TestOutcomesOnTheWire(t *testing.T) {
	answers := func(reply string) *fake { return newFake(t, func(map[string]any) string { return reply }) }
	silent := newFake(t, func(map[string]any) string { <-t.Context().Done(); return "" })
	gone := answers("")
	gone.stop()
	for _, tt := range []struct {
		name  string
		m     *fake
		want  history.Outcome
		sends int
	}{
		{"answered", answers(done), history.OK, 1},
		{"hung up", answers(""), history.Unknown, 1},
		{"no answer in time", silent, history.Unknown, 1},
		{"not there", gone, history.Fail, 0},
	} {
		env, c := setUp(t, tt.m)
		op := c.Do(context.Background(), write(workload.Member{}))
		if op.Outcome != tt.want || op.Sends != tt.sends || op.Member != "n1" || op.Return < op.Call || op.ID == 0 {
			t.Errorf("%s: %+v", tt.name, op)
		}
		if got := env.Recorder.Ops(); len(got) != 1 || got[0].ID != op.ID {
			t.Errorf("%s: recorded %+v", tt.name, got)
		}
		next := c.Do(context.Background(), write(workload.Member{}))
		if (next.Client == op.Client) == (tt.want == history.Unknown) {
			t.Errorf("%s: client %s goes on as %s", tt.name, op.Client, next.Client)
		}
	}
}

// The same request id goes to another member, and one call is recorded.
func TestResendToAnotherMember(t *testing.T) {
	deaf := newFake(t, func(map[string]any) string { return "" })
	fine := newFake(t, func(map[string]any) string { return strings.Replace(done, "}", `,"replayed":true}`, 1) })
	env, c := setUp(t, deaf, fine)
	r := write(env.Members()[0])
	r.Identified, r.Resend = true, 2
	op := c.Do(context.Background(), r)
	if op.Outcome != history.OK || op.Member != "n2" || op.Sends != 2 || op.Index != 9 || !op.Replayed || op.Session != "" {
		t.Errorf("%+v", op)
	}
	first, second := deaf.seen(), fine.seen()
	if len(first) != 1 || len(second) != 1 || first[0]["request_id"] != second[0]["request_id"] || first[0]["request_id"] != op.RequestID || op.RequestID == "" {
		t.Errorf("sent %v and %v", first, second)
	}
}

// A refusal after an unknown sending does not settle it, and without a request
// id nothing is sent twice.
func TestResendIsHonest(t *testing.T) {
	deaf := newFake(t, func(map[string]any) string { return "" })
	no := newFake(t, func(map[string]any) string { return `{"code":"not_found","error":"no","type":"error"}` })
	env, c := setUp(t, deaf, no)
	r := write(env.Members()[0])
	r.Identified, r.Resend = true, 1
	if op := c.Do(context.Background(), r); op.Outcome != history.Unknown || op.Sends != 2 {
		t.Errorf("refused after an unknown sending: %+v", op)
	}
	r.Identified = false
	if op := c.Do(context.Background(), r); op.Outcome != history.Unknown || op.Sends != 1 || op.RequestID != "" {
		t.Errorf("without request id: %+v", op)
	}
}

// A connection that the member has closed while it rested is not written to:
// that would make an unknown outcome out of nothing.
func TestARestingConnectionThatEndedIsNotUsed(t *testing.T) {
	m := newFake(t, func(map[string]any) string { return done })
	_, c := setUp(t, m)
	first := c.Do(context.Background(), write(workload.Member{}))
	again := c.Do(context.Background(), write(workload.Member{}))
	if first.Session == "" || again.Session != first.Session {
		t.Errorf("sessions %q and %q", first.Session, again.Session)
	}
	m.mu.Lock()
	m.conns[0].Close()
	m.mu.Unlock()
	// The end of the connection is seen as soon as the kernel has carried it
	// over loopback, which closing does at once.
	op := c.Do(context.Background(), write(workload.Member{}))
	if op.Outcome != history.OK || op.Session == first.Session {
		t.Errorf("%+v", op)
	}
}

// A member that has moved is found at its new address.
func TestMembersMayMove(t *testing.T) {
	old := newFake(t, func(map[string]any) string { return done })
	fresh := newFake(t, func(map[string]any) string { return done })
	env, c := setUp(t, old)
	c.Do(context.Background(), write(workload.Member{}))
	env.Members = func() []workload.Member { return []workload.Member{{Name: "n1", Addr: fresh.Addr().String()}} }
	if op := c.Do(context.Background(), write(workload.Member{})); op.Outcome != history.OK || len(fresh.seen()) != 1 {
		t.Errorf("%+v, %d requests at the new address", op, len(fresh.seen()))
	}
}

func TestSDKOperations(t *testing.T) {
	deaf := newFake(t, func(map[string]any) string { return "" })
	fine := newFake(t, func(map[string]any) string { return done })
	_, c := setUp(t, deaf, fine)
	for range 4 {
		r := write(workload.Member{})
		r.SDK = true
		op := c.Do(context.Background(), r)
		if op.Outcome != history.OK || op.Member != "n2" || op.RequestID == "" || op.Index != 9 {
			t.Errorf("%+v", op)
		}
	}
	ids := map[any]bool{}
	for _, request := range fine.seen() {
		ids[request["request_id"]] = true
	}
	if len(ids) != 4 {
		t.Errorf("%d request ids for 4 operations", len(ids))
	}
}

func TestNew(t *testing.T) {
	all, err := workload.New()
	if err != nil {
		t.Fatal(err)
	}
	if len(all)+len(workload.Missing()) != len(workload.All) || len(workload.Missing()) == 0 {
		t.Errorf("%d workloads and %d missing of %d", len(all), len(workload.Missing()), len(workload.All))
	}
	for i, w := range all {
		if len(w.Models()) == 0 || w.Weight() <= 0 || w.Name() == "" {
			t.Errorf("workload %d: %+v", i, w)
		}
	}
	two, err := workload.New("w4-ids", "w1-counter")
	if err != nil || len(two) != 2 || two[0].Name() != "w1-counter" {
		t.Errorf("%v, %v", two, err)
	}
	for name, want := range map[string]string{"w11-watch": "waits for", "w99": "there is no workload"} {
		if _, err := workload.New(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, e := range workload.All {
		if found, err := workload.New(e.Name); e.Missing == "" && (err != nil || found[0].Name() != e.Name) {
			t.Errorf("%s is called %v: %v", e.Name, found, err)
		}
	}
}
