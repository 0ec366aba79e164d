// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// connect dials a member for the length of a test.
func connect(t *testing.T, addr string) *harness.Wire {
	t.Helper()
	w, err := harness.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// raw sends a request with the admin token and returns the reply as it came.
func raw(t *testing.T, c *harness.Cluster, w *harness.Wire, request string) string {
	t.Helper()
	fields := map[string]any{"admin_token": c.AdminToken}
	if err := json.Unmarshal([]byte(request), &fields); err != nil {
		t.Fatal(err)
	}
	reply, err := w.Exchange(harness.Frame(fields), 15*time.Second)
	if err != nil {
		t.Fatalf("%s: %v", request, err)
	}
	return string(reply)
}

// What has nothing in it is a list, not null: programs range over it.
func TestEmptyListsAreLists(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{Members: 1})
	w := connect(t, c.Addrs()[0])
	for request, want := range map[string]string{
		`{"type":"get_provision_status"}`: `"networks":[]`,
		`{"type":"get_webhook_dlq"}`:      `"events":[]`,
	} {
		if got := raw(t, c, w, request); !strings.Contains(got, want) {
			t.Errorf("%s: %s", request, got)
		}
	}
	if got := raw(t, c, w, `{"type":"get_webhook_dlq"}`); !strings.Contains(got, `"type":"webhook_dlq_ok"`) {
		t.Errorf("%s", got)
	}
	a := agent(t, w)
	raw(t, c, w, fmt.Sprintf(`{"type":"set_external_id","node_id":%d,"external_id":"a@example.org"}`, a.ID))
	raw(t, c, w, fmt.Sprintf(`{"type":"create_network","name":"empty","join_rule":"open","enterprise":true,"node_id":%d}`, a.ID))
	if got := raw(t, c, w, `{"type":"directory_sync","network_id":1,"entries":[{"external_id":"a@example.org"}]}`); !strings.Contains(got, `"actions":[]`) {
		t.Errorf("a sync that changes nothing: %s", got)
	}
}

// A provider or a format that the registry does not know is refused, and what
// was configured stays.
func TestConfigurationTakesOnlyWhatItKnows(t *testing.T) {
	c := sharedCluster(t)
	w := connect(t, c.Addrs()[0])
	for _, request := range []string{
		`{"type":"set_audit_export","format":"xml","endpoint":"https://siem.example.com"}`,
		`{"type":"set_idp_config","idp_type":"kerberos","url":"https://idp.example.com"}`,
	} {
		if got := raw(t, c, w, request); !strings.Contains(got, `"code":"invalid_argument"`) {
			t.Errorf("%s: %s", request, got)
		}
	}
}

// The registry's part of broadcast is the list of members.
func TestThereIsNoBroadcast(t *testing.T) {
	c := sharedCluster(t)
	w := connect(t, c.Addrs()[0])
	if got := raw(t, c, w, `{"type":"broadcast","network_id":1}`); !strings.Contains(got, `unknown message type: \"broadcast\"`) {
		t.Errorf("%s", got)
	}
	if got := raw(t, c, w, `{"type":"list_nodes","network_id":0}`); !strings.Contains(got, `"type":"list_nodes_ok"`) {
		t.Errorf("%.300s", got)
	}
}

// An invitation waits until it is answered, however often it is polled.
func TestInvitesArePolledWithoutAWrite(t *testing.T) {
	c := sharedCluster(t)
	w := connect(t, c.Addrs()[0])
	owner, guest := agent(t, w), agent(t, w)
	var net struct {
		ID uint16 `json:"network_id"`
	}
	made := raw(t, c, w, fmt.Sprintf(`{"type":"create_network","name":"inv%d","join_rule":"invite","enterprise":true,"node_id":%d}`, owner.ID, owner.ID))
	if err := json.Unmarshal([]byte(made), &net); err != nil || net.ID == 0 {
		t.Fatalf("%s", made)
	}
	raw(t, c, w, fmt.Sprintf(`{"type":"invite_to_network","network_id":%d,"inviter_id":%d,"target_node_id":%d}`, net.ID, owner.ID, guest.ID))
	for i := range 3 {
		reply, err := w.Call(map[string]any{"type": "poll_invites", "node_id": guest.ID, "signature": guest.Sign(fmt.Sprintf("poll_invites:%d", guest.ID))})
		if list, _ := reply["invites"].([]any); err != nil || len(list) != 1 {
			t.Errorf("poll %d: %v %v", i+1, reply, err)
		}
	}
}

// Each member counts for itself: a caller refused by one is served by another.
func TestMembersCountRateLimitsByThemselves(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{RateLimits: true})
	first, second := connect(t, c.Addrs()[0]), connect(t, c.Addrs()[1])
	register := func(w *harness.Wire) string {
		a, err := harness.NewAgent()
		if err != nil {
			t.Fatal(err)
		}
		return raw(t, c, w, fmt.Sprintf(`{"type":"register","listen_addr":":4000","public_key":%q}`, a.PublicKey()))
	}
	refused := ""
	for range 30 {
		if got := register(first); strings.Contains(got, `"code":"rate_limited"`) {
			refused = got
			break
		}
	}
	if refused == "" {
		t.Error("30 registrations at once are all taken")
	}
	if got := register(second); !strings.Contains(got, `"type":"register_ok"`) {
		t.Errorf("another member: %s", got)
	}
}

// Clients pin one certificate: it is that of the cluster, on every member and
// after a restart.
func TestEveryMemberHasTheSameCertificate(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{TLS: true})
	leaf := func(addr string) []byte {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) // compared below
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Raw
	}
	want := leaf(c.Addrs()[0])
	for _, addr := range c.Addrs()[1:] {
		if !bytes.Equal(leaf(addr), want) {
			t.Errorf("%s has another certificate", addr)
		}
	}
	before, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(before.Nodes[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := c.Await(ctx, func(r harness.Ready) bool { pid := r.Nodes[0].PID; return pid != 0 && pid != before.Nodes[0].PID }); err != nil {
		t.Fatal(err)
	}
	for { // it has started, and listens soon
		conn, err := net.Dial("tcp", c.Addrs()[0])
		if err == nil {
			conn.Close()
			break
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(leaf(c.Addrs()[0]), want) {
		t.Error("it has another certificate after a restart")
	}
}

// Clients take a reply without a type for damage; refusals have one too.
func TestEveryReplySaysWhatItIs(t *testing.T) {
	c := sharedCluster(t)
	w := connect(t, c.Addrs()[0])
	for i := range protocol.Commands {
		row := &protocol.Commands[i]
		if row.Mode == protocol.ModeStream {
			continue
		}
		var reply struct{ Type string }
		if got := raw(t, c, w, fmt.Sprintf(`{"type":%q,"admin_token":""}`, row.Name)); json.Unmarshal([]byte(got), &reply) != nil || reply.Type == "" {
			t.Errorf("%s: %s", row.Name, got)
		}
	}
}
