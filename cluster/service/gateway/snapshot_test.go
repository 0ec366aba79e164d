// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// backup asks for a backup and puts its frames together.
func (c *client) backup(request string, send func([]byte) error) (state []byte, end protocol.SnapshotEnd, e *protocol.Error) {
	c.t.Helper()
	req, err := protocol.ParseRequest([]byte(request))
	if err != nil {
		c.t.Fatal(err)
	}
	e = c.g.Subscribe(c.t.Context(), c.conn, req, func(frame []byte) error {
		if send != nil {
			if err := send(frame); err != nil {
				return err
			}
		}
		var chunk protocol.SnapshotChunk
		if err := json.Unmarshal(frame, &chunk); err != nil {
			c.t.Fatal(err)
		}
		state = append(state, chunk.Data...)
		if chunk.Type == protocol.TypeSnapshotEnd {
			return json.Unmarshal(frame, &end)
		}
		return nil
	})
	return state, end, e
}

func TestABackupIsTheState(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	state, end, refused := c.backup(`{"type":"cluster_snapshot","admin_token":"admin secret"}`, nil)
	if refused != nil || end.Bytes != int64(len(state)) {
		t.Fatalf("%d bytes, the end says %d; %v", len(state), end.Bytes, refused)
	}
	m := fsm.New()
	if err := m.Restore(bytes.NewReader(state)); err != nil || m.Root().Digest() != e.Root().Digest() {
		t.Errorf("the backup restores to another state (%v)", err)
	}
}

// Nobody gets a backup without the token, from a member that must not answer,
// or beside two others.
func TestABackupIsRefused(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	right := `{"type":"cluster_snapshot","admin_token":"admin secret"}`
	refused := func(name, request, want string) {
		t.Helper()
		state, _, err := c.backup(request, nil)
		if err == nil || err.Code != want || len(state) > 0 {
			t.Errorf("%s: %d bytes, %v; want %s", name, len(state), err, want)
		}
	}
	refused("no token", `{"type":"cluster_snapshot"}`, protocol.CodeAdminToken)
	refused("a wrong one", `{"type":"cluster_snapshot","admin_token":"guess"}`, protocol.CodeAdminToken)
	refused("a flag that is none", `{"type":"cluster_snapshot","stale":7,"admin_token":"admin secret"}`, protocol.CodeInvalid)
	e.quarantine = "its state differs"
	refused("quarantined", right, protocol.CodeQuarantined)
	if state, _, err := c.backup(`{"type":"cluster_snapshot","stale":true,"admin_token":"admin secret"}`, nil); err != nil || len(state) == 0 {
		t.Errorf("stale from a quarantined member: %v", err)
	}
	e.quarantine = ""
	_, _, err := c.backup(right, func([]byte) error {
		_, _, inner := c.backup(right, func([]byte) error {
			refused("beside two others", right, protocol.CodeOverloaded)
			return errors.New("gone")
		})
		if inner != nil {
			t.Error(inner)
		}
		return errors.New("gone")
	})
	if err != nil {
		t.Error(err)
	}
	if _, end, err := c.backup(right, nil); err != nil || end.Bytes == 0 {
		t.Errorf("after those that went away: %v", err)
	}
}
