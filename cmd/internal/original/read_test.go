// SPDX-License-Identifier: Apache-2.0

package original

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

var importTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// testKey is a public key: decoding does not ask whether anybody has the other half.
func testKey(seed int) string {
	raw := bytes.Repeat([]byte{7}, 32)
	raw[0], raw[1] = byte(seed), byte(seed>>8)
	return base64.StdEncoding.EncodeToString(raw)
}

// example is a file with one of everything.
func example() map[string]any {
	node := func(id int, more map[string]any) map[string]any {
		n := map[string]any{"id": id, "public_key": testKey(id), "networks": []int{0, 1}, "real_addr": "203.0.113.9:4000",
			"last_seen": "2026-03-01T11:59:00Z", "key_created": "2026-01-01T00:00:00Z"}
		for k, v := range more {
			n[k] = v
		}
		return n
	}
	return map[string]any{"version": 1, "next_node": 9, "next_net": 5,
		"nodes": map[string]any{
			"1": node(1, map[string]any{"owner": "a@example.org", "hostname": "alpha", "tags": []string{"web"}, "polo_score": -3, "task_exec": true, "public": true,
				"lan_addrs": []string{"10.0.0.1:4000"}, "key_expires": "2027-01-01T00:00:00Z", "key_rotated": "2026-02-01T00:00:00Z", "key_rot_count": 2,
				"external_id": "Ann@X", "version": "v1", "relay_only": true, "badge": "b", "badge_sig": "s", "verification_provider": "github",
				"verified_at": "2026-02-02T00:00:00Z", "recovery_commitment": "c", "recovery_provider": "github", "recovery_consumed_nonce": "n", "recovery_consumed_exp": 1786000000}),
			"2": node(2, nil)},
		"networks": map[string]any{
			"0": map[string]any{"id": 0, "name": "backbone", "join_rule": "open", "members": []int{1, 2}, "created": "2026-01-01T00:00:00Z"},
			"1": map[string]any{"id": 1, "name": "lab", "join_rule": "token", "token": "secret-join", "admin_token": "secret-admin", "enterprise": true,
				"members": []int{2, 1, 3}, "member_roles": map[string]string{"1": "owner", "2": "member", "3": "admin"}, "member_tags": map[string]any{"1": []string{"gpu"}},
				"policy": map[string]any{"max_members": 9, "allowed_ports": []int{80}, "description": "d"}, "created": "2026-01-02T00:00:00Z",
				"rules":       map[string]any{"links": 8, "cycle": "1h", "prune": 2, "prune_by": "score", "fill": 2, "fill_how": "random"},
				"expr_policy": map[string]any{"version": 1, "rules": []any{map[string]any{"name": "web", "on": "connect", "match": "port == 80", "actions": []any{map[string]any{"type": "allow"}}}}}}},
		"trust_pairs": []string{"1:2", "1:3"}, "pub_key_idx": map[string]any{testKey(1): 1, testKey(2): 2, testKey(3): 3},
		"handshake_inbox":     map[string]any{"2": []any{map[string]any{"from_node_id": 1, "justification": "hello", "timestamp": "2026-02-28T10:00:00.5Z"}}},
		"handshake_responses": map[string]any{"1": []any{map[string]any{"from_node_id": 2, "accept": true, "timestamp": "2026-02-28T10:00:01Z"}}},
		"invite_inbox":        map[string]any{"4": []any{map[string]any{"network_id": 1, "inviter_id": 1, "timestamp": "2026-02-28T10:00:02Z"}}},
		"rbac_pre_assign":     map[string]any{"1": []any{map[string]any{"external_id": "Eve@X", "role": "admin"}}},
		"idp_config":          map[string]any{"type": "oidc", "url": "https://idp.example.org/keys", "issuer": "i"},
		"audit_export_config": map[string]any{"format": "splunk_hec", "endpoint": "https://siem.example.org/x?k=1", "token": "secret-export", "index": "main"},
		"audit_log": []any{map[string]any{"timestamp": "2026-02-27T10:00:00Z", "action": "member.promoted", "network_id": 1, "details": "target_node_id=3, old_role=member, new_role=admin"},
			map[string]any{"timestamp": "2026-02-27T11:00:00Z", "action": "some.other", "node_id": 2}},
		"total_requests": 90, "total_nodes": 2, "start_time": "2026-01-01T00:00:00Z"}
}

func encoded(t testing.TB, doc any) []byte {
	t.Helper()
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func read(t testing.TB, raw []byte) *Store {
	t.Helper()
	s, err := Read(raw, Options{Now: importTime})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// founded is the state that a cluster begins with.
func founded(s *Store) (*fsm.Machine, error) {
	m := fsm.New()
	mac := protocol.MAC{Key: 1, Sum: bytes.Repeat([]byte{9}, 32)}
	in := &fsm.Import{Init: fsm.ClusterInit{ClusterID: "c", Level: fsm.LevelMax}, Time: importTime.UnixMilli(), Source: s.Report.SHA256, Doc: &s.Doc, Keys: identity.IDKeys,
		JoinTokens: map[uint16]protocol.MAC{}, AdminTokens: map[uint16]protocol.MAC{}}
	for net := range s.JoinTokens {
		in.JoinTokens[net] = mac
	}
	for net := range s.AdminTokens {
		in.AdminTokens[net] = mac
	}
	return m, m.Import(in)
}

func TestAWholeFileIsTakenAsItIs(t *testing.T) {
	s := read(t, encoded(t, example()))
	if !s.Report.Whole() || s.Report.Checksum != ChecksumAbsent {
		t.Errorf("the report says %+v", s.Report)
	}
	for _, tally := range s.Report.Objects {
		if tally.LeftOut != 0 || tally.InFile == 0 {
			t.Errorf("%+v", tally)
		}
	}
	if s.JoinTokens[1] != "secret-join" || s.AdminTokens[1] != "secret-admin" || s.ExportToken != "secret-export" {
		t.Error("the secrets are not what they were")
	}
	if raw := string(encoded(t, s.Report)) + fmt.Sprintf("%+v", s); strings.Contains(raw, "secret-") {
		t.Error("a secret is shown")
	}
}

// What is imported, exported and imported again is the same but for what the
// notes of the export name.
func TestExportGivesTheFileAgain(t *testing.T) {
	first, err := founded(read(t, encoded(t, example())))
	if err != nil {
		t.Fatal(err)
	}
	raw, left, err := Write(first.Root())
	if err != nil {
		t.Fatal(err)
	}
	again := read(t, raw)
	if again.Report.Checksum != ChecksumRight || !again.Report.Whole() {
		t.Errorf("the exported file is read with %+v", again.Report)
	}
	var named []string
	for _, n := range left {
		named = append(named, n.Object+" "+n.Field)
	}
	if got := strings.Join(named, ", "); got != "network 1 token, network 1 admin_token" {
		t.Errorf("the export leaves out %s", got)
	}
	if again.JoinTokens[1] == "" || again.JoinTokens[1] == "secret-join" {
		t.Errorf("network 1 is joined with %q", string(again.JoinTokens[1]))
	}
	second, err := founded(again)
	if err != nil {
		t.Fatal(err)
	}
	a, b := first.Root().ReplicationDocument().(*fsm.ReplicationDoc), second.Root().ReplicationDocument().(*fsm.ReplicationDoc)
	if n := len(b.AuditLog) - 1; n < 0 || b.AuditLog[n].Action != protocol.EventClusterImported {
		t.Error("the second import is not in the trail")
	} else {
		b.AuditLog = b.AuditLog[:n]
	}
	if x, y := encoded(t, a), encoded(t, b); !bytes.Equal(x, y) {
		t.Errorf("imported, exported and imported:\n%s\n%s", x, y)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	good := encoded(t, example())
	with := func(key string, value any) []byte {
		d := example()
		d[key] = value
		return encoded(t, d)
	}
	for name, tt := range map[string]struct {
		raw  []byte
		want string
	}{
		"empty":             {nil, "no JSON document"},
		"cut off":           {good[:len(good)/2], "was it cut off?"},
		"a list":            {[]byte(`[]`), "it is not an object"},
		"another document":  {[]byte(`{"hello":"world"}`), "not a store file"},
		"a newer version":   {with("version", 2), "use a newer one"},
		"a version as text": {with("version", "1"), `"version" wants`},
		"an id twice":       {[]byte(`{"nodes":{"1":{"id":1},"1":{"id":1}},"networks":{}}`), `nodes: "1" stands there twice`},
		"a key twice":       {[]byte(`{"nodes":{},"nodes":{},"networks":{}}`), `"nodes" stands there twice`},
		"nodes as a list":   {with("nodes", []int{1}), "nodes: it is not an object"},
		"pairs as a text":   {with("trust_pairs", "1:2"), "trust_pairs: it is not a list"},
		"an absurd counter": {with("next_node", 1e12), "next_node"},
		"another checksum":  {append(good[:len(good)-1:len(good)-1], `,"checksum":"`+strings.Repeat("0", 64)+`"}`...), "does not match its checksum"},
	} {
		if _, err := Read(tt.raw, Options{Now: importTime}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	if _, err := Read(append(good[:len(good)-1:len(good)-1], `,"checksum":"`+strings.Repeat("0", 64)+`"}`...), Options{Now: importTime, AnyChecksum: true}); err != nil {
		t.Errorf("any checksum: %v", err)
	}
}

// member finds what stands at a path of a document.
func member(doc map[string]any, path ...string) map[string]any {
	for _, k := range path {
		doc = doc[k].(map[string]any)
	}
	return doc
}

// Each change of the example is reported, and the rest is imported.
func TestWhatCannotBeTakenIsReported(t *testing.T) {
	node := func(d map[string]any) map[string]any { return member(d, "nodes", "1") }
	lab := func(d map[string]any) map[string]any { return member(d, "networks", "1") }
	for name, tt := range map[string]struct {
		change func(map[string]any)
		want   string // object, field: what became of it: the beginning of the reason
	}{
		"an unknown key":        {func(d map[string]any) { d["colour"] = 1 }, "the file, colour: left out: the schema"},
		"a node's unknown key":  {func(d map[string]any) { node(d)["colour"] = 1 }, "node 1, colour: left out: the schema"},
		"a key in another case": {func(d map[string]any) { node(d)["HOSTNAME"] = "beta" }, "node 1, HOSTNAME: left out: the schema"},
		"an id of two":          {func(d map[string]any) { node(d)["id"] = 2 }, "node 1, : left out: it stands under this id and says that it is 2"},
		"a node that is null":   {func(d map[string]any) { member(d, "nodes")["3"] = nil }, "node 3, : left out: it is empty"},
		"a node of type text":   {func(d map[string]any) { member(d, "nodes")["3"] = "x" }, "node 3, : left out: it is not an object"},
		"an absurd id":          {func(d map[string]any) { member(d, "nodes")["4294967295"] = node(d) }, "nodes 4294967295, : left out: its key is not an id"},
		"an id with a zero":     {func(d map[string]any) { member(d, "nodes")["01"] = node(d) }, "nodes 01, : left out: its key is not an id"},
		"a damaged key":         {func(d map[string]any) { node(d)["public_key"] = "AAA" }, "node 1, : left out: public_key: decode"},
		"no key":                {func(d map[string]any) { delete(node(d), "public_key") }, "node 1, public_key: changed: it has none"},
		"a key of two nodes":    {func(d map[string]any) { member(d, "nodes", "2")["public_key"] = testKey(1) }, "node 2, : left out: node 1 has the same public key"},
		"a wrong type":          {func(d map[string]any) { node(d)["polo_score"] = "many" }, `node 1, : left out: "polo_score" wants`},
		"a score beyond":        {func(d map[string]any) { node(d)["polo_score"] = 2_000_000 }, "node 1, polo_score: changed: it is beyond 1000000"},
		"a hostname of a name":  {func(d map[string]any) { node(d)["hostname"] = "Bob The Üser" }, "node 1, hostname: left out: hostname must be"},
		"a hostname of two":     {func(d map[string]any) { member(d, "nodes", "2")["hostname"] = "alpha" }, "node 2, hostname: left out: node 1 has the same one"},
		"a long owner":          {func(d map[string]any) { node(d)["owner"] = strings.Repeat("x", 2000) }, "node 1, owner: left out: it has more than 1024"},
		"control characters":    {func(d map[string]any) { node(d)["owner"] = "a\x1b[2J" }, "node 1, owner: left out: it holds a control"},
		"too many tags":         {func(d map[string]any) { node(d)["tags"] = strings.Split(strings.Repeat("x,", 11), ",") }, "node 1, tags: left out: too many tags"},
		"no time":               {func(d map[string]any) { node(d)["key_created"] = "yesterday" }, "node 1, key_created: left out: it is not a time"},
		"never seen":            {func(d map[string]any) { delete(node(d), "last_seen") }, "node 1, last_seen: added: it has none"},
		"seen in the future":    {func(d map[string]any) { node(d)["last_seen"] = "2027-01-01T00:00:00Z" }, "node 1, last_seen: changed: it lies in the future"},
		"a key of a live node":  {func(d map[string]any) { member(d, "pub_key_idx")[testKey(8)] = 1 }, "key " + testKey(8) + ", : left out: node 1 is live with another key"},
		"another's key":         {func(d map[string]any) { member(d, "pub_key_idx")[testKey(1)] = 2 }, "key " + testKey(1) + ", : left out: it is the key of node 1"},
		"keys of one node":      {func(d map[string]any) { member(d, "pub_key_idx")[testKey(8)] = 3 }, "key " + testKey(8) + ", : left out: node 3, which is not live, has another key already"},
		"a taken name": {func(d map[string]any) {
			member(d, "networks")["2"] = map[string]any{"id": 2, "name": "lab", "join_rule": "open", "members": nil, "created": "2026-01-02T00:00:00Z"}
		}, "network 2, : left out: network 1 has the same name"},
		"a name that is none":  {func(d map[string]any) { lab(d)["name"] = "Lab!" }, "network 1, : left out: network name must be"},
		"no backbone":          {func(d map[string]any) { delete(member(d, "networks"), "0") }, "network 0, : added: the file has no backbone"},
		"another join rule":    {func(d map[string]any) { lab(d)["join_rule"] = "maybe" }, "network 1, join_rule: changed: maybe is none"},
		"an empty token":       {func(d map[string]any) { delete(lab(d), "token") }, "network 1, token: changed: it is empty"},
		"a member twice":       {func(d map[string]any) { lab(d)["members"] = []int{2, 1, 3, 2} }, "network 1, members: left out: node 2 stands there twice"},
		"a second owner":       {func(d map[string]any) { member(d, "networks", "1", "member_roles")["2"] = "owner" }, "network 1, member_roles: changed: node 1 is a second owner"},
		"a role of nobody":     {func(d map[string]any) { member(d, "networks", "1", "member_roles")["7"] = "admin" }, "network 1, member_roles: left out: node 7 is no member"},
		"no roles":             {func(d map[string]any) { delete(lab(d), "member_roles") }, "network 1, member_roles: added: it has none; the first member is owner"},
		"negative members":     {func(d map[string]any) { member(d, "networks", "1", "policy")["max_members"] = -1 }, "network 1, policy.max_members: left out"},
		"impossible rules":     {func(d map[string]any) { member(d, "networks", "1", "rules")["links"] = 0 }, "network 1, rules: left out: rules: links"},
		"an unreadable policy": {func(d map[string]any) { member(d, "networks", "1", "expr_policy")["version"] = 2 }, "network 1, expr_policy: left out: expr_policy: unsupported"},
		"a network of nobody":  {func(d map[string]any) { node(d)["networks"] = []int{0, 1, 9} }, "node 1, networks: left out: network 9 is not there"},
		"a node without it":    {func(d map[string]any) { node(d)["networks"] = []int{0} }, "node 1, networks: changed: network 1 lists it as a member"},
		"a pair that is none":  {func(d map[string]any) { d["trust_pairs"] = []any{"1-2"} }, "trust pair 1-2, : left out: it is not two ids"},
		"a number as a pair":   {func(d map[string]any) { d["trust_pairs"] = []any{12} }, "trust pair 12, : left out: it is not a text"},
		"a pair with itself":   {func(d map[string]any) { d["trust_pairs"] = []any{"2:2"} }, "trust pair 2:2, : left out: it is of a node with itself"},
		"an invite to nothing": {func(d map[string]any) { member(d, "invite_inbox")["2"] = []any{map[string]any{"network_id": 9}} }, "invite 1 of node 2, : left out: network 9 is not there"},
		"roles in nothing": {func(d map[string]any) {
			member(d, "rbac_pre_assign")["9"] = []any{map[string]any{"external_id": "x", "role": "admin"}}
		}, "role 1 that waits in network 9, : left out: the network is not there"},
		"a role that is none": {func(d map[string]any) {
			member(d, "rbac_pre_assign")["1"] = []any{map[string]any{"external_id": "x", "role": "king"}}
		}, "role 1 that waits in network 1, role: changed: king is none"},
		"an unknown provider": {func(d map[string]any) { member(d, "idp_config")["type"] = "magic" }, "idp_config, : left out: its type is none"},
		"a provider inside":   {func(d map[string]any) { member(d, "idp_config")["url"] = "http://169.254.169.254/" }, "idp_config, : left out: url: URL cannot target"},
		"another format":      {func(d map[string]any) { member(d, "audit_export_config")["format"] = "xml" }, "audit_export_config, format: changed: xml is none"},
		"an old event": {func(d map[string]any) {
			d["audit_log"] = []any{map[string]any{"timestamp": "2020-01-01T00:00:00Z", "action": "node.registered"}}
		}, "event 1, : left out: it is older than the 30 days"},
		"details of no form": {func(d map[string]any) {
			d["audit_log"] = []any{map[string]any{"timestamp": "2026-02-27T10:00:00Z", "action": "x.y", "details": "plain"}}
		}, "event 1, details: changed: they are not a list"},
		"a low counter": {func(d map[string]any) { d["next_node"] = 2 }, "the file, next_node: changed: it was 2 and is 4 now"},
		"no counter":    {func(d map[string]any) { delete(d, "next_net") }, "the file, next_net: added: it has none; it is 2 now"},
		"many requests": {func(d map[string]any) {
			var many []any
			for i := range 101 {
				many = append(many, map[string]any{"from_node_id": i + 1, "timestamp": "2026-02-28T10:00:00Z"})
			}
			d["handshake_inbox"] = map[string]any{"2": many}
		}, "request 101 of node 2, : left out: 100 are waiting already"},
	} {
		var d map[string]any
		if err := json.Unmarshal(encoded(t, example()), &d); err != nil {
			t.Fatal(err)
		}
		tt.change(d)
		s, err := Read(encoded(t, d), Options{Now: importTime})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		found := false
		var all []string
		for _, n := range s.Report.Notes {
			line := fmt.Sprintf("%s, %s: %s: %s", n.Object, n.Field, n.Was, n.Reason)
			all = append(all, line)
			found = found || strings.HasPrefix(line, tt.want)
		}
		if !found {
			t.Errorf("%s: want %q, reported\n%s", name, tt.want, strings.Join(all, "\n"))
		}
		if _, err := founded(s); err != nil {
			t.Errorf("%s: what is left cannot be imported: %v", name, err)
		}
	}
}

// Whatever a file holds, it is refused or imported, and what is imported can
// be stored and read again.
func FuzzRead(f *testing.F) {
	f.Add(encoded(f, example()))
	f.Add([]byte(`{"nodes":{"1":{"id":1,"public_key":"","networks":[7]}},"networks":{"0":{"id":0,"name":"backbone"}}}`))
	f.Add([]byte(`{"nodes":{},"networks":{"65535":{"id":65535,"name":"x","join_rule":"open","members":[4294967294]}},"trust_pairs":["1:4294967294"]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := Read(raw, Options{Now: importTime, AnyChecksum: true})
		if err != nil {
			return
		}
		m, err := founded(s)
		if err != nil {
			t.Fatalf("what was read cannot be imported: %v", err)
		}
		var snapshot bytes.Buffer
		if err := m.Snapshot().Write(&snapshot); err != nil {
			t.Fatal(err)
		}
		if err := fsm.New().Restore(&snapshot); err != nil {
			t.Fatalf("what was imported cannot be restored: %v", err)
		}
		if _, _, err := Write(m.Root()); err != nil {
			t.Fatal(err)
		}
	})
}
