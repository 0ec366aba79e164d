// SPDX-License-Identifier: Apache-2.0

// Package guess slows down whoever tries tokens. It counts the wrong ones of
// each source: the first in a minute cost nothing, then each look at a token
// takes longer, then none is looked at for a while. The right token still
// works from anywhere else.
//
// It remembers sources in bounded memory, see package share, and only in this
// process: each member counts what it was asked.
package guess

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// Kind is what a token opens.
type Kind string

// Kinds of tokens.
const (
	Admin       Kind = "admin"
	Network     Kind = "network"
	Replication Kind = "replication"
	Join        Kind = "join"
)

const (
	// PerMinute wrong tokens of one source cost it nothing.
	PerMinute = 20
	// slowed more are looked at with growing delay: firstDelay, doubled each
	// time, at most maxDelay, in which less than one is forgiven. After these no
	// token is looked at.
	slowed     = 10
	firstDelay = 100 * time.Millisecond
	maxDelay   = 2 * time.Second
	// maxSources bounds the sources that are remembered.
	maxSources = 1 << 14
)

// Config is what a Guard needs; a zero field means its default.
type Config struct {
	// Now is the clock, default time.Now.
	Now func() time.Time
	// Exempt are the addresses that are not slowed down.
	Exempt share.Ranges
	// OnWrong and OnRefused count wrong tokens and tokens that were not looked at.
	OnWrong, OnRefused func(Kind)
}

// Guard counts wrong tokens by source.
type Guard struct {
	cfg Config

	mu      sync.Mutex
	sources *share.Table[share.Source, tally]
	notes   *share.Notes
}

// tally is the number of wrong tokens that still count; it shrinks by
// PerMinute a minute.
type tally struct {
	wrong float64
	at    time.Time
}

func (t *tally) now(now time.Time) float64 {
	return max(t.wrong-now.Sub(t.at).Minutes()*PerMinute, 0)
}

// New makes a Guard.
func New(cfg Config) *Guard {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Guard{cfg: cfg, sources: share.NewTable[share.Source, tally](maxSources), notes: share.NewNotes()}
}

// Admit says whether a token from a source, "host:port", is looked at now. It
// waits when the source has brought many wrong ones.
func (g *Guard) Admit(ctx context.Context, source string, kind Kind) *protocol.Error {
	delay, refused := g.verdict(source, kind)
	if refused != nil || delay == 0 {
		return refused
	}
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return g.refuse(share.OfText(source), kind, delay)
	}
}

func (g *Guard) verdict(source string, kind Kind) (time.Duration, *protocol.Error) {
	if g.cfg.Exempt.HasText(source) {
		return 0, nil
	}
	s, excess := share.OfText(source), -float64(PerMinute)
	g.mu.Lock()
	now := g.cfg.Now()
	for _, slot := range g.slots(s, now) {
		if slot.Value != nil {
			excess = max(excess, slot.Value.now(now)/float64(slot.Worth)-PerMinute)
		}
	}
	g.mu.Unlock()
	switch {
	case excess < 0:
		return 0, nil
	case excess < slowed:
		return min(firstDelay<<int(excess), maxDelay), nil
	}
	wait := time.Duration(math.Ceil((excess-slowed)*60/PerMinute)+1) * time.Second
	return 0, g.refuse(s, kind, wait)
}

func (g *Guard) refuse(s share.Source, kind Kind, wait time.Duration) *protocol.Error {
	if g.cfg.OnRefused != nil {
		g.cfg.OnRefused(kind)
	}
	g.note(string(kind)+" token_not_looked_at", s)
	return protocol.NotAppliedf(protocol.CodeRateLimited,
		"too many wrong tokens from %s: no token from there is looked at for %s; the right one works from elsewhere", s, wait)
}

// Wrong counts a token of a source that was looked at and is not valid.
func (g *Guard) Wrong(source string, kind Kind) {
	if g.cfg.OnWrong != nil {
		g.cfg.OnWrong(kind)
	}
	s := share.OfText(source)
	if kind != Admin { // wrong admin tokens are noted with the command they came with
		g.note(string(kind)+" token_invalid", s)
	}
	if g.cfg.Exempt.HasText(source) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.cfg.Now()
	for _, slot := range g.slots(s, now) {
		if slot.Value != nil {
			*slot.Value = tally{slot.Value.now(now) + 1, now}
		}
	}
}

func (g *Guard) slots(s share.Source, now time.Time) [2]share.Slot[tally] {
	return g.sources.Slots(s, func(t *tally) bool { return t.now(now) == 0 })
}

func (g *Guard) note(what string, from share.Source) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.notes.Add(share.Note{What: what, From: from}, 1)
}

// Notes takes what happened since the last call, for the audit log: how often
// what became of tokens of which source.
func (g *Guard) Notes() map[share.Note]uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.notes.Take()
}
