// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// A watch shows what is there, then each change, through pages and while the
// members are away.
func TestWatchNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pages := []string{
			`{"type":"list_nodes_ok","nodes":[{"node_id":1,"address":"a","last_seen":"x"}],"next_cursor":"2"}`,
			`{"type":"list_nodes_ok","nodes":[{"node_id":2,"address":"b"}]}`,
		}
		m := &member{addr: "a:1", answer: func(_ int, req request) string {
			if req.text("cursor") == "2" {
				return pages[1]
			}
			return pages[0]
		}}
		c := newCluster(m)
		cl := c.client(t, client.Options{RetryFor: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		var said []string
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for change, err := range cl.WatchNodes(ctx, 3, client.WatchOptions{Interval: time.Second}) {
				if err != nil {
					t.Error(err)
					return
				}
				n := change.New
				if n == nil {
					n = change.Old
				}
				said = append(said, fmt.Sprintf("%s %d %s", change.Kind, n.NodeID, n.Address))
			}
		}()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		c.set("a:1", func(m *member) { m.down = true })
		cl.DropConns()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		c.set("a:1", func(m *member) {
			m.down = false
			pages[0] = `{"type":"list_nodes_ok","nodes":[{"node_id":1,"address":"a","last_seen":"later"}],"next_cursor":"2"}`
			pages[1] = `{"type":"list_nodes_ok","nodes":[{"node_id":3,"address":"c"}]}`
		})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		c.set("a:1", func(*member) { pages[1] = `{"type":"list_nodes_ok","nodes":[{"node_id":3,"address":"d"}]}` })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		cancel()
		<-ended
		want := []string{"added 1 a", "added 2 b", "added 3 c", "removed 2 b", "changed 3 d"}
		if !slices.Equal(said, want) {
			t.Errorf("said %q, want %q", said, want)
		}
	})
}

// A refusal ends a watch with one error; the loop may end it any time.
func TestWatchesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := failing(protocol.CodePermissionDenied, protocol.OutcomeRejected)
		c := newCluster(&member{addr: "a:1", answer: func(_ int, req request) string {
			switch req.text("type") {
			case "list_networks":
				return `{"type":"list_networks_ok","networks":[{"id":1,"name":"one"},{"id":2,"name":"two"}]}`
			case "poll_invites":
				return `{"type":"poll_invites_ok","invites":[{"inviter_id":1,"network_id":2,"timestamp":3}]}`
			}
			return refused
		}})
		cl := c.client(t, client.Options{Identity: identity(t)})
		failures := 0
		for _, err := range cl.WatchNodes(t.Context(), 0, client.WatchOptions{}) {
			failures++
			wantError(t, err, protocol.CodePermissionDenied, protocol.OutcomeRejected)
		}
		if failures != 1 {
			t.Errorf("%d errors", failures)
		}
		for change, err := range cl.WatchNetworks(t.Context(), client.WatchOptions{}) {
			if err != nil || change.New.Name != "one" {
				t.Errorf("%+v, %v", change, err)
			}
			break
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		invites := 0
		for _, err := range cl.WatchInvites(ctx, 7, client.WatchOptions{}) {
			if invites++; err != nil {
				t.Error(err)
			}
		}
		if invites != 1 {
			t.Errorf("the invite came %d times", invites)
		}
	})
}

// Every event comes once and in order, also when a page is lost.
func TestWatchAudit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		head, asked := 5, 0
		c := newCluster(&member{addr: "a:1", answer: func(_ int, req request) string {
			if req.text("type") == "audit_chain" {
				return fmt.Sprintf(`{"type":"audit_chain_ok","chains":[{"class":"activity","head_seq":%d}]}`, head)
			}
			if asked++; asked == 2 {
				return failing(protocol.CodeNoLeader, protocol.OutcomeNotApplied)
			}
			after, _ := req["after_seq"].(float64)
			seq := int(after) + 1
			if seq > head {
				return `{"type":"get_audit_log_ok","entries":[]}`
			}
			next := ""
			if seq < head {
				next = fmt.Sprintf(`,"next_cursor":"%d"`, seq)
			}
			return fmt.Sprintf(`{"type":"get_audit_log_ok","entries":[{"seq":%d,"action":"x"}]%s}`, seq, next)
		}})
		var log bytes.Buffer
		cl := c.client(t, client.Options{AdminToken: "s3cret", RetryFor: -1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		newest, err := cl.NewestEvent(t.Context())
		if err != nil || newest != 5 {
			t.Fatal(newest, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var got []uint64
		for e, err := range cl.WatchAudit(ctx, protocol.GetAuditLog{}, client.WatchOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, e.Seq); e.Seq == 5 {
				head = 7
			}
		}
		if !slices.Equal(got, []uint64{1, 2, 3, 4, 5, 6, 7}) {
			t.Errorf("events %v", got)
		}
		if text := log.String(); !strings.Contains(text, "no member answers a watch") || !strings.Contains(text, "answered again") || strings.Contains(text, "s3cret") {
			t.Errorf("the log says:\n%s", text)
		}
	})
}
