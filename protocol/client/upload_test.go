// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// A listing that does not fit one frame goes in parts, and a long reply is put
// together from its pages.
func TestLongListing(t *testing.T) {
	var mu []request
	member := &member{addr: "a:1", answer: func(_ int, req request) string {
		mu = append(mu, req)
		part, parts := req["part"], req["parts"]
		switch {
		case part != parts:
			return fmt.Sprintf(`{"type":"directory_sync_ok","pending":true,"part":%v,"parts":%v}`, part, parts)
		case req["type"] == "directory_status" || req.text("cursor") != "":
			return `{"type":"x_ok","actions":["b"],"warnings":["w"]}`
		}
		return fmt.Sprintf(`{"type":"directory_sync_ok","actions":["a"],"dry_run":%t,"mapped":7,"network_id":3,"next_cursor":"more","index":9}`, req["dry_run"] == true)
	}}
	c := newCluster(member).client(t, client.Options{Addrs: []string{"a:1"}, AdminToken: "t"})
	r := protocol.DirectorySync{NetworkID: 3, RemoveUnlisted: true}
	for i := range 2000 {
		r.Entries = append(r.Entries, protocol.DirectoryEntry{ExternalID: fmt.Sprint("person-", i), DisplayName: strings.Repeat("é", 30)})
	}
	for _, dry := range []bool{false, true} {
		mu = nil
		opts := []client.CallOption{client.WithRequestID("mine")}
		if dry {
			opts = append(opts, client.WithDryRun())
		}
		got, err := c.DirectorySync(context.Background(), r, opts...)
		if err != nil || got.Mapped != 7 || !slices.Equal(got.Actions, []string{"a", "b"}) || !slices.Equal(got.Warnings, []string{"w"}) {
			t.Fatalf("%+v %v", got, err)
		}
		sent, uploads, ids := 0, map[string]bool{}, map[string]bool{}
		for i, req := range mu {
			last := i == len(mu)-2
			if entries, _ := req["entries"].([]any); i < len(mu)-1 {
				sent += len(entries)
				uploads[req.text("upload_id")] = true
				if req["remove_unlisted"] != true || (req["dry_run"] == true) != (dry && last) || (req.text("request_id") == "mine") != last {
					t.Errorf("part %d: %v", i, req["dry_run"])
				}
			}
			if ids[req.text("request_id")] {
				t.Errorf("request id %s came twice", req.text("request_id"))
			}
			ids[req.text("request_id")] = true
			if raw, _ := json.Marshal(req); len(raw) > 50<<10 {
				t.Errorf("a request of %d bytes", len(raw))
			}
		}
		if sent != 2000 || len(uploads) != 1 || len(mu) < 4 {
			t.Errorf("%d entries in %d requests of %d uploads", sent, len(mu), len(uploads))
		}
	}
}

func TestLongBlueprint(t *testing.T) {
	var roles, parts int
	secret := 0
	member := &member{addr: "a:1", answer: func(_ int, req request) string {
		b := req["blueprint"].(map[string]any)
		list, _ := b["roles"].([]any)
		roles += len(list)
		parts++
		if b["join_token"] == "hush" {
			secret++
		}
		return `{"type":"provision_network_ok","name":"a"}`
	}}
	c := newCluster(member).client(t, client.Options{Addrs: []string{"a:1"}, AdminToken: "t"})
	b := &protocol.Blueprint{Name: "a", JoinToken: "hush"}
	for i := range 3000 {
		b.Roles = append(b.Roles, protocol.BlueprintRole{ExternalID: fmt.Sprint("person-", i), Role: "member"})
	}
	var told []int
	asked := client.WithParts(func(sent, all int) { told = append(told, all-sent) })
	if got, err := c.ProvisionNetwork(context.Background(), protocol.ProvisionNetwork{Blueprint: b}, asked); err != nil || got.Name != "a" {
		t.Fatal(err)
	}
	for i, left := range told {
		if left != parts-i {
			t.Errorf("before part %d of %d it was told of %d to come", i+1, parts, left)
		}
	}
	if len(told) != parts {
		t.Errorf("it was told of %d parts of %d", len(told), parts)
	}
	if roles != 3000 || parts < 3 || secret != parts {
		t.Errorf("%d roles in %d parts, %d with the token", roles, parts, secret)
	}
}

// A request that the server does not read is not sent: it would cost the
// connection, and nobody would say why.
func TestLongRequestIsSentOnlyWhereItIsRead(t *testing.T) {
	policy := `{"version":1,"rules":[{"name":"` + strings.Repeat(`\"`, 33_000) + `"}]}`
	for identity, fits := range map[string]bool{
		"": false, // an older server
		`{"type":"cluster_id_ok","cluster_id":"c"}`:                       false,
		`{"type":"cluster_id_ok","cluster_id":"c","max_request":65536}`:   false,
		`{"type":"cluster_id_ok","cluster_id":"c","max_request":1048576}`: true,
	} {
		members := newCluster(&member{addr: "a:1", answer: ok, identity: identity})
		c := members.client(t, client.Options{AdminToken: "t"})
		_, err := c.SetExprPolicy(context.Background(), protocol.SetExprPolicy{NetworkID: 3, ExprPolicy: &policy})
		if n := len(members.requests()); (n == 1) != fits {
			t.Errorf("%s: %d requests were sent", identity, n)
		}
		if fits != (err == nil) {
			t.Errorf("%s: %v", identity, err)
		}
		if !fits {
			if e := wantError(t, err, protocol.CodeTooLarge, protocol.OutcomeRejected); !strings.Contains(e.Text, "wire.max_request") {
				t.Errorf("%v", e)
			}
		}
	}
}
