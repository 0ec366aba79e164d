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
