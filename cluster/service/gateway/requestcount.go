// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"

	"github.com/pilotregistry/pilotregistry/fsm"
)

// CountEvery is how often a member adds the requests that it has answered to
// the state, when there were any.
const CountEvery = 10 * time.Second

// CountRequests adds what this member has answered to the state, until ctx ends.
func (g *Gateway) CountRequests(ctx context.Context, member string, total func() uint64) {
	c := requestCount{engine: g.engine, log: g.log, member: member, boot: uuid.NewString(), total: total}
	t := time.NewTicker(CountEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			c.tell(ctx)
		}
	}
}

type requestCount struct {
	engine       Engine
	log          hclog.Logger
	member, boot string
	total        func() uint64
	told         uint64
}

// tell proposes the count if it has grown. One whose fate is unknown is told
// again: the state knows how much of it is new.
func (c *requestCount) tell(ctx context.Context) {
	total := c.total()
	if total == c.told {
		return
	}
	body, err := json.Marshal(fsm.CountRequests{Member: c.member, Boot: c.boot, Total: total})
	if err != nil { // texts and numbers always encode
		panic(err)
	}
	ctx, cancel := context.WithTimeout(ctx, CountEvery)
	defer cancel()
	res, e := c.engine.Propose(ctx, fsm.Envelope{Code: fsm.KindCountRequests, Body: body})
	if e == nil {
		e = res.Err
	}
	if e == nil {
		c.told = total
		return
	}
	c.log.Debug("the number of requests was not added", "code", e.Code, "error", e.Text)
}
