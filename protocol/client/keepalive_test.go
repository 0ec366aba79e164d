// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// registryOf answers register with node 7 and everything else with what
// answer says, nil for ok.
func registryOf(answer func(req request) string) func(int, request) string {
	return func(n int, req request) string {
		if answer != nil {
			if reply := answer(req); reply != "" {
				return reply
			}
		}
		switch req.text("type") {
		case "register":
			return fmt.Sprintf(`{"type":"register_ok","node_id":7,"address":"0:0000.0000.0007","hostname":"alpha","public_key":%q}`, req.text("public_key"))
		case "get_key_info":
			return `{"type":"get_key_info_ok","node_id":7,"created_at":"2026-01-01T00:00:00Z","expires_at":"2027-01-31T10:00:00Z"}`
		}
		return ok(n, req)
	}
}

func typesOf(c *cluster) (out []string) {
	for _, s := range c.requests() {
		out = append(out, s.req.text("type"))
	}
	return out
}

// A node is registered, heard of in intervals, registered again when the
// registry has lost it, and waits while no member answers.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said, lost, warned := []string{}, false, false
		m := &member{addr: "a:1"}
		m.answer = registryOf(func(req request) string {
			if req.text("type") != "heartbeat" {
				return ""
			}
			switch {
			case lost:
				lost = false
				return failing(protocol.CodeNotFound, protocol.OutcomeRejected)
			case warned:
				return `{"type":"heartbeat_ok","time":1,"key_expiry_warning":true}`
			}
			return `{"type":"heartbeat_ok","time":1}`
		})
		c := newCluster(m)
		file := filepath.Join(t.TempDir(), "node.json")
		cl := c.client(t, client.Options{IdentityFile: file, RetryFor: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- cl.KeepAlive(ctx, protocol.Register{Hostname: "alpha"}, client.KeepAliveOptions{
				Interval:     10 * time.Second,
				OnRegistered: func(r *protocol.RegisterReply) { said = append(said, fmt.Sprint("registered ", r.NodeID)) },
				OnOffline:    func(error) { said = append(said, "offline") },
				OnOnline:     func() { said = append(said, "online") },
				OnKeyExpiry:  func(at time.Time) { said = append(said, "expires "+at.Format(time.DateOnly)) },
			})
		}()
		time.Sleep(35 * time.Second)
		synctest.Wait()
		if got := typesOf(c); len(got) < 4 || got[0] != "register" || slices.Contains(got[1:], "register") || cl.NodeID() != 7 {
			t.Errorf("node %d, %v", cl.NodeID(), got)
		}
		if id, err := client.LoadIdentity(file); err != nil || id.NodeID() != 7 {
			t.Errorf("the file does not know the node: %v, %v", id, err)
		}
		c.set("a:1", func(*member) { lost = true })
		time.Sleep(12 * time.Second)
		synctest.Wait()
		c.set("a:1", func(m *member) { m.down = true })
		cl.DropConns()
		time.Sleep(time.Minute)
		synctest.Wait()
		c.set("a:1", func(m *member) { m.down, warned = false, true })
		time.Sleep(time.Minute)
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		want := []string{"registered 7", "registered 7", "offline", "expires 2027-01-31", "online"}
		if !slices.Equal(said, want) {
			t.Errorf("said %q, want %q", said, want)
		}
	})
}

// What waiting does not help ends it.
func TestKeepAliveEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := failing(protocol.CodeSignatureInvalid, protocol.OutcomeRejected)
		c := newCluster(&member{addr: "a:1", answer: registryOf(func(req request) string {
			if req.text("type") == "heartbeat" {
				return refused
			}
			return ""
		})})
		cl := c.client(t, client.Options{Identity: identity(t)})
		err := cl.KeepAlive(t.Context(), protocol.Register{}, client.KeepAliveOptions{})
		wantError(t, err, protocol.CodeSignatureInvalid, protocol.OutcomeRejected)
		err = c.client(t, client.Options{}).KeepAlive(t.Context(), protocol.Register{}, client.KeepAliveOptions{})
		wantError(t, err, client.CodeNoSigner, protocol.OutcomeRejected)
	})
}

// The first run makes the identity file, later ones read it, and a file that
// holds no identity is not replaced.
func TestIdentityFileOfAClient(t *testing.T) {
	file := filepath.Join(t.TempDir(), "deep", "node.json")
	for range 2 {
		cl, err := client.New([]string{"a:1"}, client.WithIdentityFile(file))
		if err != nil {
			t.Fatal(err)
		}
		cl.Close()
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := client.New([]string{"a:1"}, client.WithIdentityFile(file)); !errors.Is(err, client.ErrIdentityFile) {
		t.Errorf("a damaged file: %v", err)
	}
	if raw, err := os.ReadFile(file); err != nil || string(raw) != "{}" {
		t.Errorf("the damaged file was replaced: %s, %v", raw, err)
	}
	if _, err := client.New([]string{"a:1"}, client.WithIdentityFile(file), client.WithIdentity(identity(t))); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("two identities: %v", err)
	}
}
