// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// fullWorld has something in every table.
func fullWorld(t tester) *world {
	w := newWorld(t)
	for i := range 6 {
		w.registerAs(&protocol.Register{PublicKey: testKey(i).String(), Hostname: testHost(i), Owner: "o", LANAddrs: []string{"10.0.0.1:1"}, Version: "1"})
	}
	net := w.network("lab", 1, "open", true)
	w.join(net, 2)
	w.do("create_network", &protocol.CreateNetwork{NodeID: 2, Name: "locked", JoinRule: "token", NetworkFacts: protocol.NetworkFacts{TokenMAC: testMAC(1), NetworkAdminTokenMAC: testMAC(2)}}, admin)
	w.do("set_tags", &protocol.SetTags{NodeID: 1, Tags: []string{"a", "b"}}, as(1))
	w.do("report_trust", &protocol.Trust{NodeID: 3, PeerID: 1}, as(3))
	w.do("request_handshake", &protocol.RequestHandshake{FromNodeID: 1, ToNodeID: 2, Justification: "j"}, as(1))
	w.do("respond_handshake", &protocol.RespondHandshake{NodeID: 2, PeerID: 1}, as(2))
	w.do("beacon_register", &protocol.BeaconRegister{BeaconID: 3, Addr: "b:1"}, nil)
	w.internal(KindPutSealed, PutSealed{Name: "s", Sealed: Sealed{Key: 1, Nonce: []byte{1}, Ciphertext: []byte{2}}, Public: []byte{3}})
	w.internal(KindMemberHello, MemberRecord{ID: "m1", Peer: "p", Wire: "w", Ops: "o", Version: "v", LevelMin: 1, LevelMax: LevelMax, Keys: []uint32{1}})
	w.internal(KindPutToken, PutToken{Kind: TokenJoin, Name: "j", MAC: testMAC(3), ExpiresInMS: hour})
	w.internal(KindSpendToken, SpendToken{Name: "j", MemberID: "m2", Key: testMAC(2).Sum})
	w.do("set_key_expiry", &protocol.SetKeyExpiry{NodeID: 1, ExpiresAt: utc(w.now + minute)}, as(1))
	w.do("set_member_tags", tagMember(net, 2, "gpu", "eu-west"), admin)
	w.registerAs(&protocol.Register{PublicKey: testKey(6).String(), RegisterFacts: protocol.RegisterFacts{Proven: true}})
	w.apply(envelope(w.call("register", &protocol.Register{PublicKey: testKey(6).String()}, nil))) // rejected
	doc := `{"version":1}`
	w.do("create_network", &protocol.CreateNetwork{NodeID: 1, Name: "managed", ExprPolicy: &doc,
		Rules: &protocol.NetworkRules{Links: 8, Cycle: "1h", Prune: 2, PruneBy: "age", Fill: 3, FillHow: "random", Grace: "5m"}}, admin)
	hidden := w.network("hidden", 1, "invite", true)
	w.do("invite_to_network", &protocol.InviteToNetwork{InviterID: 1, NetworkID: hidden, TargetNodeID: 3, ForSeconds: 60}, as(1))
	w.do("promote_member", &protocol.PromoteMember{NodeID: 1, NetworkID: net, TargetNodeID: 2, ForSeconds: 40 * 24 * 3600}, as(1))
	w.preAssign(hidden, "Bob@X", roleOwner)
	w.do("directory_sync", &protocol.DirectorySync{NetworkID: net, UploadID: "u", Part: 2, Parts: 3, Entries: []protocol.DirectoryEntry{{ExternalID: "a"}}}, admin)
	limit, ports, text := 9.0, []float64{80, 443}, "d"
	w.do("set_network_policy", &protocol.SetNetworkPolicy{NodeID: 1, NetworkID: net, MaxMembers: &limit, AllowedPorts: &ports, Description: &text}, as(1))
	w.do("set_idp_config", &protocol.SetIDPConfig{IDPType: "oidc", URL: "https://idp/1", Issuer: "i"}, admin)
	w.internal(KindPutJWKS, PutJWKS{Term: w.m.Root().LeaderTerm(), URL: "https://idp/1", Doc: []byte("{}")})
	w.do("set_webhook", &protocol.SetWebhook{URL: "https://hook", SecretFacts: protocol.SecretFacts{SecretSealed: protocol.Sealed{Key: 1, Nonce: []byte{1}, Ciphertext: []byte{2}}}}, admin)
	w.do("set_audit_export", &protocol.SetAuditExport{Format: "json", Endpoint: "https://siem", Required: true}, admin)
	w.do("set_task_exec", &protocol.SetTaskExec{NodeID: 1, Enabled: true}, as(1))
	w.deadLetters(protocol.SinkNameWebhook)
	w.goOffline(4)
	w.apply(envelope(w.call("heartbeat", &protocol.NodeRequest{NodeID: 1}, as(1)))) // blocked
	w.do("deregister", &protocol.NodeRequest{NodeID: 5}, as(5))
	w.registerAs(&protocol.Register{PublicKey: testKey(7).String(), RegisterFacts: protocol.RegisterFacts{ExternalID: "gone@x", Proven: true}})
	w.do("person_forget", &protocol.PersonRequest{ExternalID: "gone@x"}, admin)
	w.apply(minted(plusOne(w, 1), 1, 1, 1), minted(plusOne(w, 99), 1, 2, 1))
	w.apply(envelope(withID(plusOne(w, 1), "r", 1)), envelope(withID(plusOne(w, 99), "s", 1)))
	return w
}

func snapshotOf(t tester, m *Machine) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := m.Snapshot().Write(&buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestSnapshotHoldsEverything(t *testing.T) {
	w := fullWorld(t)
	now := len(tables) - len(nextTables) // without those of a later level
	for i, stored := range w.m.Root().stored() {
		if stored.Len() == 0 && i < now {
			t.Errorf("table %d is empty: the test does not cover it", i)
		}
	}
	w.m.Configuration(w.index+3, 9)
	snap := w.m.Snapshot()
	data := snapshotOf(t, w.m)
	if again := snapshotOf(t, w.m); !bytes.Equal(again, data) {
		t.Error("two snapshots of one state differ")
	}
	m := New()
	if err := m.Restore(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	a, b := w.m.Root(), m.Root()
	if b.Index() != w.index+3 || b.Index() != snap.Index() || b.Term() != 9 || snap.Term() != 9 {
		t.Errorf("index %d, term %d", b.Index(), b.Term())
	}
	if a.Digest() != b.Digest() || fromScratch(b) != b.Digest() || indexes(&a.view) != indexes(&b.view) {
		t.Error("the restored state is another")
	}
	if got, want := fmt.Sprint(b.Tokens(TokenJoin), b.Members(), b.Level(), b.ClusterID(), b.Now(), b.NodeCount(), b.LeaderTerm()),
		fmt.Sprint(a.Tokens(TokenJoin), a.Members(), a.Level(), a.ClusterID(), a.Now(), a.NodeCount(), a.LeaderTerm()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !bytes.Equal(snapshotOf(t, m), data) {
		t.Error("a snapshot of the restored state differs")
	}
	same(t, "nodes", &a.nodes.records, &b.nodes.records)
	same(t, "seen", &a.nodes.seen, &b.nodes.seen)
	same(t, "networks", &a.networks.records, &b.networks.records)
	same(t, "members", &a.networks.memberships, &b.networks.memberships)
	same(t, "tags", &a.networks.tags, &b.networks.tags)
	same(t, "documents of networks", &a.networks.docs, &b.networks.docs)
	same(t, "requests", &a.trust.requests, &b.trust.requests)
	same(t, "responses", &a.trust.responses, &b.trust.responses)
	same(t, "beacons", &a.beacons.records, &b.beacons.records)
	same(t, "tokens", &a.cluster.tokens, &b.cluster.tokens)
	same(t, "sealed", &a.cluster.sealed, &b.cluster.sealed)
	same(t, "servers", &a.cluster.members, &b.cluster.members)
	same(t, "sessions", &a.once.sessions, &b.once.sessions)
	same(t, "minted", &a.once.minted, &b.once.minted)
	same(t, "results", &a.once.results, &b.once.results)
	same(t, "blocked", &a.nodes.blocked, &b.nodes.blocked)
	if a.meta != b.meta {
		t.Errorf("meta: got %+v, want %+v", b.meta, a.meta)
	}
	// What was remembered is still remembered.
	r, known, e := b.Replay(withID(plusOne(w, 1), "r", 1))
	if !known || e != nil || !r.Replayed {
		t.Error("a client's result is forgotten")
	}
}

// same compares two tables record by record, with every field.
func same[K table.Key, V any](t *testing.T, name string, a, b scanned[K, V]) {
	t.Helper()
	records := func(s scanned[K, V]) map[K]V {
		m := map[K]V{}
		s.Scan(func(k K, v V) bool { m[k] = v; return true })
		return m
	}
	if !reflect.DeepEqual(records(a), records(b)) {
		t.Errorf("table %s is another", name)
	}
}

// A snapshot is taken of a moment: what is applied while it is written does
// not get into it.
func TestSnapshotIsOfOneMoment(t *testing.T) {
	w := fullWorld(t)
	want := snapshotOf(t, w.m)
	snap := w.m.Snapshot()
	r, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := snap.Write(out)
		_ = out.CloseWithError(err)
		done <- err
	}()
	var got bytes.Buffer
	buf := make([]byte, 64)
	for i := 100; ; i++ {
		n, err := r.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			break
		}
		w.register(i)
		w.beat(6)
		w.do("set_tags", &protocol.SetTags{NodeID: 2, Tags: []string{fmt.Sprint("t", i)}}, admin)
	}
	if err := <-done; err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Error("the snapshot changed while it was written", err)
	}
}

func TestRestoreRefuses(t *testing.T) {
	good := snapshotOf(t, fullWorld(t).m)
	format := bytes.Clone(good)
	format[len(snapshotMagic)] = 7
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":      {nil, "not a snapshot"},
		"other file":   {[]byte("PK\x03\x04 and so on and so forth"), "not a snapshot"},
		"format":       {format, "format 7 and this version knows format 1"},
		"level":        {snapshotWith(t, func(w *world) { w.m.x.meta.level = 9 }), fmt.Sprintf("feature level 9 and this version knows levels 1 to %d", LevelMax)},
		"trailing":     {append(bytes.Clone(good), 0), "bytes follow its footer"},
		"no backbone":  {snapshotWith(t, func(w *world) { networkTable.drop(w.m.x, 0) }), "no backbone"},
		"no sign":      {snapshotWith(t, func(w *world) { seenTable.drop(w.m.x, 1) }), "sign of life"},
		"lost event":   {snapshotWith(t, func(w *world) { securityTable.drop(w.m.x, 1) }), "events are missing"},
		"bad id":       {snapshotWith(t, func(w *world) { w.m.x.meta.nextNode = 2 }), "kind 2"},
		"two hosts":    {snapshotWith(t, func(w *world) { nodeTable.put(w.m.x, 2, &node{id: 2, state: stateLive, hostname: testHost(0)}) }), "kind 2"},
		"unknown kind": {snapshotWith(t, unknownKind), "kind 250, which this version does not know"},
		"wrong sum":    {snapshotWith(t, func(w *world) { w.m.x.w.Digest[0]++ }), "do not match its footer"},
	} {
		w := newWorld(t)
		before := w.m.Root()
		err := w.m.Restore(bytes.NewReader(c.data))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if w.m.Root() != before {
			t.Errorf("%s: the state changed", name)
		}
		w.register(1)
	}
}

// snapshotWith corrupts a state without running its checks.
func snapshotWith(t *testing.T, spoil func(*world)) []byte {
	w := fullWorld(t)
	spoil(w)
	v := w.m.Root().view
	w.m.x.handOver(&v)
	var buf bytes.Buffer
	root := &Root{view: v, index: 1, term: 1, digest: w.m.x.w.Digest.Bytes()}
	if err := (&Snapshot{root: root}).Write(&buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// unknownKind stores a record of a kind that this version does not have.
func unknownKind(w *world) {
	x := w.m.x
	x.nodes.blocked = table.New(&table.Schema[uint32, millis]{Kind: 250, AppendKey: table.AppendKey32})
	slot := slices.IndexFunc(places, func(p place) bool { return p(&x.view) == table.Part(&x.nodes.blocked) })
	x.w.Open(&x.nodes.blocked, table.Slot(slot))
	x.nodes.blocked.Put(&x.w, 1, 1)
}

// A damaged snapshot is refused, whichever bit is wrong and wherever it ends.
func TestRestoreNoticesDamage(t *testing.T) {
	w := newWorld(t)
	w.register(1)
	good := snapshotOf(t, w.m)
	want := w.m.Root()
	for i := range good {
		if err := New().Restore(bytes.NewReader(good[:i])); err == nil {
			t.Fatalf("the first %d bytes were accepted", i)
		}
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			m := New()
			if err := m.Restore(bytes.NewReader(bad)); err == nil {
				// A few bits of the compressed stream mean nothing.
				if r := m.Root(); r.Digest() != want.Digest() || r.Index() != want.Index() || r.Term() != want.Term() {
					t.Fatalf("bit %d of byte %d: accepted with another state", bit, i)
				}
			}
		}
	}
}

func TestRestoreReadsInPieces(t *testing.T) {
	w := fullWorld(t)
	data := snapshotOf(t, w.m)
	m := New()
	if err := m.Restore(oneByte{bytes.NewReader(data)}); err != nil {
		t.Fatal(err)
	}
	failing := io.MultiReader(bytes.NewReader(data[:len(data)/2]), errReader{})
	if err := m.Restore(failing); err == nil {
		t.Error("a failing reader went unnoticed")
	}
	if m.Root().Digest() != w.m.Root().Digest() {
		t.Error("the failed restore changed the state")
	}
}

type oneByte struct{ r io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }

// A restore frees a machine that had stopped.
func TestRestoreAfterHalt(t *testing.T) {
	w := fullWorld(t)
	data := snapshotOf(t, w.m)
	if _, err := w.m.Apply(99, 1, []byte{77}); err == nil {
		t.Fatal("applied")
	}
	if err := w.m.Restore(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	w.register(50)
}

func TestSnapshotWriteFails(t *testing.T) {
	w := fullWorld(t)
	size := len(snapshotOf(t, w.m))
	for _, n := range []int{0, 20, size / 2, size - 1} {
		if err := w.m.Snapshot().Write(&fullDisk{left: n}); err == nil {
			t.Errorf("writing %d of %d bytes went unnoticed", n, size)
		}
	}
}

type fullDisk struct{ left int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.left -= len(p); d.left < 0 {
		return 0, errors.New("no space left")
	}
	return len(p), nil
}
