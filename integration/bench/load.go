package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// agent is a registered node with its frames prepared, so that the load
// generator spends nothing on signing and encoding.
type agent struct {
	id  uint32
	key ed25519.PrivateKey
}

func (a agent) sign(text string) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(a.key, []byte(text)))
}

func frame(v map[string]any) []byte {
	body, err := json.Marshal(v)
	if err != nil { // strings and numbers always encode
		panic(err)
	}
	return protocol.AppendFrame(nil, body)
}

// writes alternates between two tag sets: each one changes state.
func (a agent) writes() [][]byte {
	sig := a.sign(fmt.Sprintf("set_tags:%d", a.id))
	one := func(tag string) []byte {
		return frame(map[string]any{"type": "set_tags", "node_id": a.id, "tags": []string{tag, "bench"}, "signature": sig})
	}
	return [][]byte{one("even"), one("odd")}
}

func (a agent) heartbeats() [][]byte {
	return [][]byte{frame(map[string]any{"type": "heartbeat", "node_id": a.id, "signature": a.sign(fmt.Sprintf("heartbeat:%d", a.id))})}
}

func lookups(level string) func(agent) [][]byte {
	return func(a agent) [][]byte {
		m := map[string]any{"type": "lookup", "node_id": a.id, "consistency": level}
		if level == "bounded" {
			m["max_staleness_ms"] = 100
		}
		return [][]byte{frame(m)}
	}
}

// wire is one connection with one request in flight.
type wire struct {
	net.Conn
	r   *bufio.Reader
	buf []byte
}

func dial(addr string) (*wire, error) {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return nil, err
	}
	return &wire{Conn: c, r: bufio.NewReader(c)}, nil
}

var errorMark = []byte(`"type":"error"`)

// call sends a prepared frame and returns the reply; an error reply is an error.
func (w *wire) call(frame []byte, timeout time.Duration) ([]byte, error) {
	if err := w.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	if _, err := w.Write(frame); err != nil {
		return nil, err
	}
	reply, err := protocol.ReadFrame(w.r, protocol.MaxClientReplyBytes, w.buf)
	if err != nil {
		return nil, err
	}
	w.buf = reply
	if bytes.Contains(reply, errorMark) {
		return nil, errors.New(string(reply))
	}
	return reply, nil
}

// registerPool registers n nodes, spread over the members.
func registerPool(addrs []string, n int) ([]agent, error) {
	var conns []*wire
	for _, a := range addrs {
		w, err := dial(a)
		if err != nil {
			return nil, err
		}
		defer w.Close()
		conns = append(conns, w)
	}
	pool := make([]agent, n)
	for i := range pool {
		public, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			return nil, err
		}
		reply, err := conns[i%len(conns)].call(frame(map[string]any{"type": "register", "listen_addr": ":4000",
			"public_key": base64.StdEncoding.EncodeToString(public)}), 10*time.Second)
		if err != nil {
			return nil, err
		}
		var r protocol.RegisterReply
		if err := json.Unmarshal(reply, &r); err != nil {
			return nil, err
		}
		pool[i] = agent{id: r.NodeID, key: private}
	}
	return pool, nil
}

type result struct {
	rate     float64
	p50, p99 time.Duration
}

// drive runs one connection per agent against addr for d.
func drive(addr string, pool []agent, load func(agent) [][]byte, d time.Duration) (result, error) {
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var wg sync.WaitGroup
	start := time.Now()
	end := start.Add(d)
	for _, a := range pool {
		w, err := dial(addr)
		if err != nil {
			return result{}, err
		}
		defer w.Close()
		frames := load(a)
		wg.Add(1)
		go func() {
			defer wg.Done()
			var took []time.Duration
			var err error
			for i := 0; time.Now().Before(end) && err == nil; i++ {
				t := time.Now()
				_, err = w.call(frames[i%len(frames)], 10*time.Second)
				took = append(took, time.Since(t))
			}
			mu.Lock()
			defer mu.Unlock()
			all, failed = append(all, took...), errors.Join(failed, err)
		}()
	}
	wg.Wait()
	if failed != nil {
		return result{}, failed
	}
	elapsed := time.Since(start)
	slices.Sort(all)
	return result{rate: float64(len(all)) / elapsed.Seconds(), p50: percentile(all, 0.5), p99: percentile(all, 0.99)}, nil
}
