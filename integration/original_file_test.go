// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// The original's store is made here from its documented schema, and what each
// read command has to answer is computed from that, by no code of the import.

type object = map[string]any

// origNode, origNet and origStore are what the original knows.
type origNode struct {
	key                  ed25519.PrivateKey
	id                   uint32
	hostname, owner      string
	externalID, endpoint string
	public, exec         bool
	polo                 int
	tags, lan            []string
	nets                 []int
	rotates              int
	created, rotated     string
	expires, seen        string
	live                 bool
}

type origNet struct {
	id                   int
	name, rule           string
	token, adminToken    string
	enterprise           bool
	members              []uint32
	roles                map[uint32]string
	memberTags           map[uint32][]string
	maxMembers           int
	ports                []int
	description, created string
	waiting              []object
}

type origStore struct {
	nodes  []*origNode // by id from 1 on
	nets   []*origNet  // by id from 0 on
	trust  map[[2]uint32]bool
	audit  []object
	inbox  map[uint32][]object
	answer map[uint32][]object
	invite map[uint32][]object
	began  string
}

func rfc(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// newOriginal makes a store of a size. One node in ten is not live.
func newOriginal(nodes, nets int, seed uint64) *origStore {
	r, now := rand.New(rand.NewPCG(seed, 1)), time.Now()
	s := &origStore{trust: map[[2]uint32]bool{}, inbox: map[uint32][]object{}, answer: map[uint32][]object{}, invite: map[uint32][]object{}, began: rfc(now.Add(-100 * time.Hour))}
	for i := range nodes {
		keySeed := make([]byte, ed25519.SeedSize)
		for j := range keySeed {
			keySeed[j] = byte(r.Uint32())
		}
		n := &origNode{key: ed25519.NewKeyFromSeed(keySeed), id: uint32(i + 1), live: i%10 != 9, public: i%2 == 0, exec: i%3 == 0, polo: r.IntN(100) - 50,
			endpoint: fmt.Sprintf("203.0.113.%d:%d", i%250+1, 4000+i%1000), created: rfc(now.Add(-time.Duration(r.IntN(9000)) * time.Hour)), seen: rfc(now.Add(-time.Duration(i%100) * time.Second))}
		if i%4 != 3 {
			n.hostname = fmt.Sprintf("host-%d", i)
		}
		if i%5 == 0 {
			n.owner, n.tags, n.lan = fmt.Sprintf("owner-%d@example.org", i), []string{"web", "gpu"}[:1+i%2], []string{"10.0.0.7:4000"}
		}
		if i%7 == 0 {
			n.externalID, n.rotates, n.rotated, n.expires = fmt.Sprintf("Person-%d@Example.org", i), 1+i%3, rfc(now.Add(-3*24*time.Hour-time.Hour)), rfc(now.Add(900*time.Hour))
		}
		s.nodes = append(s.nodes, n)
	}
	s.nets = append(s.nets, &origNet{name: "backbone", rule: "open", created: s.began})
	for i := 1; i <= nets; i++ {
		s.nets = append(s.nets, s.newNet(r, i, now))
	}
	for range nodes {
		a, b := uint32(r.IntN(nodes)+1), uint32(r.IntN(nodes)+1)
		if a != b {
			s.trust[[2]uint32{min(a, b), max(a, b)}] = true
		}
	}
	at := rfc(now.Add(-time.Hour))
	for i := range nodes / 10 {
		to := uint32(i*10 + 1)
		s.inbox[to] = []object{{"from_node_id": to + 1, "justification": "hello <you>", "timestamp": at}, {"from_node_id": to + 2, "justification": "", "timestamp": at}}
		s.answer[to+1] = []object{{"from_node_id": to, "accept": i%2 == 0, "timestamp": at}}
	}
	for i := range 20 {
		s.audit = append(s.audit, object{"timestamp": rfc(now.Add(time.Duration(i-100) * time.Minute)), "action": "member.promoted", "network_id": 1 + i%nets,
			"details": fmt.Sprintf("target_node_id=%d, old_role=member, new_role=admin", i+1)})
	}
	return s
}

func (s *origStore) newNet(r *rand.Rand, id int, now time.Time) *origNet {
	n := &origNet{id: id, name: fmt.Sprintf("net-%d", id), rule: []string{"open", "token", "invite"}[id%3], enterprise: id%3 == 2 || id%4 == 0, roles: map[uint32]string{},
		memberTags: map[uint32][]string{}, created: rfc(now.Add(-time.Duration(id) * time.Hour))}
	if n.rule == "token" {
		n.token, n.adminToken = fmt.Sprintf("join-%d", id), fmt.Sprintf("admin-%d", id)
	}
	if id%2 == 0 {
		n.maxMembers, n.ports, n.description = 5000, []int{80, 443}, fmt.Sprintf("network %d & more", id)
	}
	for len(n.members) < min(len(s.nodes)/3, 200) {
		m := s.nodes[r.IntN(len(s.nodes))]
		if slices.Contains(n.members, m.id) {
			continue
		}
		n.members, m.nets = append(n.members, m.id), append(m.nets, id)
		n.roles[m.id] = "member"
		if len(n.members)%9 == 0 {
			n.roles[m.id], n.memberTags[m.id] = "admin", []string{"eu-west"}
		}
	}
	n.roles[n.members[0]] = "owner"
	if n.rule == "invite" && n.enterprise {
		for _, target := range s.nodes[:20] {
			if !slices.Contains(n.members, target.id) {
				s.invite[target.id] = append(s.invite[target.id], object{"network_id": id, "inviter_id": n.members[0], "timestamp": rfc(now.Add(-2 * time.Hour))})
			}
		}
		n.waiting = []object{{"external_id": "Somebody@Example.org", "role": "admin"}}
	}
	return n
}

func (n *origNode) publicKey() string { return harness.Agent{Key: n.key}.PublicKey() }

// set adds what the schema leaves out when it is empty.
func set(o object, key string, value any) {
	if v := reflect.ValueOf(value); !v.IsZero() && (v.Kind() != reflect.Slice && v.Kind() != reflect.Map || v.Len() > 0) {
		o[key] = value
	}
}

// file renders the store as the original writes it.
func (s *origStore) file(t testing.TB) []byte {
	t.Helper()
	nodes, nets, keys := object{}, object{}, object{}
	var backbone []uint32
	for _, n := range s.nodes {
		keys[n.publicKey()] = n.id
		if !n.live {
			continue
		}
		backbone = append(backbone, n.id)
		o := object{"id": n.id, "public_key": n.publicKey(), "networks": append([]int{0}, n.nets...)}
		for k, v := range (object{"owner": n.owner, "real_addr": n.endpoint, "public": n.public, "last_seen": n.seen, "hostname": n.hostname, "tags": n.tags, "polo_score": n.polo,
			"task_exec": n.exec, "lan_addrs": n.lan, "key_created": n.created, "key_rotated": n.rotated, "key_expires": n.expires, "key_rot_count": n.rotates, "external_id": n.externalID}) {
			set(o, k, v)
		}
		nodes[strconv.Itoa(int(n.id))] = o
	}
	s.nets[0].members = backbone
	waiting := object{}
	for _, n := range s.nets {
		o := object{"id": n.id, "name": n.name, "join_rule": n.rule, "members": n.members, "created": n.created}
		if n.maxMembers > 0 {
			o["policy"] = object{"max_members": n.maxMembers, "allowed_ports": n.ports, "description": n.description}
		}
		for k, v := range (object{"token": n.token, "admin_token": n.adminToken, "enterprise": n.enterprise, "member_roles": n.roles, "member_tags": n.memberTags}) {
			set(o, k, v)
		}
		nets[strconv.Itoa(n.id)] = o
		if len(n.waiting) > 0 {
			waiting[strconv.Itoa(n.id)] = n.waiting
		}
	}
	var pairs []string
	for p := range s.trust {
		pairs = append(pairs, fmt.Sprintf("%d:%d", p[0], p[1]))
	}
	raw, err := json.Marshal(object{"version": 1, "next_node": len(s.nodes) + 1, "next_net": len(s.nets), "nodes": nodes, "networks": nets, "pub_key_idx": keys, "trust_pairs": pairs,
		"handshake_inbox": s.inbox, "handshake_responses": s.answer, "invite_inbox": s.invite, "rbac_pre_assign": waiting, "audit_log": s.audit, "total_requests": 12345, "start_time": s.began,
		"idp_config":          object{"type": "oidc", "url": "https://idp.example.org/keys", "issuer": "https://idp.example.org", "client_id": "pilot"},
		"audit_export_config": object{"format": "json", "endpoint": "https://siem.example.org/in", "token": "export-secret", "index": "main"}})
	if err != nil {
		t.Fatal(err)
	}
	return append(raw[:len(raw)-1], fmt.Sprintf(`,"checksum":"%x"}`, sha256.Sum256(raw))...)
}
