// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"sync/atomic"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// While memory is short, strangers are refused before anything is done for
// them, and whoever may prove itself is served.
func TestStrangersAreRefusedFirstWhenMemoryIsShort(t *testing.T) {
	t.Parallel()
	var short atomic.Bool
	known := func(key string) bool { return key == someKey }
	_, addr := start(t, server.Config{Short: short.Load, Backend: &backend{known: known}})
	p := dial(t, addr)
	for name, c := range map[string]struct {
		request string
		refused bool
	}{
		"a stranger's read":       {`{"type":"lookup","node_id":1}`, true},
		"a stranger's write":      {`{"type":"beacon_register","beacon_id":1,"addr":"203.0.113.1:9"}`, true},
		"a new key":               {`{"type":"register","public_key":"AAAA"}`, true},
		"a known node comes back": {`{"type":"register","public_key":"` + someKey + `"}`, false},
		"a signature":             {`{"type":"heartbeat","node_id":1,"signature":"AAAA"}`, false},
		"the admin token":         {`{"type":"list_nodes","network_id":0,"admin_token":"x"}`, false},
		"status":                  {`{"type":"cluster_status"}`, false},
	} {
		for _, now := range []bool{true, false} {
			short.Store(now)
			reply := p.ask(c.request)
			if refused := reply.Code == protocol.CodeOverloaded; refused != (c.refused && now) {
				t.Errorf("%s, memory short %t: %+v", name, now, reply)
			}
		}
	}
}
