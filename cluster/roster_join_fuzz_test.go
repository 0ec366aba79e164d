// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// FuzzJoinRequest sends a cluster arbitrary requests to join without its token:
// none is let in, none changes anything, and little of each is logged.
func FuzzJoinRequest(f *testing.F) {
	log := &lines{}
	c := newCluster(f, 1, func(_ int, cfg *Config) { cfg.Logger = hclog.New(&hclog.LoggerOptions{Output: log}) })
	n := c.leader()
	token, err := peer.ParseToken(c.token(false, 0))
	if err != nil {
		f.Fatal(err)
	}
	_, csr, err := peer.NewMemberKey()
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range []joinRequest{
		{},
		{MemberID: "9b2a51f2-3c1e-4d5a-9a53-3a6f7e9f1d11", CSR: csr, Name: token.Name, Secret: "guess", Peer: "127.0.0.1:1", Version: "x", LevelMin: 1, LevelMax: 9},
		{MemberID: n.ID(), CSR: csr[:9], Name: "other", Forwarded: true},
	} {
		b, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"member_id":null,"csr":"!","level_min":-1}`))
	var source atomic.Uint32
	members := len(n.Root().Members())
	f.Fuzz(func(t *testing.T, payload []byte) {
		at := source.Add(1) // a source is refused after many guesses
		reply, e := n.roster.handleJoiner(t.Context(), fmt.Sprintf("10.%d.%d.%d:1", byte(at>>16), byte(at>>8), byte(at)), payload)
		if e == nil || reply != nil {
			t.Fatalf("%q is let in", payload)
		}
		if e.Code == protocol.CodeInternal || len(n.Root().Members()) != members {
			t.Errorf("%q: %v; %d members", payload, e, len(n.Root().Members()))
		}
		if longest := log.longest(); longest > 1<<10 {
			t.Errorf("%q logs %d bytes", payload, longest)
		}
	})
}
