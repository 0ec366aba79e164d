// SPDX-License-Identifier: Apache-2.0

package console

import (
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Settings say where they come from, features whether they are on, and tokens
// their names and nothing by which they could be recognised.
func TestSettingsPage(t *testing.T) {
	s := newSite(t)
	cookie := s.login()
	s.status.FeatureLevel = protocol.LevelFirst
	s.c.cfg.Settings = []Setting{{"rate_limits.query", "222", "environment PILOT_REGISTRY_RATE_LIMITS_QUERY", "lookups per minute"}, {"log.level", "info", "", "how much is logged"}}
	s.replies["list_settings"] = &protocol.ListSettingsReply{Settings: []protocol.SettingValue{{Name: "trust.mode", Value: "mutual", Values: []string{"compatible", "mutual"}}, {Name: "privacy.external_id", Value: "open", Values: []string{"open", "admin"}}}}
	s.tokens = []fsm.TokenRecord{{Kind: fsm.TokenAdmin, Name: "initial", Generation: 3}, {Kind: fsm.TokenReplication, Name: "follower"}}
	body := s.get("/settings", cookie).Body.String()
	for _, want := range []string{"<td>environment PILOT_REGISTRY_RATE_LIMITS_QUERY</td>", `<summary>1 settings at their default</summary>`, "<code>log.level</code></td><td><code>info</code></td>", "with 1 settings", "<code>mutual</code></td><td>an administrator</td>", "<code>open</code></td><td><span class=\"dim\">default</span></td>",
		"from level 2 on", `<span class="ok dot">on</span>`, "This member knows level", "<code>initial</code></a></td><td>administration</td>", "<td>following the state</td>"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	s.now = s.now.Add(statusAge * 2)
	s.status.FeatureLevel = protocol.Features[len(protocol.Features)-1].Level
	if body := s.get("/settings", cookie).Body.String(); strings.Contains(body, "from level") || !strings.Contains(body, "all its features are on") {
		t.Error(body)
	}
}
