// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	// holdEntries is how long a member that starts takes no entries before its log
	// is confirmed: with them the log might end where it should, and nobody
	// would see that it went back. Its vote it withholds without a limit.
	holdEntries = 5 * time.Second
	// confirmRetry and confirmRetryMax are the pauses between rounds of questions.
	confirmRetry    = 50 * time.Millisecond
	confirmRetryMax = time.Second
)

// markReply is what a member knows of the log of the one that asks.
type markReply struct {
	Mark mark `json:"mark"`
	// Quarantined: this member's word does not count as a confirmation.
	Quarantined bool `json:"quarantined,omitempty"`
}

// confirmation is the question that a member asks at its start: is my log still
// what you know of it? Until a majority, this member included, has no objection,
// the member neither votes nor stands for election.
type confirmation struct {
	*self
	marks *marks
	// since is where this member's log began anew, by its last repair.
	since  uint64
	peers  caller
	roster interface {
		voters() []string
		known() []string
	}
	// end is where the log ends now.
	end func() logEnd
	// old takes this member out of service.
	old func(reason string)

	began time.Time
	// given is set when the log is confirmed.
	given atomic.Bool
	// kick is signalled when a member asks that did not answer before.
	kick chan struct{}

	mu sync.Mutex
	// confirmed are the members without an objection.
	confirmed map[string]bool
}

// electorate is who may confirm a log: the other voters of the configuration, and
// while there is none, the members that this one has heard of.
type electorate struct{ roster *roster }

func (e electorate) voters() (ids []string) {
	for _, s := range e.roster.voters() {
		ids = append(ids, string(s.ID))
	}
	return ids
}

func (e electorate) known() []string { return e.roster.said.known() }

// withheld says whether this member withholds its vote, and takes no entries either.
func (c *confirmation) withheld() (vote, entries bool) {
	if c.given.Load() {
		return false, false
	}
	return true, time.Since(c.began) < holdEntries
}

// seek asks until the log is confirmed or found to be old.
func (c *confirmation) seek(ctx context.Context) {
	for pause := confirmRetry; ctx.Err() == nil; pause = min(2*pause, confirmRetryMax) {
		if c.round(ctx) {
			return
		}
		rest(ctx, c.kick, pause)
	}
}

// round asks everybody who has not confirmed yet, and waits for all of them: the
// one that knows most may not be the first to answer.
func (c *confirmation) round(ctx context.Context) (settled bool) {
	others := c.others()
	objections := make(chan string, len(others))
	var asked sync.WaitGroup
	for _, id := range others {
		if c.has(id) {
			continue
		}
		asked.Go(func() {
			if objection := c.ask(ctx, id); objection != "" {
				objections <- objection
			}
		})
	}
	asked.Wait()
	select {
	case reason := <-objections:
		c.old(reason)
		return true
	default:
	}
	agree := 1
	for _, id := range others {
		if c.has(id) {
			agree++
		}
	}
	if agree < (len(others)+1)/2+1 || ctx.Err() != nil {
		return false
	}
	c.given.Store(true)
	c.log.Info("the log is confirmed: this member votes", "by", agree-1, "of", len(others))
	return true
}

// others are the members to ask.
func (c *confirmation) others() (ids []string) {
	all := c.roster.voters()
	if len(all) == 0 {
		all = c.roster.known()
	}
	for _, id := range all {
		if id != c.id {
			ids = append(ids, id)
		}
	}
	return ids
}

// ask returns a member's objection, empty for none. The mark is compared with the
// end of the log as it is when the answer is there: what was acknowledged in the
// meantime is in it.
func (c *confirmation) ask(ctx context.Context, id string) (objection string) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var reply markReply
	switch err := callJSON(ctx, c.peers, id, rpcMark, struct{}{}, &reply); {
	case unknownRequest(err): // of a version that keeps no marks
		c.add(id)
		return ""
	case err != nil:
		c.log.Debug("a member did not say what it knows of this log", "member", id, "error", err)
		return ""
	}
	known, end := reply.Mark, c.end()
	switch {
	case known.Since > c.since:
		return fmt.Sprintf("its log is from before the repair that member %s knows of", id)
	case known.Since == c.since && known.behind(end):
		return fmt.Sprintf("its log ends at entry %d of term %d, and its term is %d; member %s knows that it had acknowledged entry %d and an entry of term %d, and had been in term %d",
			end.index, end.term, end.seen, id, known.Index, known.Term, known.Seen)
	case !reply.Quarantined:
		c.add(id)
	}
	return ""
}

func (c *confirmation) add(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.confirmed[id] = true
}

func (c *confirmation) has(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.confirmed[id]
}

// handleMark tells a member what this one knows of its log. Who asks has just
// started: this member may have waited for it.
func (c *confirmation) handleMark(from string, quarantined bool) ([]byte, *protocol.Error) {
	if !c.given.Load() && !c.has(from) {
		select {
		case c.kick <- struct{}{}:
		default:
		}
	}
	return encodeJSON(markReply{Mark: c.marks.of(from), Quarantined: quarantined})
}

// endOf reads where the log ends from raft's statistics: raft tells the term of
// its last entry nowhere else.
func endOf(stats map[string]string) logEnd {
	number := func(name string) uint64 {
		n, _ := strconv.ParseUint(stats[name], 10, 64)
		return n
	}
	end := logEnd{number("last_log_index"), number("last_log_term"), number("term")}
	if at := number("last_snapshot_index"); at > end.index {
		end.index, end.term = at, number("last_snapshot_term")
	}
	return end
}
