// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"reflect"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func TestClusterInit(t *testing.T) {
	w := emptyWorld(t)
	w.tick(0)
	w.internalErr(KindClusterInit, ClusterInit{Level: 1}, protocol.CodeInvalid)
	w.internalErr(KindClusterInit, ClusterInit{ClusterID: "c"}, protocol.CodeInvalid)
	w.internal(KindClusterInit, ClusterInit{ClusterID: "c", Level: 1})
	r := w.m.Root()
	if r.ClusterID() != "c" || r.Level() != 1 || r.ActiveKey() != 1 {
		t.Errorf("cluster %q, level %d, key %d", r.ClusterID(), r.Level(), r.ActiveKey())
	}
	w.internalErr(KindClusterInit, ClusterInit{ClusterID: "d", Level: 1}, protocol.CodeAlreadyExists)
	nets := w.do("list_networks", &protocol.ListNetworks{}, nil).(*protocol.ListNetworksReply).Networks
	if len(nets) != 1 || nets[0].Name != "backbone" || nets[0].Enterprise || nets[0].JoinRule != "open" {
		t.Errorf("networks %+v", nets)
	}
}

func TestMembers(t *testing.T) {
	w := worldAt(t, 1)
	m1 := MemberRecord{ID: "m1", Peer: "a:9100", Wire: "a:9000", Version: "1", LevelMin: 1, LevelMax: 1, Keys: []uint32{2, 1, 2}}
	w.internal(KindMemberHello, m1)
	m1.Version = "2"
	w.internal(KindMemberHello, m1)
	if n := w.countEvents(protocol.EventMemberJoined); n != 1 {
		t.Errorf("%d events", n)
	}
	w.internal(KindMemberHello, MemberRecord{ID: "m0", LevelMin: 1, LevelMax: 2, Keys: []uint32{1}})
	m1.Keys = []uint32{1, 2}
	if got := w.m.Root().Members(); len(got) != 2 || got[0].ID != "m0" || !reflect.DeepEqual(got[1], m1) {
		t.Errorf("members %+v", got)
	}
	w.internalErr(KindMemberHello, MemberRecord{ID: "old", LevelMin: 0, LevelMax: 0}, protocol.CodeConflict)
	w.internalErr(KindMemberHello, MemberRecord{LevelMin: 1, LevelMax: 1}, protocol.CodeInvalid)

	w.internalErr(KindActivateKey, ActivateKey{Key: 2, Term: 1}, protocol.CodeConflict) // m0 lacks it
	w.internalErr(KindActivateKey, ActivateKey{Key: 0, Term: 1}, protocol.CodeInvalid)
	w.internalErr(KindRaiseLevel, RaiseLevel{From: 1, To: 2, Term: 1}, protocol.CodeConflict) // m1 lacks it
	w.internalErr(KindRaiseLevel, RaiseLevel{From: 1, To: 3, Term: 1}, protocol.CodeConflict)
	w.internalErr(KindRaiseLevel, RaiseLevel{From: 0, To: 1, Term: 1}, protocol.CodeConflict)
	w.internal(KindMemberForget, MemberForget{ID: "m0"})
	w.internal(KindMemberForget, MemberForget{ID: "m0"})
	if n := w.countEvents(protocol.EventMemberRemoved); n != 1 || len(w.m.Root().Members()) != 1 {
		t.Errorf("%d events", n)
	}
	w.internal(KindActivateKey, ActivateKey{Key: 2, Term: 1, AskedAt: "m1"})
	w.internal(KindActivateKey, ActivateKey{Key: 2, Term: 1, AskedAt: "m1"}) // once more, to be finished
	if got := w.lastEvent(protocol.EventKeyringRotated); got != "system from=1 to=2 asked_at=m1" || w.countEvents(protocol.EventKeyringRotated) != 1 {
		t.Errorf("the rotation is in the log as %q, %d times", got, w.countEvents(protocol.EventKeyringRotated))
	}
	if w.m.Root().ActiveKey() != 2 {
		t.Errorf("active key %d", w.m.Root().ActiveKey())
	}
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	root, _ := w.m.Root().Token(TokenAdmin, "root")
	w.internal(KindPutToken, PutToken{Kind: TokenAdmin, Name: "root", MAC: testMAC(9), OnlyIfAbsent: true})
	if got, _ := w.m.Root().Token(TokenAdmin, "root"); !reflect.DeepEqual(got, root) {
		t.Errorf("seeding again replaced the token: %+v", got)
	}
	a := w.register(1)
	stale := w.call("create_network", &protocol.CreateNetwork{NodeID: a, Name: "n"}, admin)
	w.internal(KindPutToken, PutToken{Kind: TokenAdmin, Name: "root", MAC: testMAC(9)})
	if r := w.apply(envelope(stale))[0]; r.Err == nil || r.Err.Code != protocol.CodeAdminToken {
		t.Errorf("a replaced token still counts: %v", r.Err)
	}
	w.internal(KindPutToken, PutToken{Kind: TokenAdmin, Name: "short", MAC: testMAC(1), ExpiresInMS: minute})
	short := func(w *world, c *Call) {
		rec, _ := w.m.Root().Token(TokenAdmin, "short")
		c.Actor.Token, c.Actor.TokenGen = "short", rec.Generation
	}
	w.do("create_network", &protocol.CreateNetwork{NodeID: a, Name: "n1"}, short)
	w.tick(minute)
	w.refused("create_network", &protocol.CreateNetwork{NodeID: a, Name: "n2"}, short, protocol.CodeAdminToken, "invalid admin token")
	w.sweep()
	if got := w.m.Root().Tokens(TokenAdmin); len(got) != 1 || got[0].Name != "root" {
		t.Errorf("tokens %+v", got)
	}
	for _, bad := range []PutToken{
		{Kind: TokenAdmin, MAC: testMAC(1)}, {Kind: 0, Name: "x", MAC: testMAC(1)}, {Kind: 4, Name: "x", MAC: testMAC(1)},
		{Kind: TokenAdmin, Name: "x"}, {Kind: TokenAdmin, Name: "x", MAC: testMAC(1), ExpiresInMS: -1},
	} {
		w.internalErr(KindPutToken, bad, protocol.CodeInvalid)
	}
}

func TestJoinTokenIsSpentOnce(t *testing.T) {
	w := newWorld(t)
	w.internal(KindPutToken, PutToken{Kind: TokenJoin, Name: "j", MAC: testMAC(1), ExpiresInMS: hour, NonVoter: true})
	spend := func(token, member string, key byte) SpendToken {
		return SpendToken{Name: token, MemberID: member, Key: testMAC(key).Sum}
	}
	w.internalErr(KindSpendToken, SpendToken{Name: "j", MemberID: "m2"}, protocol.CodeInvalid)
	w.internalErr(KindSpendToken, spend("other", "m2", 1), protocol.CodeTokenInvalid)
	w.internalErr(KindSpendToken, spend("root", "m2", 1), protocol.CodeTokenInvalid)
	w.internal(KindSpendToken, spend("j", "m2", 1))
	w.internalErr(KindSpendToken, spend("j", "m3", 1), protocol.CodeTokenInvalid)
	w.internalErr(KindSpendToken, spend("j", "m2", 2), protocol.CodeTokenInvalid) // another machine that says it is m2
	w.internal(KindSpendToken, spend("j", "m2", 1))                               // tries again
	if got := w.m.Root().Tokens(TokenJoin); len(got) != 1 || !got[0].NonVoter || got[0].Expires != w.now+hour {
		t.Errorf("tokens %+v", got)
	}
	w.tick(hour)
	w.internalErr(KindSpendToken, spend("j", "m2", 1), protocol.CodeTokenInvalid)
}

// A token lets one machine in, once: it is void when that one has announced
// itself, and when it is removed before.
func TestSpentJoinTokenLetsNobodyElseIn(t *testing.T) {
	for name, end := range map[string]func(w *world){
		"announced": func(w *world) {
			w.internal(KindMemberHello, MemberRecord{ID: "m2", LevelMin: 1, LevelMax: LevelMax, Keys: []uint32{1}})
		},
		"removed": func(w *world) { w.internal(KindMemberForget, MemberForget{ID: "m2"}) },
	} {
		w := newWorld(t)
		for _, token := range []string{"j", "other"} {
			w.internal(KindPutToken, PutToken{Kind: TokenJoin, Name: token, MAC: testMAC(1), ExpiresInMS: hour})
		}
		spend := SpendToken{Name: "j", MemberID: "m2", Key: testMAC(1).Sum}
		w.internal(KindSpendToken, spend)
		w.internal(KindMemberHello, MemberRecord{ID: "m2", LevelMin: 1, LevelMax: LevelMax}) // made while it joins
		w.internal(KindSpendToken, spend)
		end(w)
		w.internalErr(KindSpendToken, spend, protocol.CodeTokenInvalid)
		if got := w.m.Root().Tokens(TokenJoin); len(got) != 1 || got[0].Name != "other" {
			t.Errorf("%s: tokens %+v", name, got)
		}
	}
}

// A member that was let in without a vote does not get one by asking.
func TestWhatTheJoinTokenDecidedStays(t *testing.T) {
	w := newWorld(t)
	hello := func(nonvoter bool) {
		w.internal(KindMemberHello, MemberRecord{ID: "m2", LevelMin: 1, LevelMax: LevelMax, Keys: []uint32{1}, NonVoter: nonvoter})
	}
	hello(true)
	hello(false)
	for _, m := range w.m.Root().Members() {
		if m.ID == "m2" && !m.NonVoter {
			t.Error("the member's own record made it a voter")
		}
	}
}

func TestJoinTokensAreListedAndRevoked(t *testing.T) {
	w := newWorld(t)
	w.internal(KindPutToken, PutToken{Kind: TokenJoin, Name: "a", MAC: testMAC(1), ExpiresInMS: hour, NonVoter: true})
	w.internal(KindPutToken, PutToken{Kind: TokenJoin, Name: "b", MAC: testMAC(1), ExpiresInMS: hour})
	w.internal(KindSpendToken, SpendToken{Name: "b", MemberID: "m2", Key: testMAC(1).Sum})
	list := func() []protocol.JoinTokenInfo {
		return w.do("cluster_join_token_list", &protocol.ClusterQuery{}, admin).(*protocol.ClusterJoinTokenListReply).JoinTokens
	}
	if got := list(); len(got) != 2 || got[0].Name != "a" || !got[0].NonVoter || got[0].ExpiresAt == "" || got[1].UsedBy != "m2" {
		t.Errorf("%+v", got)
	}
	w.do("cluster_join_token_revoke", &protocol.ClusterJoinTokenName{Name: "b"}, admin)
	w.internalErr(KindSpendToken, SpendToken{Name: "b", MemberID: "m2", Key: testMAC(1).Sum}, protocol.CodeTokenInvalid)
	if got := list(); len(got) != 1 || got[0].Name != "a" {
		t.Errorf("%+v", got)
	}
	w.refused("cluster_join_token_revoke", &protocol.ClusterJoinTokenName{Name: "b"}, admin, protocol.CodeNotFound, "join token \"b\": not found; cluster_join_token_list shows what there is")
	w.refused("cluster_join_token_revoke", &protocol.ClusterJoinTokenName{Name: "root"}, admin, protocol.CodeNotFound, "join token \"root\": not found; cluster_join_token_list shows what there is")
}

func TestSealedSecrets(t *testing.T) {
	w := newWorld(t)
	ca := PutSealed{Name: "ca", Sealed: Sealed{Key: 1, Nonce: []byte{1}, Ciphertext: []byte{2, 3}}, Public: []byte("cert"), OnlyIfAbsent: true}
	w.internal(KindPutSealed, ca)
	other := ca
	other.Public = []byte("another")
	w.internal(KindPutSealed, other)
	if s, public, ok := w.m.Root().Sealed("ca"); !ok || string(public) != "cert" || !reflect.DeepEqual(s, ca.Sealed) {
		t.Errorf("got %+v %q", s, public)
	}
	other.OnlyIfAbsent = false
	w.internal(KindPutSealed, other)
	if _, public, _ := w.m.Root().Sealed("ca"); string(public) != "another" {
		t.Errorf("got %q", public)
	}
	if _, _, ok := w.m.Root().Sealed("no"); ok {
		t.Error("found what is not there")
	}
}

func TestLogTimeNeverGoesBack(t *testing.T) {
	w := newWorld(t)
	w.now += 1000
	w.tick(0)
	now := w.m.Root().Now()
	w.now -= 5000
	w.tick(0)
	if w.m.Root().Now() != now {
		t.Errorf("log time went from %d to %d", now, w.m.Root().Now())
	}
	for _, time := range []int64{-1 << 63, 1<<63 - 1} {
		w.now = time
		w.tick(0)
		w.register(1)
		w.m.Root().SweepCandidates(time, 10)
	}
	if w.m.Root().Now() != maxTime {
		t.Errorf("log time is %d", w.m.Root().Now())
	}
}

func TestCheckpointsAndConfiguration(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		w.register(i)
		w.internal(KindCheckpoint, struct{}{})
		list := w.m.Checkpoints()
		last := list[len(list)-1]
		r := w.m.Root()
		if last != (Checkpoint{Index: r.Index(), Level: LevelMax, Digest: r.Digest()}) || len(list) != min(i+1, 16) {
			t.Fatalf("checkpoints %+v", list)
		}
	}
	before := w.m.Root()
	w.m.Configuration(before.Index()+5, 7)
	after := w.m.Root()
	if after.Index() != before.Index()+5 || after.Term() != 7 || after.Digest() != before.Digest() || after.NodeCount() != before.NodeCount() {
		t.Errorf("index %d, term %d", after.Index(), after.Term())
	}
	if before.Index() == after.Index() {
		t.Error("a published root changed")
	}
}
