// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// A revoked peer does not go on seeing where a node is by asking a member that
// has not heard of the revocation.
func TestARevokedPeerCannotUseALaggingMember(t *testing.T) {
	e := newEngine(t)
	victim := newClient(t, e, gateway.Config{Policy: gateway.Policy{EndpointStaleness: time.Second}})
	peer := victim.stranger()
	v, p := victim.register(), peer.register()
	trust := func(kind string) {
		t.Helper()
		if r := victim.call(map[string]any{"type": kind, "node_id": v, "peer_id": p, "signature": victim.sign(fmt.Sprintf("%s:%d:%d", kind, v, p))}); r["type"] != kind+"_ok" {
			t.Fatal(r)
		}
	}
	trust("report_trust")
	e.catchUp()
	lagging := e.shown
	trust("revoke_trust")
	ask := func(kind, level string) map[string]any {
		e.shown = lagging
		f := map[string]any{"type": kind, "consistency": level, "max_staleness_ms": 3_600_000}
		switch kind {
		case "resolve":
			f["requester_id"], f["node_id"], f["signature"] = p, v, peer.sign(fmt.Sprintf("resolve:%d:%d", p, v))
		case "punch":
			f["requester_id"], f["node_a"], f["node_b"], f["signature"] = p, p, v, peer.sign(fmt.Sprintf("punch:%d:%d", p, v))
		default:
			f["node_id"] = v
		}
		return peer.call(f)
	}
	for _, level := range []string{"stale", "bounded"} {
		for _, kind := range []string{"resolve", "punch"} {
			e.noLeader, e.fresh = false, false
			if r := ask(kind, level); r["code"] != protocol.CodePermissionDenied {
				t.Errorf("%s %s with a quorum: %v", level, kind, r)
			}
			e.noLeader = true
			if r := ask(kind, level); r["code"] != protocol.CodeNoLeader {
				t.Errorf("%s %s without: %v", level, kind, r)
			}
			e.fresh = true
			if r := ask(kind, level); r["type"] != kind+"_ok" {
				t.Errorf("%s %s of a state within the bound: %v", level, kind, r)
			}
		}
	}
	e.noLeader, e.fresh = true, false
	if r := ask("lookup", "stale"); r["type"] != "lookup_ok" {
		t.Errorf("a lookup is not bounded: %v", r)
	}
	if r := ask("lookup", "stale"); r["data_age_ms"] != 90_000.0 {
		t.Errorf("a stale read does not say how old it is: %v", r)
	}
	e.noLeader = false
	if r := ask("lookup", ""); r["data_age_ms"] != nil {
		t.Errorf("a current read has an age: %v", r)
	}
	e.noLeader = true
	peer.g = newClient(t, e, gateway.Config{}).g // without the setting
	if r := ask("resolve", "stale"); r["type"] != "resolve_ok" {
		t.Errorf("no bound is the default: %v", r)
	}
}
