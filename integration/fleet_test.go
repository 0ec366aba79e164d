// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// fleetDaemon does what a daemon does, on one plain connection.
type fleetDaemon struct {
	harness.Agent
	wire *harness.Wire
	addr string
}

// reach connects to a member that serves.
func (d *fleetDaemon) reach(addrs []string) error {
	for end := time.Now().Add(time.Minute); ; {
		for i := range addrs {
			addr := addrs[(int(d.ID)+i)%len(addrs)]
			if addr == d.addr {
				continue // the one that is gone
			}
			if w, err := harness.Dial(addr); err == nil {
				d.wire, d.addr = w, addr
				return nil
			}
		}
		if time.Now().After(end) {
			return fmt.Errorf("no member of %v can be reached", addrs)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// comeBack registers and tells what a daemon tells after it has lost its
// connection, and what it asks in the minute after.
func (d *fleetDaemon) comeBack() error {
	register, err := d.ask(map[string]any{"type": "register", "listen_addr": "0.0.0.0:4000", "public_key": d.PublicKey(),
		"signature": d.Sign("register:0.0.0.0:4000:" + d.PublicKey())})
	if err != nil {
		return err
	}
	d.ID = uint32(register["node_id"].(float64))
	id := d.ID
	sign := func(format string, args ...any) string { return d.Sign(fmt.Sprintf(format, args...)) }
	for _, request := range []map[string]any{
		{"type": "set_visibility", "node_id": id, "public": true, "signature": sign("set_visibility:%d", id)},
		{"type": "set_hostname", "node_id": id, "hostname": fmt.Sprintf("fleet-%d", id), "signature": sign("set_hostname:%d", id)},
		{"type": "heartbeat", "node_id": id, "signature": sign("heartbeat:%d", id)},
		{"type": "resolve", "node_id": id, "requester_id": id, "signature": sign("resolve:%d:%d", id, id)},
		{"type": "lookup", "node_id": id},
		{"type": "poll_handshakes", "node_id": id, "signature": sign("poll_handshakes:%d", id)},
		{"type": "beacon_list"},
		{"type": "list_networks"},
	} {
		if _, err := d.ask(request); err != nil {
			return err
		}
	}
	return nil
}

// ask insists on an answer while the cluster has no leader, as daemons do.
func (d *fleetDaemon) ask(request map[string]any) (map[string]any, error) {
	for end := time.Now().Add(time.Minute); ; {
		reply, err := d.wire.Call(request)
		if err != nil {
			return nil, err
		}
		switch {
		case reply["code"] == nil:
			return reply, nil
		case reply["code"] == protocol.CodeRateLimited, reply["outcome"] == nil, time.Now().After(end):
			return nil, fmt.Errorf("%s: %v", request["type"], reply)
		}
	}
}

// A hundred daemons behind one address come back at once after the leader has
// died, with the limits as they are shipped: none is turned away.
func TestHundredDaemonsBehindOneAddressComeBackAfterAFailOver(t *testing.T) {
	c := harness.Start(t, harness.Options{RateLimits: true, NeverRestart: true})
	ready, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	fleet := make([]fleetDaemon, 100)
	all := func(what string, do func(*fleetDaemon) error) {
		t.Helper()
		var wg sync.WaitGroup
		for i := range fleet {
			wg.Go(func() {
				if err := do(&fleet[i]); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			t.FailNow()
		}
	}
	all("first start", func(d *fleetDaemon) (err error) {
		if d.Agent, err = harness.NewAgent(); err != nil {
			return err
		}
		leader, _ := ready.LeaderNode()
		if d.wire, err = harness.Dial(leader.Wire); err != nil {
			return err
		}
		d.addr = leader.Wire
		return d.comeBack()
	})
	leader, _ := ready.LeaderNode()
	if err := syscall.Kill(leader.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	all("after the leader died", func(d *fleetDaemon) error {
		d.wire.Close()
		if err := d.reach(c.Addrs()); err != nil {
			return err
		}
		return d.comeBack()
	})
	for i := range fleet {
		fleet[i].wire.Close()
	}
}
