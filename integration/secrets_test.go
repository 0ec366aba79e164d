// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// secretRun is a cluster that is told secrets in every way there is.
type secretRun struct {
	*vault
	*sender
	t     *testing.T
	c     *harness.Cluster
	dir   string // of the files that pilotctl writes
	echo  string // a receiver that answers with what it was sent
	owner harness.Agent
}

// TestNoSecretLeaves tells a cluster secrets, in requests that succeed and
// that are refused, by blueprint and by command, has sinks fail with the
// secret in their answer, and then looks for the secrets in all that the
// members wrote, answered and printed.
func TestNoSecretLeaves(t *testing.T) {
	t.Parallel()
	onlyE2E(t, "it takes half a minute")
	files := t.TempDir()
	c, err := harness.Launch(t.TempDir(), harness.Options{Set: []string{"log.level=trace", "raft.snapshot_threshold=32",
		"raft.snapshot_interval=300ms", "outbound.file_dir=" + files}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	v := newVault(t)
	v.knows("admin token", c.AdminToken)
	v.knows("replication token", c.ReplicationToken)
	s := &secretRun{vault: v, sender: follower(t, c), t: t, c: c, dir: t.TempDir(), echo: echo(t)}
	s.sender.heard = func(raw []byte) { v.hears("a reply", raw) }
	s.owner = agent(t, s.Wire)
	s.networks()
	s.blueprints()
	s.identities()
	s.sinks(files)
	s.commandLine()
	s.refused()
	s.replication()
	s.shown()
	s.settle()
	c.Stop()
	v.hears("dev", []byte(c.Output()))
	v.searchHeard()
	v.searchDir(files)
	v.searchDir(s.dir)
	all := v.searchDir(c.Dir, "admin", "replication")
	// What is looked for must be found if it is there: names lie beside the secrets.
	for _, name := range []string{"by-command", "by-blueprint", "by-parts", "by-pilotctl", "dead letter"} {
		if !bytes.Contains(all, []byte(name)) {
			t.Errorf("the members' files do not even have %q", name)
		}
	}
}

// echo fails in the ways that paths name, with the request's secrets in its answers.
func echo(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secret, body := strings.TrimPrefix(r.Header.Get("Authorization"), "Splunk "), new(bytes.Buffer)
		_, _ = body.ReadFrom(r.Body)
		switch r.URL.Path {
		case "/wire": // no HTTP at all
			if secret == "" {
				secret = body.String()
			}
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				fmt.Fprintf(conn, "HTTP/1.1 %s\r\n\r\n", secret)
				conn.Close()
			}
		case "/redirect":
			w.Header().Set("Location", "http://127.0.0.1:1/"+secret)
			w.WriteHeader(http.StatusFound)
		case "/identity":
			var asked struct{ Token string }
			_ = json.Unmarshal(body.Bytes(), &asked)
			_ = json.NewEncoder(w).Encode(map[string]any{"verified": false, "error": "bad token " + asked.Token})
		case "/garbage":
			fmt.Fprint(w, body)
		default:
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprintln(w, r.Header, body)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// tell sends a request with planted secrets; want is the type of the reply.
func (s *secretRun) tell(want, request string) map[string]any {
	s.t.Helper()
	r := s.try(strings.ReplaceAll(s.fill(request), "$ECHO", s.echo))
	if r["type"] != want {
		s.t.Errorf("%s: %v, want %s", request, r, want)
	}
	return r
}

// signature is the member of a request with the agent's signature.
func signature(a harness.Agent, format string, args ...any) string {
	return fmt.Sprintf(`"signature":%q`, a.Sign(fmt.Sprintf(format, args...)))
}

func (s *secretRun) networks() {
	net := s.tell("create_network_ok", fmt.Sprintf(`{"type":"create_network","admin_token":"$TOKEN","node_id":%d,"name":"by-command","join_rule":"token","token":"«join»","network_admin_token":"«net-admin»","enterprise":true}`, s.owner.ID))["network_id"]
	b, c := agent(s.t, s.Wire), agent(s.t, s.Wire)
	join := func(a harness.Agent, token string) string {
		return fmt.Sprintf(`{"type":"join_network","node_id":%d,"network_id":%v,"token":"%s",%s}`, a.ID, net, token, signature(a, "join_network:%d:%v", a.ID, net))
	}
	s.tell("error", join(b, "«wrong-join»"))
	s.tell("join_network_ok", join(b, "«join»"))
	cluster, _ := s.try(`{"type":"cluster_id"}`)["cluster_id"].(string)
	for want, token := range map[string]string{"join_network_ok": "join", "error": "wrong-signed-join"} {
		e := envelope(s.t, c, cluster, time.Now(), map[string]any{"type": "join_network", "node_id": c.ID, "network_id": net, "token": s.secret(token)})
		raw, err := json.Marshal(e)
		if err != nil {
			s.t.Fatal(err)
		}
		if r := s.try(string(raw)); r["type"] != want {
			s.t.Errorf("signed join: %v", r)
		}
		if want == "error" {
			continue
		}
		s.try(fmt.Sprintf(`{"type":"leave_network","node_id":%d,"network_id":%v,%s}`, c.ID, net, signature(c, "leave_network:%d:%v", c.ID, net)))
	}
	s.tell("promote_member_ok", fmt.Sprintf(`{"type":"promote_member","network_id":%v,"target_node_id":%d,"admin_token":"«net-admin»"}`, net, b.ID))
	s.tell("error", fmt.Sprintf(`{"type":"demote_member","network_id":%v,"target_node_id":%d,"admin_token":"«wrong-net-admin»"}`, net, b.ID))
	s.tell("error", `{"type":"create_network","admin_token":"$TOKEN","node_id":1,"name":"NOT VALID!","join_rule":"token","token":"«refused-join»","network_admin_token":"«refused-net-admin»"}`)
}

func (s *secretRun) blueprints() {
	blueprint := `"blueprint":{"name":"by-blueprint","join_rule":"token","join_token":"«bp-join»","network_admin_token":"«bp-admin»","enterprise":true,
		"audit_export":{"format":"splunk_hec","endpoint":"$ECHO/wire","token":"«bp-hec»"}}`
	s.tell("provision_network_ok", `{"type":"provision_network","admin_token":"$TOKEN","dry_run":true,`+blueprint+`}`)
	for range 2 {
		s.tell("provision_network_ok", `{"type":"provision_network","admin_token":"$TOKEN","request_id":"one",`+blueprint+`}`)
	}
	s.tell("error", `{"type":"provision_network","admin_token":"$TOKEN","request_id":"one",`+strings.ReplaceAll(blueprint, "«bp-", "«other-")+`}`)
	for part := 1; part <= 2; part++ {
		s.tell("provision_network_ok", fmt.Sprintf(`{"type":"provision_network","admin_token":"$TOKEN","upload_id":"u","part":%d,"parts":2,"blueprint":{"name":"by-parts","join_rule":"token","join_token":"«parts-join»",
			"network_admin_token":"«parts-admin»","enterprise":true,"roles":[{"external_id":"p%d@acme.com","role":"member"}],"audit_export":{"format":"json","endpoint":"$ECHO/json","token":"«parts-hec»"}}}`, part, part))
	}
	s.tell("provision_network_ok", `{"type":"provision_network","admin_token":"$TOKEN","upload_id":"unfinished","part":1,"parts":2,"blueprint":{"name":"never","join_rule":"token","join_token":"«unfinished-join»"}}`)
	for _, bad := range []string{
		`{"name":"x","join_rule":"sometimes","join_token":"«bad-rule-join»","network_admin_token":"«bad-rule-admin»"}`,
		`{"name":"x","join_rule":"token","join_token":["«list-join»"]}`,
		`{"name":"x","join_rule":"open","join_tokenn":"«misspelt»","audit_export":{"format":"tape","endpoint":"$ECHO","token":"«tape»"}}`,
		`{"name":"x","audit_export":{"format":"json","endpoint":"http://user:«password»@127.0.0.1/","token":"«with-password»"}}`,
		`"«no-blueprint»"`,
	} {
		s.tell("error", `{"type":"provision_network","admin_token":"$TOKEN","blueprint":`+bad+`}`)
	}
}

// identities uses a provider with a shared secret, and services that repeat
// tokens in their answers.
func (s *secretRun) identities() {
	key := rand.Text() + rand.Text()
	s.knows("shared key", key)
	b64 := base64.RawURLEncoding.EncodeToString
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kty":"oct","kid":"shared","alg":"HS256","k":%q}]}`, b64([]byte(key)))
	}))
	s.t.Cleanup(keys.Close)
	token := func(aud string) string {
		claims := fmt.Sprintf(`{"iss":"https://issuer","aud":%q,"sub":"alice@acme.com","exp":%d,"jti":%q}`, aud, time.Now().Unix()+600, rand.Text())
		input := b64([]byte(`{"alg":"HS256","kid":"shared"}`)) + "." + b64([]byte(claims))
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(input))
		signed := input + "." + b64(mac.Sum(nil))
		s.knows("identity token", b64(mac.Sum(nil)), input[len(input)-40:])
		return signed
	}
	s.send(fmt.Sprintf(`{"type":"set_idp_config","admin_token":"$TOKEN","provider_type":"oidc","url":%q,"issuer":"https://issuer","client_id":"registry"}`, keys.URL))
	register := func(token string) string {
		return `{"type":"register","listen_addr":":4000","identity_token":"` + token + `",` + newcomer(s.t) + `}`
	}
	if r := s.tell("register_ok", register(token("registry"))); r["external_id"] != "alice@acme.com" {
		s.t.Errorf("%v", r)
	}
	s.tell("error", register(token("another")))
	s.tell("error", register("«no-token»"))
	if r := s.try(`{"type":"validate_token","admin_token":"$TOKEN","token":"` + token("registry") + `"}`); r["verified"] != true {
		s.t.Errorf("%v", r)
	}
	for _, bad := range []string{token("another"), token("registry") + "x", "«no-token»", "eyJhbGciOiJSUzI1NiJ9.«no-claims».x", `e30.` + b64([]byte(s.secret("claims"))) + `.x`} {
		s.try(s.fill(`{"type":"validate_token","admin_token":"$TOKEN","token":"` + bad + `"}`))
	}
	s.send(`{"type":"set_idp_config","admin_token":"$TOKEN","provider_type":"","url":""}`)
	for _, path := range []string{"/identity", "/garbage", "/wire", "/500"} {
		s.tell("set_identity_webhook_ok", `{"type":"set_identity_webhook","admin_token":"$TOKEN","url":"$ECHO`+path+`"}`)
		s.tell("error", register("«webhook-token»"))
	}
}

// sinks has each kind of sink fail with its secret in the answer.
func (s *secretRun) sinks(files string) {
	raw := []byte(rand.Text() + rand.Text()[:6])
	signing := base64.StdEncoding.EncodeToString(raw)
	s.knows("signing secret", string(raw), signing)
	s.tell("set_audit_export_ok", `{"type":"set_audit_export","admin_token":"$TOKEN","format":"splunk_hec","endpoint":"$ECHO/wire","token":"«hec»"}`)
	s.tell("audit_sink_put_ok", `{"type":"audit_sink_put","admin_token":"$TOKEN","name":"redirect","kind":"export","format":"json","endpoint":"$ECHO/redirect","secret":"«redirect-token»"}`)
	s.tell("audit_sink_put_ok", `{"type":"audit_sink_put","admin_token":"$TOKEN","name":"hook","kind":"webhook","endpoint":"$ECHO/wire","secret":"whsec_`+signing+`"}`)
	s.tell("audit_sink_put_ok", `{"type":"audit_sink_put","admin_token":"$TOKEN","name":"file","kind":"export","format":"file","endpoint":"`+files+`/audit.jsonl","secret":"«file-token»"}`)
	s.tell("set_webhook_ok", `{"type":"set_webhook","admin_token":"$TOKEN","url":"$ECHO/dead","secret":"whsec_`+signing+`"}`)
	s.tell("error", `{"type":"set_webhook","admin_token":"$TOKEN","url":"$ECHO/dead","secret":"«not-a-secret»"}`)
	s.tell("error", `{"type":"audit_sink_put","admin_token":"$TOKEN","name":"bad","kind":"webhook","endpoint":"$ECHO","secret":"whsec_«no-base64»"}`)
	s.tell("error", `{"type":"set_audit_export","admin_token":"$TOKEN","format":"tape","endpoint":"$ECHO","token":"«tape-token»"}`)
	s.tell("error", `{"type":"set_audit_export","admin_token":"$TOKEN","format":"json","endpoint":"http://user:«url-password»@127.0.0.1/","token":"«url-token»"}`)
	s.changes(3)
	await(s.t, "a dead letter and the failures of the exports", func() (any, bool) {
		r := s.send(`{"type":"audit_sink_list","admin_token":"$TOKEN"}`)
		failing, dead := 0, false
		for _, sink := range r["sinks"].([]any) {
			sink := sink.(map[string]any)
			if problem, _ := sink["error"].(string); problem != "" {
				failing++
			}
			dead = dead || sink["name"] == "audit_webhook" && sink["dlq_size"] != 0.0
		}
		return r, failing >= 2 && dead
	})
}

// refused sends secrets in requests that mean nothing.
func (s *secretRun) refused() {
	for _, request := range []string{
		`{"type":"set_webhook","admin_token":"«wrong-admin»","url":"http://127.0.0.1/"}`,
		`{"type":"set_webhook","admin_token":["«listed-admin»"],"url":"http://127.0.0.1/"}`,
		`{"type":"no_such_command","token":"«unknown-token»","admin_token":"$TOKEN"}`,
		`{"type":"join_network","node_id":"«node»","network_id":"«network»","token":{"token":"«nested»"},"signature":"«signature»"}`,
		`{"type":"rotate_key","node_id":1,"new_public_key":"«no-key»","signature":"«wrong-signature»"}`,
	} {
		s.tell("error", request)
	}
	for _, frame := range []string{`{"type":"set_webhook","secret":"«broken»"`, `{"type":"set_webhook","secret":"«twice»","secret":"«twice»"} x`} {
		w, err := harness.Dial(s.c.Addrs()[0])
		if err != nil {
			s.t.Fatal(err)
		}
		if raw, err := w.Exchange(framed(s.fill(frame)), 10*time.Second); err == nil {
			s.hears("a reply to no JSON", raw)
		}
		w.Close()
	}
}

// replication reads the first of what a subscriber gets.
func (s *secretRun) replication() {
	for _, token := range []string{s.secret("wrong-replication"), s.c.ReplicationToken} {
		quoted, _ := json.Marshal(token) // a string always encodes
		w, err := harness.Dial(s.c.Addrs()[0])
		if err != nil {
			s.t.Fatal(err)
		}
		raw, err := w.Exchange(framed(`{"type":"subscribe_replication","token":`+string(quoted)+`}`), 10*time.Second)
		if err != nil {
			s.t.Fatal(err)
		}
		s.hears("replication", raw)
		w.Close()
	}
}

// pilotctl runs it with files of secrets and keeps what it prints.
func (s *secretRun) pilotctl(args ...string) string {
	s.t.Helper()
	out, err := ctl(s.t, s.c, args...)
	if err != nil {
		out += err.Error()
	}
	s.hears("pilotctl "+strings.Join(args, " "), []byte(out))
	return out
}

// given writes a file with secrets for pilotctl.
func (s *secretRun) given(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(s.fill(content)), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *secretRun) commandLine() {
	plan := filepath.Join(s.dir, "plan")
	good := s.given("blueprint.json", `{"name":"by-pilotctl","join_rule":"token","join_token":"«ctl-join»","network_admin_token":"«ctl-admin»","enterprise":true,
		"audit_export":{"format":"splunk_hec","endpoint":"`+s.echo+`/wire","token":"«ctl-hec»"}}`)
	bad := s.given("bad.json", `{"name":"x","join_rule":"token","join_token":["«ctl-list»"],"network_admin_token":7,"tokenn":"«ctl-misspelt»"}`)
	broken := s.given("broken.yaml", "name: x\njoin_token: \"«ctl-broken»\n")
	for _, args := range [][]string{{"validate", good}, {"plan", good, "--out", plan}, {"apply", good, "--plan", plan}, {"diff", good}, {"apply", good, "--json"},
		{"export", "by-pilotctl"}, {"status"}, {"validate", bad}, {"apply", bad}, {"validate", broken}, {"apply", broken, "--json"}} {
		s.pilotctl(append([]string{"blueprint"}, args...)...)
	}
	if _, err := os.Stat(plan); err != nil {
		s.t.Error(err)
	}
	token := s.given("token", "«ctl-token»")
	s.pilotctl("network", "create", "by-flags", "--node-id", strconv.Itoa(int(s.owner.ID)), "--join-rule", "token", "--token-file", token, "--network-admin-token-file", s.given("net", "«ctl-net»"))
	identity := filepath.Join(s.t.TempDir(), "identity.json")
	s.pilotctl("register", "--identity", identity, "--identity-token-file", s.given("jwt", "«ctl-jwt»"))
	s.pilotctl("register", "--identity", identity)
	s.pilotctl("network", "join", "by-flags", "--identity", identity, "--token-file", s.given("wrong", "«ctl-wrong»"))
	s.pilotctl("network", "join", "by-flags", "--identity", identity, "--token-file", token)
	s.pilotctl("webhook", "set", s.echo+"/dead", "--secret-file", s.given("whsec", "whsec_«ctl-whsec»"))
	s.pilotctl("audit", "sink", "put", "ctl", "--kind", "export", "--format", "json", "--endpoint", s.echo+"/500", "--secret-file", s.given("sink", "«ctl-sink»"))
	s.pilotctl("network", "list", "--admin-token-file", s.given("admin", "«ctl-wrong-admin»"))
	for _, args := range []string{"export show", "webhook show", "webhook dlq list -o json", "audit sinks -o json", "audit sinks", "audit list -o json --limit 1000", "idp show", "network list", "cluster status", "cluster members"} {
		s.pilotctl(strings.Fields(args)...)
	}
	out := filepath.Join(s.dir, "audit.jsonl")
	s.pilotctl("audit", "export", "--out", out)
	s.pilotctl("audit", "verify", out)
	s.minted()
}

// minted has a token made that lets a member join. It leaves once, in the answer.
func (s *secretRun) minted() {
	s.t.Helper()
	text, err := ctl(s.t, s.c, "cluster", "join-token", "-o", "json")
	var reply struct {
		Token string `json:"join_token"`
	}
	if err != nil || json.Unmarshal([]byte(text), &reply) != nil {
		s.t.Fatalf("%v: %s", err, text)
	}
	_, body, _ := strings.Cut(reply.Token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(body)
	var inside struct{ Secret string }
	if err != nil || json.Unmarshal(raw, &inside) != nil {
		s.t.Fatalf("%v: %s", err, reply.Token)
	}
	secret, err := base64.RawURLEncoding.DecodeString(inside.Secret)
	if err != nil {
		s.t.Fatal(err)
	}
	s.knows("token to join the cluster", inside.Secret, string(secret))
}

// shown asks for everything that members show.
func (s *secretRun) shown() {
	for _, name := range []string{"get_audit_export", "get_webhook", "get_webhook_dlq", "dlq_list", "get_idp_config", "audit_sink_list", "audit_chain", "get_provision_status", "list_networks", "list_nodes", "cluster_status"} {
		s.send(`{"type":"` + name + `","admin_token":"$TOKEN"}`)
	}
	s.send(`{"type":"get_audit_log","admin_token":"$TOKEN","limit":1000}`)
	s.send(`{"type":"dlq_list","admin_token":"$TOKEN","name":"hook"}`)
	ready, err := s.c.Ready()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, n := range ready.Nodes {
		for _, page := range []string{"/metrics", "/status", "/readyz?verbose", "/healthz", "/api/stats", "/api/badge/nodes.svg", "/debug/pprof/cmdline"} {
			r, err := http.Get("http://" + n.Ops + page)
			if err != nil {
				s.t.Fatal(err)
			}
			raw, err := io.ReadAll(r.Body)
			r.Body.Close()
			if err != nil || r.StatusCode == http.StatusNotFound {
				s.t.Fatalf("%s: %s, %v", page, r.Status, err)
			}
			s.hears(page, raw)
		}
	}
}

// settle rotates the keyring and waits until every member has a snapshot of
// all that was told.
func (s *secretRun) settle() {
	program := binary(s.t, "cmd/pilot-registry")
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "keyring", "rotate", "--data-dir", filepath.Join(s.c.Dir, "n1")).CombinedOutput()
	if err != nil {
		s.t.Errorf("keyring rotate: %v\n%s", err, out)
	}
	s.hears("keyring rotate", out)
	told, _ := s.send(`{"type":"cluster_status","admin_token":"$TOKEN"}`)["applied_index"].(float64)
	await(s.t, "snapshots of everything", func() (any, bool) {
		s.changes(5)
		behind := []string{}
		for n := 1; n <= 3; n++ {
			if newestSnapshot(s.t, filepath.Join(s.c.Dir, fmt.Sprintf("n%d", n), "snapshots")) <= uint64(told) {
				behind = append(behind, fmt.Sprint(n))
			}
		}
		return fmt.Sprint(behind, " have none after ", told), len(behind) == 0 && told > 0
	})
}

// newestSnapshot is the highest index in the names of snapshots: term-index-time.
func newestSnapshot(t *testing.T, dir string) (newest uint64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*-*-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		index, _ := strconv.ParseUint(strings.Split(filepath.Base(name), "-")[1], 10, 64) // 0 for one that is being written
		newest = max(newest, index)
	}
	return newest
}
