// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// crowd is an enterprise network with n members that have external ids.
func crowd(b *testing.B, n int) (*world, uint16) {
	w := populate(b, n+1)
	net := w.network("crowd", 1, "open", true)
	for i := 2; i <= n+1; i++ {
		id := uint32(i)
		w.apply(envelope(w.call("set_external_id", &protocol.SetExternalID{NodeID: id, ExternalID: fmt.Sprintf("agent-%d@example.org", i)}, admin)))
		if i <= n {
			w.apply(envelope(w.call("join_network", &protocol.JoinNetwork{NodeID: id, NetworkID: net}, as(id))))
		}
	}
	return w, net
}

const crowdSize = 10_000

func BenchmarkCrowdJoinAndKick(b *testing.B) {
	w, net := crowd(b, crowdSize)
	id := uint32(crowdSize + 1)
	b.ResetTimer()
	for range b.N {
		w.apply(envelope(w.call("join_network", &protocol.JoinNetwork{NodeID: id, NetworkID: net}, as(id))))
		w.apply(envelope(w.call("kick_member", &protocol.KickMember{NodeID: 1, NetworkID: net, TargetNodeID: id}, as(1))))
	}
}

// every round gives all members the other role, removes none.
func BenchmarkCrowdSync(b *testing.B) {
	w, net := crowd(b, crowdSize)
	var rounds [2]Envelope
	for i, role := range []string{"admin", "member"} {
		r := &protocol.DirectorySync{NetworkID: net, RemoveUnlisted: true}
		for id := 2; id <= crowdSize; id++ {
			r.Entries = append(r.Entries, protocol.DirectoryEntry{ExternalID: fmt.Sprintf("agent-%d@example.org", id), Role: role, DisplayName: fmt.Sprint("Agent ", id)})
		}
		rounds[i] = envelope(w.call("directory_sync", r, admin))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if r := w.apply(rounds[i%2])[0]; r.Err != nil {
			b.Fatal(r.Err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*crowdSize), "µs/entry")
}

// Nothing changes: what an hourly sync costs.
func BenchmarkCrowdSyncUnchanged(b *testing.B) {
	w, net := crowd(b, crowdSize)
	r := &protocol.DirectorySync{NetworkID: net, RemoveUnlisted: true}
	for id := 2; id <= crowdSize; id++ {
		r.Entries = append(r.Entries, protocol.DirectoryEntry{ExternalID: fmt.Sprintf("agent-%d@example.org", id), Role: "member"})
	}
	env := envelope(w.call("directory_sync", r, admin))
	b.ResetTimer()
	for range b.N {
		w.apply(env)
	}
}

func BenchmarkCrowdDelete(b *testing.B) {
	w, net := crowd(b, crowdSize)
	before := snapshotOf(b, w.m)
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		if err := w.m.Restore(bytes.NewReader(before)); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if r := w.apply(envelope(w.call("delete_network", &protocol.DeleteNetwork{NetworkID: net}, admin)))[0]; r.Err != nil {
			b.Fatal(r.Err)
		}
	}
}

func BenchmarkThousandNetworks(b *testing.B) {
	w := populate(b, 1)
	for i := range 1000 {
		w.apply(envelope(w.call("provision_network", &protocol.ProvisionNetwork{Blueprint: &protocol.Blueprint{Name: fmt.Sprint("net-", i), Enterprise: true,
			Roles: []protocol.BlueprintRole{{ExternalID: "a", Role: "owner"}, {ExternalID: "b", Role: "admin"}}}}, admin)))
	}
	again := envelope(w.call("provision_network", &protocol.ProvisionNetwork{Blueprint: &protocol.Blueprint{Name: "net-500", Enterprise: true}}, admin))
	b.Run("provision", func(b *testing.B) {
		for range b.N {
			w.apply(again)
		}
	})
	b.Run("status", func(b *testing.B) {
		c := w.call("get_provision_status", &protocol.GetProvisionStatus{Details: true}, admin)
		for range b.N {
			if _, e := w.m.Root().Read(c); e != nil {
				b.Fatal(e)
			}
		}
	})
}
