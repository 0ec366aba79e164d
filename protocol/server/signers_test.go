// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// Nodes that sign count by themselves, so that a fleet behind one address
// translator lives; one that asks too much is refused as ever.
func TestFleetBehindOneAddressIsNotRefused(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]struct {
		format string
		own    int
	}{
		"registration": {`{"type":"register","listen_addr":"a:1","public_key":"%04dAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","signature":"c2ln"}`, 10},
		"resolve":      {`{"type":"resolve","node_id":1,"requester_id":%d,"signature":"c2ln"}`, 100},
		"heartbeat":    {`{"type":"heartbeat","node_id":%d,"signature":"c2ln"}`, 50},
		"signed requests": {`{"type":"signed_request","payload":"{\"type\":\"heartbeat\",\"node_id\":%[1]d}","node_id":%[1]d,"ts":1,` +
			`"nonce":"00000000000000000000000000000000","signature":"c2ln"}`, 50},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, addr := start(t, server.Config{Now: newClock().Now})
			p := dial(t, addr)
			ask := func(node int) string { return p.ask(fmt.Sprintf(form.format, node)).Code }
			for node := range 100 {
				if code := ask(node + 1); code != "" {
					t.Fatalf("node %d of 100 behind one address: %s", node+1, code)
				}
			}
			for i := range form.own - 1 {
				if code := ask(100); code != "" {
					t.Fatalf("request %d of one node: %s", i+2, code)
				}
			}
			if code := ask(100); code != protocol.CodeRateLimited {
				t.Errorf("one node was heard %d times: %q", form.own+1, code)
			}
			if code := ask(101); code != "" {
				t.Errorf("a node beside one that is refused: %s", code)
			}
		})
	}
}

// Naming another signer each time gives one source 20 signers' worth and no more.
func TestSignersOfOneSourceShareACeiling(t *testing.T) {
	t.Parallel()
	pipes := newPipes()
	startOn(t, server.Config{Now: newClock().Now, Rates: server.Rates{Heartbeat: 3}}, pipes)
	passed := func(p *peer) (n int) {
		for node := range 100 {
			if p.ask(fmt.Sprintf(`{"type":"heartbeat","node_id":%d,"signature":"c2ln"}`, node+1)).Code == "" {
				n++
			}
		}
		return n
	}
	p := pipes.dial(t, "192.0.2.1:1")
	if n := passed(p); n != 3*20 {
		t.Errorf("%d heartbeats of 100 signers at one address passed, want %d", n, 3*20)
	}
	if code := p.ask(`{"type":"heartbeat","node_id":1}`).Code; code != "" {
		t.Errorf("unsigned requests have their own allowance: %s", code)
	}
	if n := passed(pipes.dial(t, "192.0.2.2:1")); n != 3*20 {
		t.Errorf("%d heartbeats at another address passed, want %d", n, 3*20)
	}
}

// More signers than there are places share allowances; nobody's is renewed by it.
func TestRefusedSignerStaysRefused(t *testing.T) {
	t.Parallel()
	pipes := newPipes()
	startOn(t, server.Config{Now: newClock().Now, Rates: server.Rates{Heartbeat: 5, MaxSources: 64}}, pipes)
	beat := func(source string, node int) string {
		p := pipes.dial(t, source)
		defer p.nc.Close()
		return p.ask(fmt.Sprintf(`{"type":"heartbeat","node_id":%d,"signature":"c2ln"}`, node)).Code
	}
	for range 5 {
		beat("192.0.2.1:1", 1)
	}
	for i := range 128 {
		beat(fmt.Sprintf("10.0.0.%d:1", i%32), i+2)
	}
	if beat("192.0.2.1:2", 1) != protocol.CodeRateLimited {
		t.Error("a signer has a full bucket again after others came")
	}
}
