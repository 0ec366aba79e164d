// SPDX-License-Identifier: Apache-2.0

package gateway

import "context"

// NoteNow notes what was refused without waiting for the interval.
func NoteNow(g *Gateway, ctx context.Context) { g.refusals.propose(ctx) }

// TellRequests returns what a member does every ten seconds.
func TellRequests(g *Gateway, member string, total func() uint64) func(context.Context) {
	c := requestCount{engine: g.engine, log: g.log, member: member, boot: "boot", total: total}
	return c.tell
}
