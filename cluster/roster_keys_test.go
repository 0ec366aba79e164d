// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// rotated checks that all members hold the same keys and what is in force.
func (c *cluster) rotated(version uint32) {
	c.t.Helper()
	c.agree(c.members...)
	var want []uint32
	for v := uint32(1); v <= version; v++ {
		want = append(want, v)
	}
	mac, err := c.members[0].ring.MAC(version, PurposeAdmin, "x")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, m := range c.members {
		root := m.Root()
		rec, _ := m.roster.record(m.id)
		if root.ActiveKey() != version || !slices.Equal(m.ring.Versions(), want) || !slices.Equal(rec.Keys, want) {
			c.t.Errorf("member %s: version %d in force, holds %v, recorded %v; want %d", m.id, root.ActiveKey(), m.ring.Versions(), rec.Keys, version)
		}
		if !m.ring.Verify(mac, PurposeAdmin, "x") {
			c.t.Errorf("member %s holds another version %d", m.id, version)
		}
		if tokens := root.Tokens(fsm.TokenAdmin); len(tokens) != 1 || !m.ring.Verify(tokens[0].MAC, PurposeAdmin, "admin-secret") {
			c.t.Errorf("member %s does not know the admin token any more", m.id)
		}
		if sealed, _, _ := root.Sealed(sealedCA); sealed.Key != version {
			c.t.Errorf("the key of the CA is encrypted with version %d", sealed.Key)
		}
		for _, s := range root.Sinks() {
			if plain, err := m.ring.Unseal(s.Secret, protocol.SinkSecretName(s.Name)); s.Name == "siem" && (s.Secret.Key != version || err != nil || string(plain) != "hec-token") {
				c.t.Errorf("the secret of a sink is encrypted with version %d: %v", s.Secret.Key, err)
			}
		}
	}
}

// sink configures a sink with a secret.
func (c *cluster) sink(m *member, name, secret string) {
	c.t.Helper()
	c.eventually("the feature level allows sinks", func() bool { return m.Root().Level() >= fsm.LevelMin && c.leader().Root().Level() >= fsm.LevelMin })
	sealed, err := m.ring.Seal(m.Root().ActiveKey(), protocol.SinkSecretName(name), []byte(secret))
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := json.Marshal(&protocol.AuditSinkPut{Name: name, Kind: protocol.SinkExport, Format: protocol.FormatJSON, Endpoint: "https://siem", SecretFacts: protocol.SecretFacts{SecretSealed: sealed}})
	if err != nil {
		c.t.Fatal(err)
	}
	token := m.Root().Tokens(fsm.TokenAdmin)[0]
	r, e := m.Propose(c.t.Context(), fsm.Envelope{Code: protocol.Must("audit_sink_put").Code, Body: body, Actor: fsm.Actor{Token: token.Name, TokenGen: token.Generation}})
	if e != nil || r.Err != nil {
		c.t.Fatal(e, r.Err)
	}
}

// A rotation through any member reaches all of them; tokens of before stay
// valid, new ones are made with the new key, and members come and restart.
func TestKeysAreRotated(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	follower := c.others(c.leader())[0]
	c.sink(follower, "siem", "hec-token")
	for want := uint32(2); want <= 3; want++ {
		ctx := AskedBy(t.Context(), fsm.Actor{Token: "ops"}, "192.0.2.9:1")
		if version, e := follower.RotateKeys(ctx); e != nil || version != want {
			t.Fatalf("version %d, %v", version, e)
		}
		c.rotated(want)
		if got := lastEvent(c.leader(), protocol.EventKeyringRotated); got != fmt.Sprintf("token:ops 192.0.2.9:1 from=%d to=%d asked_at=%s", want-1, want, follower.id) {
			t.Errorf("the audit log has %q", got)
		}
	}
	c.ready(c.join(3, false)) // a token of the new key, a certificate by the CA key under it
	c.rotated(3)
	c.ready(c.restart(c.members[1]))
	c.rotated(3)
}

// A member that is away keeps the new key out of force, and is named. Later the
// same rotation is finished, also by another leader, which has a key of its own
// for the version by then.
func TestARotationThatStoppedHalfWayIsFinished(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	away := c.others(leader)[0]
	away.kill()
	_, e := leader.RotateKeys(t.Context())
	if e == nil || e.Code != protocol.CodeConflict || !strings.Contains(e.Text, away.id) {
		t.Fatalf("with a member away: %v", e)
	}
	if v := leader.Root().ActiveKey(); v != 1 {
		t.Errorf("version %d is in force, and a member does not hold it", v)
	}
	away = c.restart(away)
	c.ready(away)
	if _, err := away.ring.Add(); err != nil { // as if it had led and stopped half way, too
		t.Fatal(err)
	}
	if e := leader.TransferLeadership(t.Context(), away.id); e != nil {
		t.Fatal(e)
	}
	c.eventually("leadership is handed over", away.IsLeader)
	if version, e := leader.RotateKeys(t.Context()); e != nil || version != 2 {
		t.Fatalf("version %d, %v", version, e)
	}
	c.rotated(2)
}

// lastEvent is the newest event of an action as a member has it: actor, source
// and attributes.
func lastEvent(m *member, action string) string {
	events := m.Root().Events(protocol.Events[action], 0, 1<<30)
	for i := len(events) - 1; i >= 0; i-- {
		if e := &events[i]; e.Action == action {
			out := e.Actor + " " + e.Source
			for _, a := range e.Attrs {
				out += " " + a.Key + "=" + a.Value
			}
			return out
		}
	}
	return ""
}
