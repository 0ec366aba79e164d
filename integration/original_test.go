// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// origReader asks a member and compares.
type origReader struct {
	t     *testing.T
	w     *harness.Wire
	s     *origStore
	token string
	asked map[string]bool
}

// ask sends a request and compares the reply with the fields that the original
// gives. A field that is nil must be absent.
func (r *origReader) ask(request object, want object) {
	r.t.Helper()
	name := request["type"].(string)
	r.asked[name] = true
	got, err := r.w.Call(request)
	if err != nil {
		r.t.Fatalf("%s: %v", name, err)
	}
	want["type"] = name + "_ok"
	if name == "get_webhook_dlq" {
		want["type"] = "webhook_dlq_ok"
	}
	if problem := differs(got, want); problem != "" {
		shown := withoutSecrets(request)
		r.t.Fatalf("%v: %s", shown, problem)
	}
}

// withoutSecrets is a request without its secrets, for messages.
func withoutSecrets(o object) object {
	out := object{}
	for k, v := range o {
		if k != "admin_token" && k != "signature" {
			out[k] = v
		}
	}
	return out
}

// differs compares what is wanted of an object with what came.
func differs(got, want object) string {
	var plain object
	raw, _ := json.Marshal(want) // it was made of plain values
	_ = json.Unmarshal(raw, &plain)
	for k, v := range plain {
		if v == nil {
			if g, there := got[k]; there {
				return fmt.Sprintf("%s is %v and was absent", k, g)
			}
		} else if !reflect.DeepEqual(got[k], v) {
			return fmt.Sprintf("%s is %v, and was %v", k, got[k], v)
		}
	}
	return ""
}

func orNil[T comparable](v T) any {
	var none T
	if v == none {
		return nil
	}
	return v
}

func listOrNil[T any](v []T) any {
	if len(v) == 0 {
		return nil
	}
	return v
}

func address(net int, id uint32) string {
	return fmt.Sprintf("%d:%04X.%04X.%04X", net, net, id>>16, id&0xffff)
}

func unixOf(text string) int64 {
	at, _ := time.Parse(time.RFC3339, text) // it was made by rfc
	return at.Unix()
}

func (s *origStore) share(a, b *origNode) bool {
	return slices.ContainsFunc(a.nets, func(n int) bool { return slices.Contains(b.nets, n) })
}

func (s *origStore) trusts(a, b uint32) bool { return s.trust[[2]uint32{min(a, b), max(a, b)}] }

// nodes asks everything about single nodes.
func (r *origReader) nodes() {
	for i, n := range r.s.nodes {
		if !n.live {
			if got, err := r.w.Call(object{"type": "lookup", "node_id": n.id}); err != nil || got["error"] != fmt.Sprintf("node %d: node not found", n.id) {
				r.t.Fatalf("node %d was not live: %v, %v", n.id, got, err)
			}
			continue
		}
		slices.Sort(n.nets)
		shown := orNil(n.endpoint)
		if !n.public {
			shown = nil
		}
		r.ask(object{"type": "lookup", "node_id": n.id, "admin_token": r.token}, object{"node_id": n.id, "address": address(0, n.id), "networks": append([]int{0}, n.nets...), "public_key": n.publicKey(),
			"public": n.public, "polo_score": n.polo, "hostname": orNil(n.hostname), "tags": listOrNil(n.tags), "task_exec": orNil(n.exec), "real_addr": shown,
			"external_id": orNil(n.externalID), "last_seen_unix": unixOf(n.seen), "key_generation": n.rotates})
		r.ask(object{"type": "get_key_info", "node_id": n.id}, object{"node_id": n.id, "created_at": n.created, "rotate_count": n.rotates, "rotated_at": orNil(n.rotated), "expires_at": orNil(n.expires)})
		if i%10 == 0 {
			r.ask(object{"type": "get_polo_score", "node_id": n.id}, object{"node_id": n.id, "polo_score": n.polo})
			r.ask(object{"type": "get_identity", "node_id": n.id, "admin_token": r.token}, object{"node_id": n.id, "external_id": n.externalID, "owner": n.owner})
		}
		if n.hostname != "" && n.public {
			r.ask(object{"type": "resolve_hostname", "hostname": n.hostname}, object{"node_id": n.id, "address": address(0, n.id), "public": true, "hostname": n.hostname})
		}
		r.pair(n, r.s.nodes[(i*7+3)%len(r.s.nodes)])
	}
}

// pair asks what one node may know of another.
func (r *origReader) pair(n, peer *origNode) {
	if n == peer {
		return
	}
	shared := peer.live && r.s.share(n, peer)
	r.ask(object{"type": "check_trust", "node_id": n.id, "peer_id": peer.id}, object{"trusted": r.s.trusts(n.id, peer.id) || shared})
	if !peer.live || !peer.public && !r.s.trusts(n.id, peer.id) && !shared {
		return
	}
	agent := harness.Agent{ID: n.id, Key: n.key}
	since := peer.rotated
	if since == "" {
		since = peer.created
	}
	r.ask(object{"type": "resolve", "node_id": peer.id, "requester_id": n.id, "signature": agent.Sign(fmt.Sprintf("resolve:%d:%d", n.id, peer.id))},
		object{"node_id": peer.id, "real_addr": peer.endpoint, "lan_addrs": listOrNil(peer.lan), "key_age_days": (time.Now().Unix() - unixOf(since)) / 86400})
	r.ask(object{"type": "punch", "node_a": n.id, "node_b": peer.id, "requester_id": n.id, "signature": agent.Sign(fmt.Sprintf("punch:%d:%d", n.id, peer.id))},
		object{"node_a": n.id, "node_b": peer.id, "node_a_addr": n.endpoint, "node_b_addr": peer.endpoint})
}

// listed is a node as lists have it.
func (r *origReader) listed(net int, n *origNode, role string) object {
	o := object{"node_id": n.id, "address": address(net, n.id), "role": orNil(role)}
	if !n.live {
		o["offline"] = true
		return o
	}
	o["offline"], o["public"], o["polo_score"], o["hostname"], o["tags"], o["task_exec"], o["last_seen"] = nil, n.public, n.polo, orNil(n.hostname), listOrNil(n.tags), orNil(n.exec), n.seen
	if n.public {
		o["real_addr"] = n.endpoint
	}
	return o
}

func (r *origReader) list(net int, want []object) {
	got, err := r.w.Call(object{"type": "list_nodes", "network_id": net, "admin_token": r.token})
	r.asked["list_nodes"] = true
	nodes, _ := got["nodes"].([]any)
	if err != nil || len(nodes) != len(want) {
		r.t.Fatalf("list_nodes of network %d: %d nodes, %v; there were %d", net, len(nodes), err, len(want))
	}
	for i := range want {
		if problem := differs(nodes[i].(object), want[i]); problem != "" {
			r.t.Fatalf("list_nodes of network %d, entry %d: %s", net, i, problem)
		}
	}
}

// networks asks everything about networks.
func (r *origReader) networks() {
	var all, listed, provisioned []object
	for _, n := range r.s.nodes {
		if n.live {
			all = append(all, r.listed(0, n, ""))
		}
	}
	r.list(0, all)
	for _, n := range r.s.nets {
		entry := object{"id": n.id, "name": n.name, "join_rule": n.rule, "enterprise": n.enterprise, "created": unixOf(n.created), "members": len(n.members), "max_members": nil, "description": nil}
		if n.enterprise {
			entry["max_members"], entry["description"] = orNil(n.maxMembers), orNil(n.description)
		}
		listed = append(listed, entry)
		ports := n.ports
		if ports == nil {
			ports = []int{}
		}
		r.ask(object{"type": "get_network_policy", "network_id": n.id}, object{"network_id": n.id, "max_members": n.maxMembers, "allowed_ports": ports, "description": n.description})
		if n.id == 0 {
			continue
		}
		provisioned = append(provisioned, object{"network_id": n.id, "name": n.name, "enterprise": n.enterprise, "members": len(n.members), "join_rule": n.rule,
			"max_members": orNil(n.maxMembers), "allowed_ports": listOrNil(n.ports), "rbac_pre_assignments": orNil(len(n.waiting))})
		r.network(n)
	}
	r.each(object{"type": "list_networks"}, "networks", listed)
	r.each(object{"type": "get_provision_status", "admin_token": r.token}, "networks", provisioned)
}

func (r *origReader) network(n *origNet) {
	var members []object
	tags, mapped := object{}, 0
	for _, id := range n.members {
		node := r.s.nodes[id-1]
		members = append(members, r.listed(n.id, node, n.roles[id]))
		tags[strconv.Itoa(int(id))] = append([]string{}, n.memberTags[id]...)
		if node.live && node.externalID != "" {
			mapped++
		}
		r.ask(object{"type": "get_member_role", "network_id": n.id, "target_node_id": id}, object{"network_id": n.id, "target_node_id": id, "role": n.roles[id]})
	}
	r.list(n.id, members)
	r.ask(object{"type": "get_member_tags", "network_id": n.id}, object{"network_id": n.id, "members": tags})
	r.ask(object{"type": "get_expr_policy", "network_id": n.id}, object{"network_id": n.id, "expr_policy": nil})
	r.ask(object{"type": "directory_status", "network_id": n.id, "admin_token": r.token}, object{"network_id": n.id, "enterprise": n.enterprise, "total": len(n.members), "mapped": mapped, "unmapped": len(n.members) - mapped, // silent members count here, see docs/compatibility.md
		"pre_assignments": orNil(len(n.waiting))})
}

// each compares the entries of a list, which are by id.
func (r *origReader) each(request object, list string, want []object) {
	name := request["type"].(string)
	r.asked[name] = true
	got, err := r.w.Call(request)
	entries, _ := got[list].([]any)
	if err != nil || len(entries) != len(want) {
		r.t.Fatalf("%s: %d entries, %v; there were %d", name, len(entries), err, len(want))
	}
	for i := range want {
		if problem := differs(entries[i].(object), want[i]); problem != "" {
			r.t.Fatalf("%s, entry %d: %s", name, i, problem)
		}
	}
}

// registryWide asks what is of no node and no network.
func (r *origReader) registryWide() {
	r.ask(object{"type": "get_idp_config", "admin_token": r.token}, object{"configured": true, "idp_type": "oidc", "url": "https://idp.example.org/keys", "issuer": "https://idp.example.org", "client_id": "pilot"})
	r.ask(object{"type": "get_audit_export", "admin_token": r.token}, object{"enabled": true, "format": "json", "endpoint": "https://siem.example.org/in"})
	r.ask(object{"type": "get_webhook", "admin_token": r.token}, object{"enabled": false})
	r.ask(object{"type": "get_webhook_dlq", "admin_token": r.token}, object{"events": []any{}})
	r.ask(object{"type": "beacon_list"}, object{"beacons": []any{}})
	var newest []object
	for _, e := range r.s.audit {
		newest = append([]object{e}, newest...)
	}
	got, err := r.w.Call(object{"type": "get_audit_log", "limit": len(newest), "action": "member.promoted", "admin_token": r.token})
	r.asked["get_audit_log"] = true
	entries, _ := got["entries"].([]any)
	if err != nil || len(entries) != len(newest) {
		r.t.Fatalf("get_audit_log: %d entries, %v", len(entries), err)
	}
	for i := range newest {
		if problem := differs(entries[i].(object), newest[i]); problem != "" {
			r.t.Fatalf("get_audit_log, entry %d: %s", i, problem)
		}
	}
}

// waiting polls what waits for nodes, at the end: that takes it away.
func (r *origReader) waiting() {
	at := func(list []object) []object {
		out := []object{}
		for _, o := range list {
			c := withoutSecrets(o)
			c["timestamp"] = unixOf(o["timestamp"].(string))
			out = append(out, c)
		}
		return out
	}
	for _, n := range r.s.nodes {
		if !n.live || len(r.s.inbox[n.id])+len(r.s.answer[n.id])+len(r.s.invite[n.id]) == 0 {
			continue
		}
		agent := harness.Agent{ID: n.id, Key: n.key}
		r.ask(object{"type": "poll_handshakes", "node_id": n.id, "signature": agent.Sign(fmt.Sprintf("poll_handshakes:%d", n.id))},
			object{"requests": at(r.s.inbox[n.id]), "responses": at(r.s.answer[n.id])})
		r.ask(object{"type": "poll_invites", "node_id": n.id, "signature": agent.Sign(fmt.Sprintf("poll_invites:%d", n.id))}, object{"invites": at(r.s.invite[n.id])})
	}
}

// notOriginal are read commands about what no file of the original has.
var notOriginal = map[string]string{
	"audit_chain": "chains begin here", "audit_sink_list": "the original has one export", "dlq_list": "see get_webhook_dlq", "cluster_join_token_list": "the original is no cluster",
	"list_settings": "the original has none", "validate_token": "it asks the identity provider", "person_export": "the original has no such command",
}

// everything asks all read commands of the command table.
func (r *origReader) everything() {
	r.nodes()
	r.networks()
	r.registryWide()
	r.waiting()
	for i := range protocol.Commands {
		c := &protocol.Commands[i]
		if c.Mode == protocol.ModeRead && !r.asked[c.Name] && notOriginal[c.Name] == "" {
			r.t.Errorf("%s is a read command, and nothing was asked of it", c.Name)
		}
	}
}

// A file of the original is imported to equal answers on every read command,
// and so is what is exported of that again.
func TestTheOriginalsFileIsImported(t *testing.T) {
	t.Parallel()
	m := newMigration(t, 300, 12)
	said := m.run("import", "--from", m.store, "--dry-run")
	if !regexp.MustCompile(`(?m)^nodes +270 +270 +0$`).MatchString(said) || strings.Contains(said, "LEFT OUT:") {
		t.Errorf("the dry run says\n%s", said)
	}
	if left, err := filepath.Glob(filepath.Join(m.dir, "m*")); err != nil || len(left) > 0 {
		t.Errorf("the dry run made %v, %v", left, err)
	}
	first := m.member("m1", m.store)
	first.everything()

	backup, again := filepath.Join(m.dir, "registry.backup"), filepath.Join(m.dir, "again.json")
	m.ctl(first, "cluster", "snapshot", "save", backup)
	said = m.run("export", "--format", "original", "--from", backup, "--to", again)
	for _, want := range []string{"token: the join token is kept as a hash only", "audit_export_config"} {
		if !strings.Contains(said, want) {
			t.Errorf("the export does not say %q:\n%s", want, said)
		}
	}
	m.s.inbox, m.s.answer = nil, nil // they were polled
	m.member("m2", again).everything()
	first.goesOn()
}

func TestTenThousandNodesAreImported(t *testing.T) {
	onlyE2E(t, "10,000 nodes and 50 networks")
	m := newMigration(t, 10_000, 50)
	m.member("m1", m.store).everything()
}

// migration is a store of the original that becomes clusters.
type migration struct {
	operator
	s                      *origStore
	dir, store, admin      string
	certFile, keyFile, pin string
}

const originalsToken = "the-admin-token-of-the-original"

func newMigration(t *testing.T, nodes, nets int) *migration {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	dir := t.TempDir()
	m := &migration{operator: operator{t: t, ctx: ctx, path: binary(t, "cmd/pilot-registry")}, s: newOriginal(nodes, nets, 7), dir: dir,
		store: filepath.Join(dir, "registry.json"), admin: filepath.Join(dir, "admin"), certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem")}
	certPEM, keyPEM, err := server.SelfSigned(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	if m.pin, err = server.Pin(pair); err != nil {
		t.Fatal(err)
	}
	for path, raw := range map[string][]byte{m.store: m.s.file(t), m.admin: []byte(originalsToken), m.certFile: certPEM, m.keyFile: keyPEM} {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// member imports a store, starts the member and asks it.
func (m *migration) member(name, store string) *origReader {
	m.t.Helper()
	data, peer, wire := filepath.Join(m.dir, name), freeAddr(m.t), freeAddr(m.t)
	said := m.run("import", "--from", store, "--data-dir", data, "--peer-advertise", peer, "--admin-token-file", m.admin, "--wire-cert", m.certFile, "--wire-key", m.keyFile, "--context", "")
	if !strings.Contains(said, m.pin) {
		m.t.Errorf("the pin is not %s:\n%s", m.pin, said)
	}
	m.operator.member(data, peer, "--wire-listen", wire, "--rate-limits-enabled=false")
	m.await(regexp.MustCompile(`ready: true`), "status", "--data-dir", data)
	w, err := harness.Dial(wire)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { w.Close() })
	return &origReader{t: m.t, w: w, s: m.s, token: originalsToken, asked: map[string]bool{}}
}

// ctl runs pilotctl with the original's admin token.
func (m *migration) ctl(r *origReader, args ...string) {
	m.t.Helper()
	cmd := exec.CommandContext(m.ctx, binary(m.t, "cmd/pilotctl"), append([]string{"--addr", r.w.RemoteAddr().String(), "--admin-token-file", m.admin}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+m.t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("pilotctl %v: %v\n%s", args, err, out)
	}
}

// goesOn lets clients of the original act: a key that was not live gets its id
// back, a network's tokens are good, and the next id is the next one.
func (r *origReader) goesOn() {
	gone := r.s.nodes[9]
	slices.Sort(gone.nets)
	got, err := r.w.Call(object{"type": "register", "listen_addr": ":4000", "public_key": gone.publicKey()})
	if err != nil || differs(got, object{"node_id": gone.id}) != "" {
		r.t.Errorf("the key of node %d: %v, %v", gone.id, got, err)
	}
	r.ask(object{"type": "lookup", "node_id": gone.id}, object{"networks": append([]int{0}, gone.nets...)})
	fresh, err := r.w.Register()
	if err != nil || int(fresh.ID) != len(r.s.nodes)+1 {
		r.t.Errorf("the next node is %d: %v", fresh.ID, err)
	}
	net := r.s.nets[slices.IndexFunc(r.s.nets, func(n *origNet) bool { return n.token != "" })]
	join := object{"type": "join_network", "node_id": fresh.ID, "network_id": net.id, "token": "wrong", "signature": fresh.Sign(fmt.Sprintf("join_network:%d:%d", fresh.ID, net.id))}
	if got, err := r.w.Call(join); err != nil || !strings.Contains(fmt.Sprint(got["error"]), "invalid token") {
		r.t.Errorf("a wrong token: %v, %v", got, err)
	}
	join["token"] = net.token
	r.ask(join, object{"network_id": net.id})
	r.ask(object{"type": "rename_network", "network_id": net.id, "name": "renamed", "admin_token": net.adminToken}, object{"name": "renamed"})
}
