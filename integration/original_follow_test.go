// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// standIn does of the original what its protocol says about writes: it
// acknowledges at once, and saves everything once a second and when it ends.
type standIn struct {
	t    *testing.T
	path string

	mu    sync.Mutex
	nodes []harness.Agent
	saves int
}

// register acknowledges another node, which trusts the one before it.
func (s *standIn) register() {
	a, err := harness.NewAgent()
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a.ID = uint32(len(s.nodes) + 1)
	s.nodes = append(s.nodes, a)
}

// save writes the file; two times in three, and the last time, as a whole.
func (s *standIn) save(last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	nodes, pairs, members := object{}, []string{}, []uint32{}
	for _, a := range s.nodes {
		nodes[strconv.Itoa(int(a.ID))] = object{"id": a.ID, "public_key": a.PublicKey(), "networks": []int{0}, "real_addr": "203.0.113.9:4000", "last_seen": rfc(time.Now())}
		members = append(members, a.ID)
		if a.ID > 1 {
			pairs = append(pairs, fmt.Sprintf("%d:%d", a.ID-1, a.ID))
		}
	}
	raw, err := json.Marshal(object{"version": 1, "next_node": len(s.nodes) + 1, "next_net": 1, "nodes": nodes, "trust_pairs": pairs,
		"networks": object{"0": object{"id": 0, "name": "backbone", "join_rule": "open", "members": members, "created": rfc(time.Now())}}})
	if err != nil {
		s.t.Error(err)
	}
	s.saves++
	if s.saves%3 == 0 && !last { // a program that writes in place is slow about it
		err = os.WriteFile(s.path, raw[:len(raw)/2], 0o600)
	} else if err = os.WriteFile(s.path+".tmp", raw, 0o600); err == nil {
		err = os.Rename(s.path+".tmp", s.path)
	}
	if err != nil {
		s.t.Error(err)
	}
}

// run takes writes and saves until end is closed, then saves once more.
func (s *standIn) run(end <-chan struct{}) {
	write, save := time.NewTicker(2*time.Millisecond), time.NewTicker(time.Second)
	defer write.Stop()
	defer save.Stop()
	for {
		select {
		case <-write.C:
			s.register()
		case <-save.C:
			s.save(false)
		case <-end:
			s.save(true)
			return
		}
	}
}

// A running original is followed under load and cut over: what it had
// acknowledged and saved is there, each once, and its clients go on.
func TestARunningOriginalIsFollowed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	dir := t.TempDir()
	s := &standIn{t: t, path: filepath.Join(dir, "registry.json")}
	s.register()
	s.save(true)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() { s.run(end); close(ended) }()

	o := &operator{t: t, ctx: ctx, path: binary(t, "cmd/pilot-registry")}
	data, peer, wire := filepath.Join(dir, "m1"), freeAddr(t), freeAddr(t)
	cmd := exec.CommandContext(ctx, o.path, "import", "--follow", s.path, "--data-dir", data, "--peer-advertise", peer, "--context", "")
	cmd.Env = append(os.Environ(), "HOME="+dir)
	press, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	progress := &memberLog{}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, progress
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for strings.Count(progress.String(), " nodes, ") < 3 { // it follows three saves
		select {
		case <-ctx.Done():
			t.Fatalf("it does not follow:\n%s", progress.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	close(end)
	<-ended
	stopped := time.Now()
	if _, err := press.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), progress.String())
	}
	o.member(data, peer, "--wire-listen", wire, "--rate-limits-enabled=false")
	o.await(regexp.MustCompile(`ready: true`), "status", "--data-dir", data)
	t.Logf("%d nodes, serving again %s after the original stopped", len(s.nodes), time.Since(stopped).Round(100*time.Millisecond))

	w, err := harness.Dial(wire)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r := &origReader{t: t, w: w, asked: map[string]bool{}}
	for _, a := range s.nodes {
		r.ask(object{"type": "lookup", "node_id": a.ID}, object{"public_key": a.PublicKey()})
		r.ask(object{"type": "heartbeat", "node_id": a.ID, "signature": a.Sign(fmt.Sprintf("heartbeat:%d", a.ID))}, object{})
		if a.ID > 1 {
			r.ask(object{"type": "check_trust", "node_id": a.ID, "peer_id": a.ID - 1}, object{"trusted": true})
		}
	}
	fresh, err := w.Register()
	if err != nil || int(fresh.ID) != len(s.nodes)+1 {
		t.Errorf("the next node is %d, after %d: %v", fresh.ID, len(s.nodes), err)
	}
}
