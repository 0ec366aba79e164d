// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// Leaders are killed while receivers break connections off, answer errors and
// lose their answers: every event reaches the export, and the webhook or its
// dead letters, the first time in order, repetitions are equal, and the audit
// log has every event once.
func TestSinksLoseNothingWithLeadersKilled(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	admin := administrator(t, c)
	hook, siem := harness.NewReceiver(), harness.NewReceiver()
	defer hook.Close()
	defer siem.Close()
	for _, s := range []protocol.AuditSinkPut{
		{Name: "hook", Kind: protocol.SinkWebhook, Endpoint: hook.URL, Actions: []string{"polo_score.*"}},
		{Name: "siem", Kind: protocol.SinkExport, Format: protocol.FormatJSON, Endpoint: siem.URL, Actions: []string{"polo_score.*"}},
	} {
		if _, err := admin.AuditSinkPut(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	write := scorer(ctx, t, c)
	for _, answer := range []harness.Answer{harness.AnswerOK, harness.AnswerLost, harness.AnswerError, harness.AnswerReset} {
		hook.Set(answer)
		siem.Set(answer)
		write(20)
		hurtLeader(ctx, t, c, "kill")
		write(20)
	}
	hook.Set(harness.AnswerOK)
	siem.Set(harness.AnswerOK)
	dead := awaitSinks(ctx, t, admin)

	entries, chains := readTrail(ctx, t, admin)
	judge(t, check.Trail(entries, chains))
	var want []protocol.AuditEntry
	for _, e := range entries {
		if e.Action == protocol.EventPoloUpdated {
			want = append(want, e)
		}
	}
	if len(want) != 160 {
		t.Errorf("%d changes of the score are in the log, 160 were acknowledged", len(want))
	}
	judge(t, check.Deliveries("hook", want, deliveries(hook), dead, nil))
	judge(t, check.Deliveries("siem", want, deliveries(siem), nil, nil))
	t.Logf("%d requests to the webhook, %d to the export, %d dead letters", len(hook.Got()), len(siem.Got()), len(dead))
}

// administrator is a client with the admin token, which asks any member.
func administrator(t *testing.T, c *harness.Cluster) *client.Client {
	t.Helper()
	admin, err := client.Open(client.Options{Addrs: c.Addrs(), AdminToken: c.AdminToken, Shuffle: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	return admin
}

// scorer returns a function that changes a node's score that many times.
func scorer(ctx context.Context, t *testing.T, c *harness.Cluster) func(n int) {
	t.Helper()
	id, err := client.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	node, err := client.Open(client.Options{Addrs: c.Addrs(), Identity: id})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { node.Close() })
	r, err := node.Register(ctx, protocol.Register{PublicKey: id.PublicKey().String(), ListenAddr: ":4000"})
	if err != nil {
		t.Fatal(err)
	}
	id.SetNodeID(r.NodeID)
	return func(n int) {
		t.Helper()
		for range n {
			if _, err := node.UpdatePoloScore(ctx, r.NodeID, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// awaitSinks waits until both sinks have nothing before them and returns the
// webhook's dead letters.
func awaitSinks(ctx context.Context, t *testing.T, admin *client.Client) (dead []uint64) {
	t.Helper()
	for {
		list, err := admin.AuditSinkList(ctx)
		if err != nil {
			t.Fatal(err)
		}
		behind := uint64(0)
		for _, s := range list.Sinks {
			if s.Name == "hook" || s.Name == "siem" {
				behind += s.Lag
			}
		}
		if behind == 0 {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the sinks do not catch up: %+v", list.Sinks)
		case <-time.After(50 * time.Millisecond):
		}
	}
	letters, err := admin.DlqList(ctx, "hook")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range letters.Letters {
		dead = append(dead, l.EventID)
	}
	return dead
}

// readTrail reads the whole audit log, oldest event first, and its chains.
func readTrail(ctx context.Context, t *testing.T, admin *client.Client) (entries []protocol.AuditEntry, chains []protocol.AuditChainEnd) {
	t.Helper()
	ends, err := admin.AuditChain(ctx)
	if err != nil {
		t.Fatal(err)
	}
	head := uint64(0)
	for _, c := range ends.Chains {
		head = max(head, c.HeadSeq)
	}
	for cursor := ""; ; {
		page, err := admin.GetAuditLog(ctx, protocol.GetAuditLog{Ascending: true}, client.WithLimit(200), client.WithCursor(cursor))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			if e.Seq > head {
				return entries, ends.Chains
			}
			entries = append(entries, e)
		}
		if cursor = page.NextCursor; cursor == "" {
			return entries, ends.Chains
		}
	}
}

func deliveries(r *harness.Receiver) (out []check.Delivery) {
	for _, g := range r.Got() {
		out = append(out, check.Delivery{Event: g.EventID(), ID: g.Header.Get("Webhook-Id"), Body: g.Body, Accepted: g.Accepted()})
	}
	return out
}

func judge(t *testing.T, found []check.Violation) {
	t.Helper()
	for _, v := range found {
		t.Error(v)
	}
}

// The structured log has a position like every sink: when all members are
// killed and come back, it continues there, and has what it had once.
func TestTheLogHasEventsOnceAcrossRestarts(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{Set: []string{"log.format=json"}})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	admin := administrator(t, c)
	write := scorer(ctx, t, c)
	write(30)
	had := logged(ctx, t, admin)
	r, err := c.Await(ctx, allUp)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range r.Nodes {
		if err := syscall.Kill(n.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Await(ctx, func(now harness.Ready) bool {
		_, led := now.LeaderNode()
		for _, n := range r.Nodes {
			led = led && pidOf(now, n.ID) != n.PID
		}
		return led && allUp(now)
	}); err != nil {
		t.Fatal(err)
	}
	write(30)
	logged(ctx, t, admin)

	lines := auditLines(t, c)
	entries, _ := readTrail(ctx, t, admin)
	for i := range entries {
		e := &entries[i]
		if n := lines[e.Seq]; n == 0 || n > 1 && e.Seq <= had {
			t.Errorf("event %d (%s) is in the members' logs %d times; before they were killed the log had all up to %d", e.Seq, e.Action, n, had)
		}
	}
	if len(entries) < 60 || had < 30 {
		t.Errorf("%d events, of which %d before the members were killed", len(entries), had)
	}
}

// logged waits until the structured log has everything and returns up to what.
func logged(ctx context.Context, t *testing.T, admin *client.Client) uint64 {
	t.Helper()
	for {
		list, err := admin.AuditSinkList(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list.Sinks {
			if s.Name == protocol.SinkNameLog && s.Lag == 0 {
				return s.Seq
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the log does not catch up: %+v", list.Sinks)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// auditLines counts the lines of the members' logs by the event they are of.
func auditLines(t *testing.T, c *harness.Cluster) map[uint64]int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(c.Dir, "n*.log"))
	if err != nil || len(files) != 3 {
		t.Fatalf("logs: %v, %v", files, err)
	}
	lines := map[uint64]int{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			var l struct {
				Message string `json:"@message"`
				Seq     uint64 `json:"seq"`
			}
			if json.Unmarshal([]byte(line), &l) == nil && l.Message == "audit" {
				lines[l.Seq]++
			}
		}
	}
	return lines
}
