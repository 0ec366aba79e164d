// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/fsm"
)

func TestVerificationsAreCountedByResult(t *testing.T) {
	e := newEngine(t)
	counts := map[string]int{}
	c := newClient(t, e, gateway.Config{Metrics: counting{verified: func(result string) { counts[result]++ }}})
	c.call(map[string]any{"type": "set_idp_config", "idp_type": "oidc", "url": keysURL, "issuer": "https://idp.test", "client_id": "registry", "admin_token": "admin secret"})
	e.internal(fsm.KindPutJWKS, fsm.PutJWKS{Term: 1, URL: keysURL, Doc: idp{1}.keys()})
	for _, token := range []string{idp{1}.token(alice), idp{1}.token(alice), idp{1}.token(alice) + "x"} {
		c.call(map[string]any{"type": "validate_token", "token": token, "admin_token": "admin secret"})
	}
	if got := fmt.Sprint(counts); got != "map[rejected:1 verified:2]" {
		t.Error(got)
	}
}

// Signatures are counted by what they proved; requests without one, and those that are never signed, are not.
func TestSignaturesAreCountedByResult(t *testing.T) {
	e := newEngine(t)
	counts := map[bool]int{}
	c := newClient(t, e, gateway.Config{Metrics: counting{signature: func(valid bool) { counts[valid]++ }}})
	id := c.register()
	e.catchUp()
	for name, x := range map[string]struct {
		request   map[string]any
		ok, fails bool
	}{
		"valid":        {map[string]any{"type": "heartbeat", "node_id": id, "signature": c.sign(fmt.Sprintf("heartbeat:%d", id))}, true, false},
		"of another":   {map[string]any{"type": "heartbeat", "node_id": id, "signature": c.sign("heartbeat:99")}, false, true},
		"missing":      {map[string]any{"type": "heartbeat", "node_id": id}, false, false},
		"never signed": {map[string]any{"type": "lookup", "node_id": id, "signature": c.sign("lookup")}, false, false},
	} {
		clear(counts)
		c.call(x.request)
		if counts[true] > 0 != x.ok || counts[false] > 0 != x.fails {
			t.Errorf("%s: %v", name, counts)
		}
	}
}
