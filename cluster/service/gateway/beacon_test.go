// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// The bytes of a signed announcement, sent again by anybody while they count,
// do not bring a beacon back to an address that it has left.
func TestStrangerCannotMoveABeaconBackByAReplay(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	e.catchUp()
	announce := func(addr string) *protocol.Signed {
		e.pass(10)
		e.catchUp()
		return c.seal(id, map[string]any{"type": "beacon_register", "beacon_id": 7, "addr": addr, "node_id": id, "signed_at": 1}, nil)
	}
	first := announce("old.example:1")
	if r := c.send(first); r["type"] != "beacon_register_ok" {
		t.Fatal(r)
	}
	if r := c.send(announce("new.example:1")); r["type"] != "beacon_register_ok" {
		t.Fatal(r)
	}
	for range 2 {
		r := c.send(first)
		if r["code"] != protocol.CodeSignatureExpired {
			t.Errorf("sent again: %v", r)
		}
		e.pass(2 * minute) // silent meanwhile
		e.catchUp()
	}
	if r := c.send(announce("third.example:1")); r["type"] != "beacon_register_ok" {
		t.Fatal(r)
	}
	if got := fmt.Sprint(c.call(map[string]any{"type": "beacon_list"})["beacons"]); !strings.Contains(got, "third.example:1") {
		t.Errorf("beacons %s", got)
	}
}
