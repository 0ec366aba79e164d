// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// opsAsk asks an ops listener and returns the status, the headers and the body.
func opsAsk(t *testing.T, client *http.Client, method, url string, head map[string]string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range head {
		r.Header.Set(k, v)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

// What a page, a badge and a scraper read is the same on every member, and who
// is connected with whom is for administrators.
func TestOpsListenerOfEveryMember(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{Members: 3})
	wire := follower(t, c)
	var a, b harness.Agent
	for _, agent := range []*harness.Agent{&a, &b} {
		var err error
		if *agent, err = wire.Register(); err != nil {
			t.Fatal(err)
		}
	}
	for _, pair := range [][2]harness.Agent{{a, b}, {b, a}} {
		wire.send(fmt.Sprintf(`{"type":"report_trust","node_id":%d,"peer_id":%d,"signature":%q}`, pair[0].ID, pair[1].ID,
			pair[0].Sign(fmt.Sprintf("report_trust:%d:%d", pair[0].ID, pair[1].ID))))
	}
	wire.send(fmt.Sprintf(`{"type":"set_tags","node_id":%d,"tags":["ml","gpu"],"signature":%q}`, a.ID, a.Sign(fmt.Sprintf("set_tags:%d", a.ID))))
	wire.send(fmt.Sprintf(`{"type":"set_task_exec","node_id":%d,"enabled":true,"signature":%q}`, a.ID, a.Sign(fmt.Sprintf("set_task_exec:%d", a.ID))))
	ready, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	bearer := map[string]string{"Authorization": "Bearer " + c.AdminToken}
	for _, m := range ready.Nodes {
		base := "http://" + m.Ops
		awaitStats(t, base, bearer, ops.Stats{TotalNodes: 2, ActiveNodes: 2, TrustLinks: 1, UniqueTags: 2, TaskExecutors: 1,
			Nodes: []ops.StatsNode{
				{Address: fmt.Sprintf("0:0000.0000.%04X", a.ID), Tags: []string{"ml", "gpu"}, Online: true, TrustLinks: 1, TaskExec: true},
				{Address: fmt.Sprintf("0:0000.0000.%04X", b.ID), Tags: []string{}, Online: true, TrustLinks: 1}},
			Edges: []ops.StatsEdge{{Source: fmt.Sprintf("0:0000.0000.%04X", a.ID), Target: fmt.Sprintf("0:0000.0000.%04X", b.ID)}}})
		if code, _, body := opsAsk(t, http.DefaultClient, http.MethodGet, base+"/api/stats", nil); code != http.StatusOK || !strings.Contains(body, `"nodes":[],"edges":[]`) {
			t.Errorf("%s: stats without a token: %d %s", m.ID, code, body)
		}
		if code, _, body := opsAsk(t, http.DefaultClient, http.MethodGet, base+"/api/stats", map[string]string{"Authorization": "Bearer x" + c.AdminToken}); code != http.StatusUnauthorized {
			t.Errorf("%s: stats with a wrong token: %d %s", m.ID, code, body)
		}
		for _, name := range []string{"nodes", "trust", "requests", "tags", "task-executors"} {
			code, head, body := opsAsk(t, http.DefaultClient, http.MethodGet, base+"/api/badge/"+name+".svg", nil)
			if code != http.StatusOK || head.Get("Content-Type") != "image/svg+xml" || !strings.HasPrefix(body, "<svg ") {
				t.Errorf("%s: badge %s: %d %v %s", m.ID, name, code, head, body)
			}
		}
		before := persisted(metrics(t, m))
		if code, _, body := opsAsk(t, http.DefaultClient, http.MethodPost, base+"/api/snapshot", nil); code != http.StatusOK || body != `{"message":"snapshot saved successfully","status":"ok"}`+"\n" {
			t.Errorf("%s: snapshot: %d %s", m.ID, code, body)
		}
		if after := persisted(metrics(t, m)); after == before {
			t.Errorf("%s: no snapshot was written: %s", m.ID, after)
		}
		for _, path := range []string{"/metrics", "/status", "/debug/pprof/heap?debug=1"} {
			for _, c := range []struct {
				head map[string]string
				want int
			}{{nil, http.StatusOK}, {map[string]string{"X-Real-IP": "203.0.113.9"}, http.StatusForbidden}, {bearer, http.StatusOK}} {
				if code, _, _ := opsAsk(t, http.DefaultClient, http.MethodGet, base+path, c.head); code != c.want {
					t.Errorf("%s: %s with %v: %d, want %d", m.ID, path, c.head, code, c.want)
				}
			}
		}
	}
}

// persisted is the count of written snapshots on a page of metrics.
func persisted(page string) string {
	return regexp.MustCompile(`(?m)^pilot_snapshot_seconds_count\{op="persist"\}.*$`).FindString(page)
}

// awaitStats waits until a member shows these counts and lists, whatever its
// uptime and the number of requests, of which there have to be some.
func awaitStats(t *testing.T, base string, head map[string]string, want ops.Stats) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		_, _, body := opsAsk(t, http.DefaultClient, http.MethodGet, base+"/api/stats", head)
		var got ops.Stats
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("%s: %v in %s", base, err, body)
		}
		counted := got.TotalRequests > 0
		got.TotalRequests, got.Uptime = 0, 0
		if counted && fmt.Sprint(got) == fmt.Sprint(want) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s shows %s, want %+v", base, body, want)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// An ops listener with TLS has the certificate of the cluster, and everything
// that names members is for the admin token there.
func TestOpsListenerWithTLS(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o := &operator{t: t, ctx: ctx, path: binary(t, "cmd/pilot-registry")}
	dir, peer, addr := filepath.Join(t.TempDir(), "m1"), freeAddr(t), freeAddr(t)
	token := filepath.Join(t.TempDir(), "admin-token")
	const secret = "an-admin-token-of-this-test"
	if err := os.WriteFile(token, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	made := o.run("init", "--data-dir", dir, "--peer-advertise", peer, "--admin-token-file", token)
	pin := regexp.MustCompile(`wire pin +([0-9a-f]{64})`).FindStringSubmatch(made)
	if pin == nil {
		t.Fatalf("init prints no pin:\n%s", made)
	}
	o.member(dir, peer, "--ops-listen", addr, "--ops-tls", "self_signed")
	o.await(regexp.MustCompile(`ready: true`), "status", "--data-dir", dir)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: pinned(t, pin[1])}}
	stranger := map[string]string{"X-Real-IP": "203.0.113.9"} // through a proxy on this machine
	for path, want := range map[string]int{"/livez": 200, "/healthz": 200, "/api/stats": 200, "/api/badge/nodes.svg": 200, "/status": 403, "/metrics": 403} {
		if code, _, body := opsAsk(t, client, http.MethodGet, "https://"+addr+path, stranger); code != want || strings.Contains(body, dir) {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
	if code, _, body := opsAsk(t, client, http.MethodGet, "https://"+addr+"/status", map[string]string{"X-Real-IP": "203.0.113.9", "Authorization": "Bearer " + secret}); code != http.StatusOK || !strings.Contains(body, `"member_id"`) {
		t.Errorf("status with the admin token: %d %s", code, body)
	}
	if resp, err := http.Get("http://" + addr + "/livez"); err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("without TLS: %s", resp.Status)
		}
	}
}

// pinned trusts the one certificate with this pin.
func pinned(t *testing.T, pin string) *tls.Config {
	t.Helper()
	return &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		if got := server.PinDER(s.PeerCertificates[0].Raw); got != pin {
			return fmt.Errorf("the certificate has pin %s, want %s", got, pin)
		}
		return nil
	}}
}
