// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/cluster/service/delivery"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Whoever watches the metrics learns that keys are missing before a token is refused for it.
func TestMetricsTellAboutTheProvidersKeys(t *testing.T) {
	l := newLab(t)
	l.do("set_idp_config", &protocol.SetIDPConfig{IDPType: "oidc", URL: "https://idp.example/keys"})
	l.expectKeys(map[string]float64{"pilot_jwks_failing_seconds": 0})
	l.must(fsm.KindPutJWKS, fsm.PutJWKS{Term: 1, URL: "https://idp.example/keys", Doc: []byte("{}"), Keys: []string{"a", "b"}, LeftOut: []fsm.LeftOut{{Key: "c", Why: "use is enc"}}})
	l.now += 2000
	l.must(fsm.KindPutJWKS, fsm.PutJWKS{Term: 1, URL: "https://idp.example/keys", Failed: "connection refused"})
	l.now += 3000
	l.do("set_identity_webhook", &protocol.SetIdentityWebhook{URL: "https://x/1"})
	l.expectKeys(map[string]float64{"pilot_jwks_failing_seconds": 3.001, "pilot_jwks_keys": 2, "pilot_jwks_keys_left_out": 1, "pilot_jwks_fetch_age_seconds": 5.002})
}

// expectKeys compares the metrics of keys.
func (l *lab) expectKeys(want map[string]float64) {
	l.t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(delivery.Collector(l.m.Root))
	families, err := registry.Gather()
	if err != nil {
		l.t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		got[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
	}
	for _, m := range delivery.Metrics {
		value, is := got[m.Name]
		expected, wanted := want[m.Name]
		if len(m.Name) > 11 && m.Name[:11] == "pilot_jwks_" && (is != wanted || value != expected) {
			l.t.Errorf("%s: %v (told: %v), want %v (%v)", m.Name, value, is, expected, wanted)
		}
	}
}
