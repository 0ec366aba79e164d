// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// clockGuard is the duty that keeps log time with the voters' clocks.
type clockGuard struct {
	term *term
	// skewedRounds counts the comparisons in a row that found this leader's clock wrong.
	skewedRounds int
}

// look keeps log time with the median of the voters' clocks, and gives
// leadership away when this member's own clock is wrong: entries of this term
// carry the median and are right; the next leader's clock should be too.
func (g *clockGuard) look(ctx context.Context, d DutyEnv) {
	clocks, err := g.term.reads.askVoters(ctx, d.Term(), clockLinger)
	if err != nil {
		return
	}
	m := median(clocks, g.term.clock.now().UnixMilli())
	if g.term.clock.steer(m) {
		g.renewTime(ctx, d, m)
	}
	g.term.clock.compare(m)
	// With two voters nobody can say which of the two clocks is wrong.
	if !g.term.clock.skewed() || len(g.term.roster.voters()) < 3 {
		g.skewedRounds = 0
		return
	}
	// All clocks may have been set in the middle of a round.
	if g.skewedRounds++; g.skewedRounds < 3 {
		return
	}
	d.Logger().Error("this member's clock is wrong, giving leadership away", "offset", g.term.clock.offset().String())
	if err := g.term.raft.LeadershipTransfer().Error(); err != nil {
		d.Logger().Warn("leadership was not handed over", "error", err)
	}
}

// renewTime starts log time over at the median, as a new leader would:
// the machines were asleep, or all their clocks have been set. A second
// term_start gives everybody the same grace as after a change of leadership.
func (g *clockGuard) renewTime(ctx context.Context, d DutyEnv, median time.Time) {
	d.Logger().Warn("log time was far behind the members' clocks and restarts from them", "behind", (-g.term.clock.ahead()).String())
	g.term.clock.set(median, g.term.clock.now().UnixMilli())
	proposeDuty(ctx, d, fsm.KindTermStart, fsm.TermStart{Term: d.Term(), LeaderID: g.term.id, Version: g.term.cfg.Version})
}

// logTimeOffset is how far log time is ahead of the median of the voters'
// clocks, as this member knows it while it leads.
func (t *term) logTimeOffset() time.Duration {
	if t.raft.State() != raft.Leader || t.readyTerm.Load() == 0 {
		return 0
	}
	return t.clock.ahead()
}

// logTimeOffset is what the leader among the members says; nil when none answered.
func logTimeOffset(members []protocol.ClusterMember) *int64 {
	for _, m := range members {
		if m.LogTimeOffsetMS != nil {
			return m.LogTimeOffsetMS
		}
	}
	return nil
}

// logTimeProblem says what is wrong with log time and how long it takes to
// mend itself; "" when it is right.
func logTimeProblem(ahead time.Duration) string {
	const window = protocol.SignedWindowMS * time.Millisecond
	switch {
	case ahead > maxSkew:
		text := fmt.Sprintf("log time is %s ahead of the members' clocks: it runs at a tenth of its speed and is right again in %s",
			ahead.Round(time.Second), (time.Duration(float64(ahead) / slewSlower)).Round(time.Second))
		if ahead > window {
			text += fmt.Sprintf("; until it is less than %d minutes ahead, signed requests are refused", protocol.SignedWindowMS/60_000)
		}
		return text
	case ahead < -maxBehind:
		return fmt.Sprintf("log time is %s behind the members' clocks: it restarts from them within a minute", (-ahead).Round(time.Second))
	case ahead < -maxSkew:
		return fmt.Sprintf("log time is %s behind the members' clocks: it runs at twice its speed and is right again in %s", (-ahead).Round(time.Second),
			(time.Duration(float64(-ahead) / slewFaster)).Round(time.Second))
	}
	return ""
}
