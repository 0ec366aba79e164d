package integration

import (
	"context"
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
	c := harness.Start(t, harness.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	admin, err := client.Open(client.Options{Addrs: c.Addrs(), AdminToken: c.AdminToken, Shuffle: true})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
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

// scorer returns a function that changes a node's score so many times.
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
