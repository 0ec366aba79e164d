// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
	"pgregory.net/rapid"
)

// generator makes realistic entries over a small space of ids, looking at the
// newest root as a front door would, and sometimes at what is long past.
type generator struct {
	t    *rapid.T
	root *Root
	time int64
	seq  [3]uint64
	past []Envelope
}

func (g *generator) int(label string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(g.t, label) }

func (g *generator) id() uint32 { return uint32(g.int("id", 0, 9)) }

func (g *generator) net() uint16 { return uint16(g.int("net", 0, 4)) }

func (g *generator) entry() *Entry {
	switch g.int("pause", 0, 9) {
	case 0:
		g.time += int64(g.int("long", 0, []int{30 * int(hour), 40 * dayMS}[g.int("very", 0, 1)]))
	case 1, 2:
		g.time += int64(g.int("minutes", 0, 6*int(minute)))
	default:
		g.time += int64(g.int("short", -2000, 5000))
	}
	e := &Entry{Time: g.time, Term: 1}
	for range g.int("batch", 0, 6) {
		e.Envelopes = append(e.Envelopes, g.command())
	}
	return e
}

func (g *generator) command() Envelope {
	if len(g.past) > 0 && g.int("again", 0, 5) == 0 {
		return g.past[g.int("which", max(0, len(g.past)-30), len(g.past)-1)]
	}
	var env Envelope
	if g.int("kind", 0, 5) == 0 {
		env = g.internal()
	} else {
		env = g.row()
	}
	switch g.int("ident", 0, 3) {
	case 0:
		env.RequestID = fmt.Sprint("r", g.int("request", 0, 5))
		env.Hash = [32]byte{byte(g.int("hash", 0, 1))}
	case 1, 2:
		s := g.int("session", 0, 2)
		g.seq[s]++
		env.Session, env.Seq = SessionID{byte(s + 1)}, g.seq[s]
		env.Floor = g.seq[s] - min(g.seq[s], uint64(g.int("floor", 0, 4)))
	}
	g.past = append(g.past, env)
	return env
}

func (g *generator) row() Envelope {
	var rows []*protocol.Command
	for i := range protocol.Commands {
		if h := handlers[protocol.Commands[i].Name]; h.decide != nil {
			rows = append(rows, &protocol.Commands[i])
		}
	}
	row := rows[g.int("row", 0, len(rows)-1)]
	if g.int("frequent", 0, 4) == 0 {
		row = protocol.Must([]string{"register", "heartbeat", "join_network", "create_network"}[g.int("favourite", 0, 3)])
	}
	body := g.body(row)
	env := Envelope{Code: row.Code, Source: "192.0.2.1:1"}
	if signer := protocol.SignerID(row, body); g.int("signed", 0, 9) > 0 {
		_, gen, _, _ := g.root.NodeKey(signer)
		env.Actor.Node, env.Actor.KeyGen = signer, gen
	}
	if row.Auth == protocol.AuthAdmin || g.int("admin", 0, 5) == 0 {
		rec, _ := g.root.Token(TokenAdmin, "root")
		env.Actor.Token, env.Actor.TokenGen = "root", rec.Generation
	}
	if poll, ok := body.(*protocol.PollHandshakes); ok {
		_, _ = g.root.Read(&Call{Row: row, Body: poll, Actor: env.Actor})
	}
	env.Body, _ = json.Marshal(body)
	if g.int("garbage", 0, 50) == 0 {
		env.Body = rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(g.t, "bytes")
	}
	return env
}

func (g *generator) body(row *protocol.Command) protocol.Body {
	id, peer := g.id(), g.id()
	score := float64(g.int("score", -1_000_000, 1_000_000))
	mac := protocol.MAC{}
	if n := g.int("mac", 0, 2); n > 0 {
		mac = testMAC(byte(n))
	}
	switch row.Name {
	case "register":
		owner := []string{"", "a@x", "b@x"}[g.int("owner", 0, 2)]
		return &protocol.Register{
			PublicKey: testKey(g.int("key", 0, 11)).String(), RegisterFacts: protocol.RegisterFacts{Endpoint: fmt.Sprint("192.0.2.1:", g.int("port", 1, 2)), OwnerReclaim: g.int("reclaim", 0, 3) == 0, Proven: g.int("proven", 0, 1) == 0, ExternalID: []string{"", "e1"}[g.int("ext", 0, 1)], SignedRequest: g.int("signed", 0, 2) > 0}, Owner: owner, Hostname: []string{"", "h1", "h2", "BAD"}[g.int("host", 0, 3)],
			RelayOnly: g.int("relay", 0, 4) == 0,
		}
	case "set_hostname":
		return &protocol.SetHostname{NodeID: id, Hostname: []string{"", "h1", "h2", "h3"}[g.int("host", 0, 3)]}
	case "set_tags":
		return &protocol.SetTags{NodeID: id, Tags: []string{"a", "b", "c"}[:g.int("tags", 0, 3)]}
	case "set_task_exec":
		return &protocol.SetTaskExec{NodeID: id, Enabled: g.int("on", 0, 1) == 0}
	case "set_signed_register":
		return &protocol.SetSignedRegister{NodeID: id, Required: g.int("on", 0, 1) == 0}
	case "set_visibility":
		return &protocol.SetVisibility{NodeID: id, Public: g.int("on", 0, 1) == 0}
	case "rotate_key":
		return &protocol.RotateKey{NodeID: id, NewPublicKey: testKey(g.int("key", 0, 11)).String()}
	case "set_key_expiry":
		return &protocol.SetKeyExpiry{NodeID: id, ExpiresAt: []string{"", utc(g.time + hour), utc(g.time + 100*hour)}[g.int("expiry", 0, 2)]}
	case "report_trust", "revoke_trust":
		return &protocol.Trust{NodeID: id, PeerID: peer}
	case "request_handshake":
		return &protocol.RequestHandshake{FromNodeID: id, ToNodeID: peer, Justification: "<j>"}
	case "respond_handshake":
		return &protocol.RespondHandshake{NodeID: id, PeerID: peer, Accept: g.int("on", 0, 1) == 0}
	case "poll_handshakes":
		return &protocol.PollHandshakes{NodeID: id}
	case "update_polo_score":
		return &protocol.UpdatePoloScore{NodeID: id, Delta: &score}
	case "set_polo_score":
		return &protocol.SetPoloScore{NodeID: id, PoloScore: &score}
	case "beacon_register":
		return &protocol.BeaconRegister{BeaconID: id, NodeID: peer, Addr: fmt.Sprint("b:", g.int("port", 1, 2)),
			BeaconFacts: protocol.BeaconFacts{SignedAt: []int64{0, g.time, g.time - minute, g.time + minute}[g.int("signed at", 0, 3)]}}
	case "person_forget":
		return &protocol.PersonRequest{ExternalID: []string{"a@X", "b@x", "e1", "new"}[g.int("ext", 0, 3)]}
	case "create_network":
		return &protocol.CreateNetwork{NodeID: id, Name: fmt.Sprint("n", g.int("name", 0, 5)), JoinRule: []string{"open", "token", "invite"}[g.int("rule", 0, 2)],
			Enterprise: g.int("on", 0, 2) > 0, NetworkFacts: protocol.NetworkFacts{TokenMAC: mac, NetworkAdminTokenMAC: mac}}
	case "join_network":
		return &protocol.JoinNetwork{NodeID: id, NetworkID: g.net(), JoinFacts: protocol.JoinFacts{TokenMAC: mac}}
	case "leave_network":
		return &protocol.LeaveNetwork{NodeID: id, NetworkID: g.net()}
	}
	if b := g.auditing(row); b != nil {
		return b
	}
	if b := g.governance(row, id, peer, protocol.RoleFacts{NetworkToken: mac, Unsigned: g.int("unsigned", 0, 9) == 0}); b != nil {
		return b
	}
	return &protocol.NodeRequest{NodeID: id}
}

// progress makes a leader's report about a sink, mostly a right one.
func (g *generator) progress() SinkProgress {
	name := []string{protocol.SinkNameLog, protocol.SinkNameWebhook, protocol.SinkNameExport}[g.int("sink", 0, 2)]
	b, _ := g.root.SinkBatch(name, g.int("limit", 1, 20))
	p := b.Progress
	p.Name, p.Term = name, g.root.LeaderTerm()
	for i := range b.Events {
		if g.int("dead", 0, 3) == 0 {
			p.Dead = append(p.Dead, Letter{Seq: b.Events[i].Seq, Reason: "no", Attempts: 4})
		} else {
			p.Delivered++
		}
	}
	for i := range b.Retry {
		p.Retried = append(p.Retried, Letter{Seq: b.Retry[i].Seq, Reason: []string{"", "no"}[g.int("again", 0, 1)], Attempts: 1})
	}
	if g.int("wrong", 0, 5) == 0 {
		p.To += uint64(g.int("far", 0, 3))
		p.Passed[0] += uint64(g.int("more", 0, 3))
	}
	return p
}

// auditing makes the bodies of the commands of the audit log and of identity.
func (g *generator) auditing(row *protocol.Command) protocol.Body {
	url := []string{"", "https://a/1", "https://b/2"}[g.int("url", 0, 2)]
	name := []string{protocol.SinkNameLog, protocol.SinkNameWebhook, protocol.SinkNameExport, "more"}[g.int("sink", 0, 3)]
	switch row.Name {
	case "set_idp_config":
		r := &protocol.SetIDPConfig{IDPType: []string{"oidc", "ldap"}[g.int("idp", 0, 1)], URL: []string{"", "https://idp/1"}[g.int("set", 0, 1)], RequireIdentity: g.int("on", 0, 3) == 0}
		if r.IDPType == "oidc" && r.URL != "" && g.int("claims", 0, 1) == 1 {
			r.ExternalIDClaim, r.RoleClaim, r.RoleMap = "oid", "groups", []protocol.RoleMapping{{Value: "ops", NetworkID: 1, Role: "admin"}}
		}
		return r
	case "set_identity_webhook":
		return &protocol.SetIdentityWebhook{URL: url}
	case "set_webhook":
		return &protocol.SetWebhook{URL: url}
	case "set_audit_export":
		return &protocol.SetAuditExport{Format: "json", Endpoint: url, Required: g.int("on", 0, 3) == 0, Batch: g.int("batch", 0, 1) == 0, MaxLag: 5000, ExportFacts: protocol.ExportFacts{TokenSealed: protocol.Sealed{Key: 1, Ciphertext: []byte{1}}}}
	case "audit_sink_put":
		return &protocol.AuditSinkPut{Name: "more", Kind: "export", Format: "json", Endpoint: "https://c/3", Actions: []string{"member.*"}}
	case "audit_sink_delete":
		return &protocol.SinkName{Name: name}
	case "audit_replay":
		return &protocol.AuditReplay{Name: name, FromSeq: uint64(g.int("from", 1, 60))}
	case "dlq_retry", "dlq_drop":
		return &protocol.DeadLetters{Name: name, EventID: uint64(g.int("event", 0, 60))}
	}
	return nil
}

// governance makes the bodies of the commands about networks.
func (g *generator) governance(row *protocol.Command, id, peer uint32, facts protocol.RoleFacts) protocol.Body {
	span := []uint32{0, 0, 60, 40 * 24 * 3600}[g.int("span", 0, 3)]
	switch row.Name {
	case "set_network_enterprise":
		return &protocol.SetNetworkEnterprise{NetworkID: g.net(), Enterprise: g.int("on", 0, 2) > 0}
	case "set_external_id":
		return &protocol.SetExternalID{NodeID: id, ExternalID: []string{"", "A@x", "b@x"}[g.int("ext", 0, 2)]}
	case "invite_to_network":
		return &protocol.InviteToNetwork{RoleFacts: facts, InviterID: id, NetworkID: g.net(), TargetNodeID: peer, ForSeconds: span}
	case "respond_invite":
		return &protocol.RespondInvite{NodeID: id, NetworkID: g.net(), Accept: g.int("on", 0, 2) > 0}
	case "kick_member":
		return &protocol.KickMember{RoleFacts: facts, NodeID: id, NetworkID: g.net(), TargetNodeID: peer}
	case "promote_member":
		return &protocol.PromoteMember{RoleFacts: facts, NodeID: id, NetworkID: g.net(), TargetNodeID: peer, ForSeconds: span}
	case "demote_member":
		return &protocol.DemoteMember{RoleFacts: facts, NodeID: id, NetworkID: g.net(), TargetNodeID: peer}
	case "transfer_ownership":
		return &protocol.TransferOwnership{RoleFacts: facts, NodeID: id, NetworkID: g.net(), NewOwnerID: peer}
	case "set_network_policy":
		limit, ports, text := float64(g.int("limit", -1, 6)), []float64{80, 80, float64(g.int("port", 0, 2))}, "d"
		return &protocol.SetNetworkPolicy{RoleFacts: facts, NodeID: id, NetworkID: g.net(), MaxMembers: &limit, AllowedPorts: &ports, Description: &text}
	case "submit_badge":
		return badgeFor(id)
	case "enroll_recovery":
		return enrolmentOf(id, []string{"c0ffee", "cafe"}[g.int("commitment", 0, 1)])
	case "recover_identity":
		return recoveryOf(id, testKey(g.int("key", 0, 11)), "c0ffee", g.time/1000+int64(g.int("ends", 0, 3600)), fmt.Sprint("n", g.int("nonce", 0, 3)))
	case "set_expr_policy":
		doc := []string{"", "{}", `{"a":1}`}[g.int("doc", 0, 2)]
		return &protocol.SetExprPolicy{RoleFacts: facts, NodeID: id, NetworkID: g.net(), ExprPolicy: &doc}
	case "set_member_tags":
		return &protocol.SetMemberTags{RoleFacts: facts, NodeID: id, NetworkID: g.net(), TargetNodeID: peer, Tags: []string{"a", "b", "B"}[:g.int("tags", 0, 3)]}
	case "directory_sync":
		r := &protocol.DirectorySync{NetworkID: g.net(), RemoveUnlisted: g.int("on", 0, 1) == 0, Entries: g.people()}
		if g.int("parts", 0, 2) == 0 {
			r.UploadID, r.Part, r.Parts = []string{"u", "v"}[g.int("upload", 0, 1)], uint32(g.int("part", 1, 2)), 2
		}
		return r
	case "provision_network":
		b := &protocol.Blueprint{Name: fmt.Sprint("n", g.int("name", 0, 5)), JoinRule: []string{"", "open", "token", "invite"}[g.int("rule", 0, 3)], Enterprise: g.int("on", 0, 2) > 0}
		if g.int("policy", 0, 1) == 0 {
			b.Policy = &protocol.BlueprintPolicy{MaxMembers: int64(g.int("limit", -1, 6)), AllowedPorts: []uint16{80, 80}, Description: "d"}
		}
		for _, p := range g.people() {
			b.Roles = append(b.Roles, protocol.BlueprintRole{ExternalID: p.ExternalID, Role: p.Role})
		}
		return &protocol.ProvisionNetwork{Blueprint: b, BlueprintFacts: protocol.BlueprintFacts{JoinTokenMAC: testMAC(1), NetworkAdminTokenMAC: testMAC(2)}}
	case "delete_network":
		return &protocol.DeleteNetwork{RoleFacts: facts, NodeID: id, NetworkID: g.net()}
	case "rename_network":
		return &protocol.RenameNetwork{RoleFacts: facts, NodeID: id, NetworkID: g.net(), Name: fmt.Sprint("n", g.int("name", 0, 5))}
	}
	return nil
}

// people make a listing.
func (g *generator) people() (list []protocol.DirectoryEntry) {
	for range g.int("people", 0, 3) {
		list = append(list, protocol.DirectoryEntry{ExternalID: []string{"a@x", "B@x", "e1", "new"}[g.int("ext", 0, 3)],
			Role: []string{"owner", "admin", "member", ""}[g.int("role", 0, 3)], Disabled: g.int("off", 0, 3) == 0, DisplayName: []string{"", "H 1"}[g.int("name", 0, 1)]})
	}
	return list
}

func (g *generator) internal() Envelope {
	kinds := []struct {
		code protocol.Code
		body any
	}{
		{KindTick, struct{}{}},
		{KindCheckpoint, struct{}{}},
		{KindSweep, g.root.SweepCandidates(g.time, 100)},
		{KindSweep, Sweep{Term: g.root.LeaderTerm(), Offline: []uint32{g.id(), g.id()}, Release: []uint32{g.id()}, Beacons: []uint32{g.id()}, Sessions: true, Due: g.int("due", 0, 3)}},
		{KindTermStart, TermStart{Term: g.root.LeaderTerm() + uint64(g.int("term", 0, 2)) - 1}},
		{KindMemberHello, MemberRecord{ID: fmt.Sprint("m", g.int("member", 1, 3)), LevelMin: 1, LevelMax: uint32(g.int("level", int(LevelMin), int(LevelMax))), Keys: []uint32{1, uint32(g.int("ring", 1, 3))}}},
		{KindMemberForget, MemberForget{ID: fmt.Sprint("m", g.int("member", 1, 3))}},
		{KindPutToken, PutToken{Kind: TokenKind(g.int("token", 1, 3)), Name: []string{"root", "t"}[g.int("name", 0, 1)], MAC: testMAC(byte(g.int("mac", 1, 3))), ExpiresInMS: int64(g.int("ttl", 0, 1)) * hour}},
		{KindSpendToken, SpendToken{Name: "t", MemberID: fmt.Sprint("m", g.int("member", 1, 3)), Key: testMAC(byte(g.int("key", 1, 2))).Sum}},
		{KindPutSealed, PutSealed{Name: fmt.Sprint("s", g.int("secret", 1, 2)), Sealed: Sealed{Key: 1, Nonce: []byte{1}, Ciphertext: []byte{byte(g.int("cipher", 0, 9))}}}},
		{KindActivateKey, ActivateKey{Key: uint32(g.int("ring", 0, 3)), Term: g.root.LeaderTerm()}},
		{KindAuditNote, AuditNote{Term: g.root.LeaderTerm(), Notes: map[string]uint64{"x": 1, "a": 2, "q": uint64(g.int("count", 0, 9))}}},
		{KindSinkProgress, g.progress()},
		{KindResealSink, ResealSink{Name: protocol.SinkNameExport, Gen: uint64(g.int("gen", 0, 9)), Secret: protocol.Sealed{Key: 2, Ciphertext: []byte{1}}}},
		{KindPutJWKS, PutJWKS{Term: g.root.LeaderTerm(), URL: "https://idp/1", Doc: []byte{byte(g.int("doc", 0, 3))}, Keys: []string{"k"}, LeftOut: []LeftOut{{"odd", "why"}}}},
		{KindPutJWKS, PutJWKS{Term: g.root.LeaderTerm(), URL: "https://idp/1", Failed: "down"}},
		{KindCountRequests, CountRequests{Member: fmt.Sprint("m", g.int("member", 1, 3)), Boot: fmt.Sprint("b", g.int("boot", 1, 2)), Total: uint64(g.int("total", 0, 9))}},
		{KindMemberPromoted, MemberPromoted{MemberID: fmt.Sprint("m", g.int("promoted", 2, 3)), AskedAt: "m1"}},
		{KindLeadershipTransferred, LeadershipTransferred{From: "m1", To: fmt.Sprint("m", g.int("leader", 2, 3)), AskedAt: "m1"}},
		{KindRaiseLevel, RaiseLevel{From: 1, To: 2, Term: g.root.LeaderTerm()}},
		{KindClusterInit, ClusterInit{ClusterID: "other", Level: 1}},
	}
	k := kinds[g.int("internal", 0, len(kinds)-1)]
	body, _ := json.Marshal(k.body)
	return Envelope{Code: k.code, Body: body}
}

// clone makes a second machine from a machine's snapshot.
func clone(m *Machine) (*Machine, error) {
	var buf bytes.Buffer
	if err := m.Snapshot().Write(&buf); err != nil {
		return nil, err
	}
	out := New()
	return out, out.Restore(bytes.NewReader(buf.Bytes()))
}

// indexes renders everything that is derived from the tables.
func indexes(v *view) string {
	var out bytes.Buffer
	dump(&out, "key", &v.nodes.byKey)
	dump(&out, "host", &v.nodes.byHost)
	dump(&out, "owner", &v.nodes.byOwner)
	dump(&out, "live", &v.nodes.liveIDs)
	dump(&out, "offline", &v.nodes.offline)
	dump(&out, "name", &v.networks.byName)
	dump(&out, "order", &v.networks.byOrder)
	dump(&out, "node", &v.networks.byNode)
	dump(&out, "peer", &v.trust.byPeer)
	dump(&out, "offers", &v.trust.offers)
	dump(&out, "expiry", &v.once.byExpiry)
	dump(&out, "owner", &v.networks.owners)
	dump(&out, "invite", &v.networks.byInvite)
	dump(&out, "assign", &v.networks.byAssign)
	dump(&out, "due", &v.due)
	v.networks.sizes.Ascend(0, func(net uint16, n int) bool {
		if n > 0 {
			fmt.Fprintf(&out, "size %d=%d\n", net, n)
		}
		return true
	})
	dump(&out, "security events", &v.audit.shares.held)
	dump(&out, "backlog", &v.audit.backlog.held)
	dump(&out, "beacons", &v.beacons.bytes.held)
	dump(&out, "known ids", &v.once.known.held)
	dump(&out, "strangers' ids", &v.once.strangers.held)
	fmt.Fprintln(&out, "bytes", v.once.known.total.Get(), v.once.strangers.total.Get(), v.beacons.bytes.total.Get(), v.uploads.bytes.Get())
	return out.String()
}

// scanned is a table or an index.
type scanned[K table.Key, V any] interface{ Scan(func(K, V) bool) }

func dump[K table.Key, V any](out *bytes.Buffer, name string, s scanned[K, V]) {
	s.Scan(func(k K, v V) bool {
		fmt.Fprintf(out, "%s %x=%v\n", name, k, v)
		return true
	})
}
