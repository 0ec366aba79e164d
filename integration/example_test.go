// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// envE2E makes the examples run that take long or need programs of the
// system; make e2e sets it.
const envE2E = "PILOT_E2E"

// onlyE2E skips a test outside make e2e.
func onlyE2E(t *testing.T, why string) {
	t.Helper()
	if os.Getenv(envE2E) == "" {
		t.Skipf("%s: run by make e2e", why)
	}
}

// sender sends requests as texts, with $TOKEN for the admin token.
type sender struct {
	*harness.Wire
	t     *testing.T
	admin string
	// heard gets every reply when it is set.
	heard func(raw []byte)
}

// follower connects to a member that does not lead.
func follower(t *testing.T, c *harness.Cluster) *sender {
	t.Helper()
	return &sender{Wire: throughFollower(t, c), t: t, admin: c.AdminToken}
}

func framed(request string) []byte { return protocol.AppendFrame(nil, []byte(request)) }

// in is the sender for a subtest.
func (s *sender) in(t *testing.T) *sender {
	sub := *s
	sub.t = t
	return &sub
}

// try sends a request byte for byte and returns whatever is answered.
func (s *sender) try(request string) map[string]any {
	s.t.Helper()
	request = strings.ReplaceAll(request, "$TOKEN", s.admin)
	raw, err := s.Exchange(framed(request), 15*time.Second)
	if err != nil {
		s.t.Fatalf("%s: %v", request, err)
	}
	if s.heard != nil {
		s.heard(raw)
	}
	var reply map[string]any
	if err := json.Unmarshal(raw, &reply); err != nil {
		s.t.Fatalf("%s: %v in %s", request, err, raw)
	}
	return reply
}

// send is try for a request that has to succeed.
func (s *sender) send(request string) map[string]any {
	s.t.Helper()
	reply := s.try(request)
	if reply["type"] == "error" {
		s.t.Fatalf("%s: %v", request, reply)
	}
	return reply
}

// await waits until done reports true; what it returns besides is the state
// to show when that does not happen.
func await(t *testing.T, what string, done func() (any, bool)) {
	t.Helper()
	awaitLong(t, what, time.Minute, done)
}

func awaitLong(t *testing.T, what string, atMost time.Duration, done func() (any, bool)) {
	t.Helper()
	for end := time.Now().Add(atMost); ; {
		state, ok := done()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("still waiting for %s: %v", what, state)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// ctl runs pilotctl as the administrator and returns what it printed.
func ctl(t *testing.T, c *harness.Cluster, args ...string) (string, error) {
	t.Helper()
	return anyone(t, c, append([]string{"--admin-token-file", filepath.Join(c.Dir, "admin")}, args...)...)
}

// anyone runs pilotctl without the administrator's token.
func anyone(t *testing.T, c *harness.Cluster, args ...string) (string, error) {
	t.Helper()
	program := binary(t, "cmd/pilotctl") // building it is not on the clock
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args = append([]string{"--addr", strings.Join(c.Addrs(), ",")}, args...)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("pilotctl %s: %w: %s", strings.Join(args, " "), err, said.String())
	}
	return out.String(), nil
}

// leaderGone kills the leader and waits until a member leads and every member serves again.
func leaderGone(t *testing.T, c *harness.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	hurtLeader(ctx, t, c, "kill")
	if _, err := c.Await(ctx, func(r harness.Ready) bool { return r.Leader != "" && serves(r) }); err != nil {
		t.Fatal(err)
	}
}

// serves reports whether every member takes connections of clients and of
// operators.
func serves(r harness.Ready) bool {
	for _, n := range r.Nodes {
		for _, addr := range []string{n.Wire, n.Ops} {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				return false
			}
			_ = conn.Close()
		}
	}
	return true
}
