// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Options of a cluster.
type Options struct {
	// Members is the number of members, 3 when 0.
	Members int
	// NoAdmin leaves the admin token away; NoReplication the replication token.
	NoAdmin, NoReplication bool
	// RateLimits leaves the stock rate limits on.
	RateLimits bool
	// TLS serves clients over TLS with the cluster's certificate.
	TLS bool
	// NeverRestart leaves a killed member down.
	NeverRestart bool
	// Set are settings of every member, as in "raft.snapshot_threshold=64".
	Set []string
	// Registry is the binary to run; built from this module when empty.
	Registry string
}

// Member is a member as the ready file names it.
type Member struct {
	ID   string `json:"id"`
	Wire string `json:"wire"`
	Peer string `json:"peer"`
	Ops  string `json:"ops"`
	PID  int    `json:"pid"`
}

// Ready is the ready file.
type Ready struct {
	Nodes  []Member `json:"members"`
	Leader string   `json:"leader"`
}

// Cluster is a running cluster.
type Cluster struct {
	Dir              string
	AdminToken       string
	ReplicationToken string

	cmd    *exec.Cmd
	output bytes.Buffer
	exited chan struct{}
	once   sync.Once
}

// startTimeout bounds how long a cluster may take until it serves.
const startTimeout = 60 * time.Second

// Start runs a cluster for a test and stops it with the test.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "pilot-cluster-")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Launch(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Stop()
		if t.Failed() {
			t.Logf("the members' logs are in %s", dir)
			return
		}
		os.RemoveAll(dir)
	})
	return c
}

// Launch runs a cluster in dir and returns when it serves.
func Launch(dir string, o Options) (*Cluster, error) {
	if o.Registry == "" {
		var err error
		if o.Registry, err = Binary("cmd/pilot-registry"); err != nil {
			return nil, err
		}
	}
	if o.Members == 0 {
		o.Members = 3
	}
	base, err := freePorts(o.Members)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir, exited: make(chan struct{})}
	c.cmd = exec.Command(o.Registry, o.args(dir, base)...)
	c.cmd.Env = append(os.Environ(), "HOME="+dir) // what dev keeps for pilotctl is of this cluster
	c.cmd.Stdout, c.cmd.Stderr = &c.output, &c.output
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = c.cmd.Wait() // Stop and Await look at exited
		close(c.exited)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if _, err := c.Await(ctx, func(Ready) bool { return true }); err != nil {
		c.Stop()
		return nil, fmt.Errorf("the cluster did not come up: %w\n%s\n%s", err, c.output.String(), c.logs())
	}
	c.AdminToken, c.ReplicationToken = c.token("admin"), c.token("replication")
	return c, nil
}

func (o *Options) args(dir string, base int) []string {
	args := []string{"dev", "--members", strconv.Itoa(o.Members), "--data-dir", dir, "--base-port", strconv.Itoa(base), "--ready-file", filepath.Join(dir, "ready.json")}
	if !o.NoAdmin {
		args = append(args, "--admin-token-file", filepath.Join(dir, "admin"))
	}
	if !o.NoReplication {
		args = append(args, "--replication-token-file", filepath.Join(dir, "replication"))
	}
	if !o.RateLimits {
		args = append(args, "--rate-limits", "off")
	}
	if !o.TLS {
		args = append(args, "--no-tls")
	}
	if o.NeverRestart {
		args = append(args, "--restart", "never")
	}
	for _, s := range o.Set {
		args = append(args, "--set", s)
	}
	return args
}

func (c *Cluster) token(name string) string {
	raw, err := os.ReadFile(filepath.Join(c.Dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}

// freePorts finds a base port whose three ranges are free.
func freePorts(nodes int) (int, error) {
	for range 200 {
		base := 12000 + rand.IntN(15000)
		free := true
		for i := range nodes {
			for _, p := range []int{base + i, base + 100 + i, base + 200 + i} {
				l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
				if err != nil {
					free = false
					break
				}
				l.Close()
			}
		}
		if free {
			return base, nil
		}
	}
	return 0, fmt.Errorf("no free ports found for %d members", nodes)
}

// Ready reads the ready file.
func (c *Cluster) Ready() (Ready, error) {
	var r Ready
	raw, err := os.ReadFile(filepath.Join(c.Dir, "ready.json"))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(raw, &r)
}

// Await waits until the ready file says what is wanted.
func (c *Cluster) Await(ctx context.Context, want func(Ready) bool) (Ready, error) {
	for {
		if r, err := c.Ready(); err == nil && want(r) {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return Ready{}, ctx.Err()
		case <-c.exited:
			return Ready{}, fmt.Errorf("the cluster has ended")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// LeaderNode is the leader as the ready file names it.
func (r Ready) LeaderNode() (Member, bool) {
	for _, n := range r.Nodes {
		if n.ID == r.Leader {
			return n, n.PID != 0
		}
	}
	return Member{}, false
}

// Addrs are the members' addresses for clients.
func (c *Cluster) Addrs() []string {
	r, err := c.Ready()
	if err != nil {
		return nil
	}
	var out []string
	for _, n := range r.Nodes {
		out = append(out, n.Wire)
	}
	return out
}

var opsClient = &http.Client{Timeout: 2 * time.Second}

// Status asks a member what it knows.
func (n Member) Status() (s protocol.ClusterStatusReply, err error) {
	resp, err := opsClient.Get("http://" + n.Ops + "/status")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// Stop ends the cluster and what it started. It may be called again.
func (c *Cluster) Stop() {
	c.once.Do(func() {
		r, _ := c.Ready()
		_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-c.exited:
		case <-time.After(30 * time.Second):
			_ = c.cmd.Process.Kill() // it may just have ended
			<-c.exited
			for _, n := range r.Nodes { // members notice that dev is gone; a stopped one cannot
				if n.PID != 0 {
					_ = syscall.Kill(n.PID, syscall.SIGKILL) // it may have ended
				}
			}
		}
	})
}

// Output is what dev printed. It may be asked for after Stop.
func (c *Cluster) Output() string { return c.output.String() }

// logs are the ends of the members' logs.
func (c *Cluster) logs() string {
	var out strings.Builder
	files, err := filepath.Glob(filepath.Join(c.Dir, "n*.log"))
	if err != nil {
		return err.Error()
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if len(raw) > 3000 {
			raw = raw[len(raw)-3000:]
		}
		fmt.Fprintf(&out, "--- %s\n%s\n", filepath.Base(f), raw)
	}
	return out.String()
}

// Signal sends a signal to the dev process.
func (c *Cluster) Signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}
