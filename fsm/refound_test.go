// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// refounding is what a restored cluster begins with.
func refounding(w *world) *Refounding {
	return &Refounding{ClusterID: "another-cluster", Time: w.m.Root().Now() + 1000, Term: w.m.Root().Term() + 3, Action: protocol.EventClusterRestored,
		Sealed: []PutSealed{{Name: "cluster-ca", Sealed: Sealed{Key: 1, Ciphertext: []byte("new key")}, Public: []byte("new CA")}},
		Token:  &PutToken{Kind: TokenJoin, Name: "join-next", MAC: protocol.MAC{Key: 1, Sum: bytes.Repeat([]byte{7}, 32)}, ExpiresInMS: 1000}, HoldSinks: true}
}

// A refounded state is another cluster's and holds everything but who was a
// member of the old one; two members that get it have the same digest.
func TestRefoundKeepsWhatIsRegistered(t *testing.T) {
	w := fullWorld(t)
	before := w.m.Root()
	if err := w.m.Refound(refounding(w)); err != nil {
		t.Fatal(err)
	}
	after := w.m.Root()
	if after.ClusterID() != "another-cluster" || after.Index() != refoundStep || after.Term() != before.Term()+3 || after.Level() != before.Level() {
		t.Errorf("cluster %s, index %d, term %d, level %d", after.ClusterID(), after.Index(), after.Term(), after.Level())
	}
	if n := len(after.Members()); n != 0 {
		t.Errorf("%d records of members are left", n)
	}
	if tokens := after.Tokens(TokenJoin); len(tokens) != 1 || tokens[0].Name != "join-next" {
		t.Errorf("join tokens: %+v", tokens)
	}
	for _, d := range Differences(before, after) {
		switch d.Name {
		case "members", "tokens", "sealed secrets", "security events", "activity events", "sink positions":
		default:
			t.Errorf("%s changed: %+v", d.Name, d)
		}
	}
	for _, s := range after.Sinks() {
		if held := s.Kind != protocol.SinkLog; s.Held() != held {
			t.Errorf("sink %s: held %t, problem %q", s.Name, s.Held(), s.Problem)
		}
	}
	if got := w.lastEvent(protocol.EventClusterRestored); !strings.Contains(got, "from_cluster="+before.ClusterID()) {
		t.Errorf("the trail says %q", got)
	}
	other := New()
	if err := other.Restore(bytes.NewReader(snapshotOf(t, w.m))); err != nil {
		t.Fatal(err)
	}
	if other.Root().Digest() != after.Digest() {
		t.Error("a member that restores the refounded state has another digest")
	}
}

func TestRefoundRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Refounding){
		"no cluster id": func(b *Refounding) { b.ClusterID = "" },
		"an older term": func(b *Refounding) { b.Term = 0 },
		"a bad token":   func(b *Refounding) { b.Token.MAC.Sum = nil },
	} {
		w := fullWorld(t)
		b := refounding(w)
		spoil(b)
		if err := w.m.Refound(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := New().Refound(refounding(fullWorld(t))); err == nil {
		t.Error("the state of no cluster was made another's")
	}
}

// Every kind of records has a name, and the digests of the kinds add up to
// the state's own without the meta record.
func TestInventoryNamesEveryKind(t *testing.T) {
	for _, d := range tables {
		if holdingNames[d.kind()] == "" && d.kind() < 200 {
			t.Errorf("records of kind %d have no name", d.kind())
		}
	}
	w := fullWorld(t)
	list := w.m.Root().Inventory()
	for _, want := range []string{"nodes", "networks", "tokens", "security events"} {
		found := false
		for _, h := range list {
			found = found || h.Name == want && h.Records > 0 && h.Bytes > 0 && len(h.Digest) == 64
		}
		if !found {
			t.Errorf("the inventory lacks %s: %+v", want, list)
		}
	}
}
