// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"context"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func subscribe(t *testing.T, c *client) (frames []string, e *protocol.Error) {
	t.Helper()
	req, err := protocol.ParseRequest([]byte(`{"type":"subscribe_replication","token":"replication secret"}`))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	e = c.g.Subscribe(ctx, c.conn, req, func(frame []byte) error {
		frames = append(frames, string(frame))
		cancel()
		return nil
	})
	return frames, e
}

// A member that lags shows a standby what was acknowledged before, or nothing.
func TestTheFirstSnapshotShowsWhatWasAcknowledged(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	e.internal(fsm.KindMemberHello, fsm.MemberRecord{ID: "m7", LevelMin: 1, LevelMax: fsm.LevelMax})
	if frames, err := subscribe(t, c); err != nil || len(frames) != 1 || !strings.Contains(frames[0], `member_id=m7`) {
		t.Errorf("%v %v", frames, err)
	}
	e.noLeader = true
	if frames, err := subscribe(t, c); err == nil || err.Code != protocol.CodeNoLeader || len(frames) != 0 {
		t.Errorf("%v %v", frames, err)
	}
}

// What could not be told is told again, and nothing twice.
func TestRequestsAreToldUntilTheyAreCounted(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	e.internal(fsm.KindMemberHello, fsm.MemberRecord{ID: "m1", LevelMin: 1, LevelMax: fsm.LevelMax})
	total := uint64(0)
	tell := gateway.TellRequests(c.g, "m1", func() uint64 { return total })
	expect := func(proposals int, counted uint64) {
		t.Helper()
		e.catchUp()
		if len(e.proposals) != proposals || e.Root().TotalRequests() != counted {
			t.Errorf("%d proposals, %d counted; want %d and %d", len(e.proposals), e.Root().TotalRequests(), proposals, counted)
		}
	}
	tell(t.Context())
	expect(0, 0)
	total, e.noLeader = 7, true
	tell(t.Context())
	expect(1, 0)
	e.noLeader = false
	tell(t.Context())
	tell(t.Context())
	expect(2, 7)
	total = 9
	tell(t.Context())
	expect(3, 9)
}
