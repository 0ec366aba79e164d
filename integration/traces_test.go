// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// span is a span as a receiver got it.
type span struct {
	name, member, trace, id, parent string
	attributes                      map[string]string
	took                            time.Duration
}

// spansOf decodes what a receiver of OTLP got, by trace.
func spansOf(t *testing.T, received []harness.Received) map[string][]span {
	t.Helper()
	traces := map[string][]span{}
	for _, r := range received {
		var data tracepb.TracesData
		if err := proto.Unmarshal(r.Body, &data); err != nil {
			t.Fatalf("what was sent is no OTLP: %v", err)
		}
		for _, resource := range data.GetResourceSpans() {
			about := map[string]string{}
			for _, a := range resource.GetResource().GetAttributes() {
				about[a.GetKey()] = a.GetValue().GetStringValue()
			}
			if about["service.name"] != "pilot-registry" {
				t.Errorf("a resource calls itself %v", about)
			}
			for _, scope := range resource.GetScopeSpans() {
				for _, s := range scope.GetSpans() {
					one := span{name: s.GetName(), member: about["service.instance.id"], trace: hex.EncodeToString(s.GetTraceId()),
						id: hex.EncodeToString(s.GetSpanId()), parent: hex.EncodeToString(s.GetParentSpanId()), attributes: map[string]string{},
						took: time.Duration(s.GetEndTimeUnixNano() - s.GetStartTimeUnixNano())}
					for _, a := range s.GetAttributes() {
						one.attributes[a.GetKey()] = strings.Trim(strings.TrimPrefix(a.GetValue().String(), "string_value:"), `"`)
					}
					traces[one.trace] = append(traces[one.trace], one)
				}
			}
		}
	}
	return traces
}

// tree renders the spans of a trace as "name@member(children...)", children by name.
func tree(spans []span, parent string, members map[string]string) string {
	var out []string
	for _, s := range spans {
		if s.parent != parent {
			continue
		}
		text := s.name + "@" + members[s.member]
		if below := tree(spans, s.id, members); below != "" {
			text += "(" + below + ")"
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// awaitTrees waits until a receiver has traces of these shapes.
func awaitTrees(t *testing.T, receiver *harness.Receiver, members map[string]string, want ...string) {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		got = nil
		for _, spans := range spansOf(t, receiver.Got()) {
			got = append(got, tree(spans, "", members))
		}
		if !slices.ContainsFunc(want, func(shape string) bool { return !slices.Contains(got, shape) }) {
			return
		}
	}
	slices.Sort(got)
	t.Fatalf("no trace of the shape\n%s\namong\n%s", strings.Join(want, "\n"), strings.Join(slices.Compact(got), "\n"))
}

// A request is one tree of spans, whichever members it passes: here writes and
// reads through a follower and through the leader. No secret is in it.
func TestARequestIsOneTraceAcrossMembers(t *testing.T) {
	t.Parallel()
	receiver := harness.NewReceiver()
	defer receiver.Close()
	headers := filepath.Join(t.TempDir(), "headers")
	if err := os.WriteFile(headers, []byte("Authorization: Bearer for-the-receiver\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cluster := harness.Start(t, harness.Options{Set: []string{"ops.otlp_endpoint=" + receiver.URL, "ops.otlp_headers_file=" + headers, "ops.trace_ratio=1"}})
	ready, err := cluster.Ready()
	if err != nil {
		t.Fatal(err)
	}
	leader, _ := ready.LeaderNode()
	i := slices.IndexFunc(ready.Nodes, func(n harness.Member) bool { return n.ID != leader.ID })
	follower := ready.Nodes[i]
	members := map[string]string{leader.ID: "leader", follower.ID: "follower"}
	ask := func(n harness.Member, request map[string]any) {
		t.Helper()
		w, err := harness.Dial(n.Wire)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if _, err := w.Call(request); err != nil {
			t.Fatal(err)
		}
	}
	agent, err := harness.NewAgent()
	if err != nil {
		t.Fatal(err)
	}
	ask(follower, map[string]any{"type": "register", "public_key": agent.PublicKey(), "listen_addr": "203.0.113.7:4000", "hostname": "host-not-for-traces"})
	ask(leader, map[string]any{"type": "create_network", "node_id": 1, "name": "name-not-for-traces", "join_rule": "token", "token": "token-not-for-traces", "admin_token": cluster.AdminToken})
	ask(follower, map[string]any{"type": "list_nodes", "network_id": 1, "admin_token": cluster.AdminToken})
	ask(follower, map[string]any{"type": "lookup", "node_id": 1, "consistency": "stale"})
	ask(leader, map[string]any{"type": "promote_member", "network_id": 7, "node_id": 1, "target_node_id": 2, "admin_token": "guess-not-for-traces"})

	atLeader := "apply@leader commit@leader propose_entry@leader queue@leader"
	awaitTrees(t, receiver, members,
		"register@follower(decode@follower propose@follower(forward@follower(propose@leader("+atLeader+"))) reply@follower verify@follower)",
		"create_network@leader(decode@leader propose@leader("+atLeader+") reply@leader verify@leader)",
		"list_nodes@follower(confirm@follower decode@follower reply@follower verify@follower)",
		"lookup@follower(decode@follower reply@follower verify@follower)")
	for _, r := range receiver.Got() {
		if got := r.Header.Get("Authorization"); got != "Bearer for-the-receiver" {
			t.Errorf("a delivery with Authorization %q", got)
		}
		for _, secret := range []string{cluster.AdminToken, "not-for-traces", agent.PublicKey(), "203.0.113.7", "for-the-receiver"} {
			if bytes.Contains(r.Body, []byte(secret)) {
				t.Errorf("%q is in a trace", secret)
			}
		}
	}
	checkRoots(t, receiver)
	checkExemplars(t, receiver, leader, follower)
}

// checkRoots looks at what the roots tell, and at the times of the stages.
func checkRoots(t *testing.T, receiver *harness.Receiver) {
	t.Helper()
	roots := map[string]span{}
	for _, spans := range spansOf(t, receiver.Got()) {
		i := slices.IndexFunc(spans, func(s span) bool { return s.parent == "" })
		if i < 0 {
			t.Errorf("a trace without a root: %+v", spans)
			continue
		}
		for _, s := range spans {
			if s.took < 0 || s.member == spans[i].member && s.took > spans[i].took {
				t.Errorf("%s took %s of %s", s.name, s.took, spans[i].took)
			}
		}
		roots[spans[i].name] = spans[i]
	}
	for name, want := range map[string]string{"list_nodes": "", "promote_member": "admin_token"} {
		root := roots[name]
		network := map[string]string{"list_nodes": "1", "promote_member": "7"}[name]
		if !strings.Contains(root.attributes["pilot.network_id"], network) || want != "" && root.attributes["pilot.code"] == "" {
			t.Errorf("the root of %s tells %v", name, root.attributes)
		}
	}
}

// checkExemplars finds traces that arrived as exemplars of the duration of requests.
func checkExemplars(t *testing.T, receiver *harness.Receiver, members ...harness.Member) {
	t.Helper()
	traces := spansOf(t, receiver.Got())
	for _, n := range members {
		req, err := http.NewRequest(http.MethodGet, "http://"+n.Ops+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if kind := resp.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/openmetrics-text") {
			t.Errorf("OpenMetrics was asked for, %q came", kind)
		}
		found := false
		for _, m := range regexp.MustCompile(`(?m)^pilot_request_duration_seconds_bucket\{.*type="([^"]+)".*# \{trace_id="([0-9a-f]{32})"\}`).FindAllStringSubmatch(string(page), -1) {
			for _, s := range traces[m[2]] {
				found = found || s.parent == "" && s.name == m[1] && s.member == n.ID
			}
		}
		if !found {
			t.Errorf("member %s shows no exemplar of a trace that arrived", n.ID)
		}
	}
}

// A receiver that hangs or refuses stops no request.
func TestRequestsDoNotWaitForTheReceiverOfTraces(t *testing.T) {
	t.Parallel()
	receiver := harness.NewReceiver()
	defer receiver.Close()
	receiver.Set(harness.AnswerHang)
	cluster := harness.Start(t, harness.Options{Members: 1, Set: []string{"ops.otlp_endpoint=" + receiver.URL, "ops.trace_ratio=1"}})
	w, err := harness.Dial(cluster.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i := range 2000 {
		if reply, err := w.Call(map[string]any{"type": "beacon_list"}); err != nil || reply["error"] != nil {
			t.Fatalf("request %d: %v, %v", i, reply, err)
		}
	}
	ready, err := cluster.Ready()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"dropped", "failed"} { // it hangs, then refuses
		counted := func() float64 {
			_, series, err := scrape(ready.Nodes[0])
			if err != nil {
				t.Fatal(err)
			}
			return series[fmt.Sprintf("pilot_trace_spans_total{result=%q}", want)]
		}
		deadline := time.Now().Add(time.Minute)
		for counted() == 0 {
			if time.Now().After(deadline) {
				t.Fatalf("no span is counted as %s", want)
			}
			time.Sleep(50 * time.Millisecond)
		}
		receiver.Set(harness.AnswerRefuse)
	}
}
