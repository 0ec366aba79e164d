// SPDX-License-Identifier: Apache-2.0

package guess

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// try presents a wrong token and reports whether it was looked at.
func try(t *testing.T, g *Guard, source string) bool {
	t.Helper()
	if e := g.Admit(t.Context(), source, Admin); e != nil {
		if e.Code != protocol.CodeRateLimited || e.Outcome != protocol.OutcomeNotApplied {
			t.Fatal(e)
		}
		return false
	}
	g.Wrong(source, Admin)
	return true
}

func TestGuessingGetsSlowThenStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, from := New(Config{}), time.Now()
		for i := range PerMinute {
			if !try(t, g, "192.0.2.1:1") || time.Since(from) != 0 {
				t.Fatalf("guess %d cost %v", i+1, time.Since(from))
			}
		}
		looked, last := 0, time.Duration(0)
		for try(t, g, fmt.Sprintf("192.0.2.1:%d", looked)) {
			took := time.Since(from)
			from = time.Now()
			if looked > 0 && took < last {
				t.Errorf("delay %d is %v after %v", looked, took, last)
			}
			looked, last = looked+1, took
		}
		// Some of the first ones stop counting while the later ones wait.
		if looked < slowed || looked > 4*slowed || last != maxDelay {
			t.Errorf("%d were slowed down, the last by %v", looked, last)
		}
		if e := g.Admit(t.Context(), "192.0.2.2:1", Admin); e != nil {
			t.Errorf("the right token from elsewhere: %v", e)
		}
		from = time.Now()
		looked = 0
		for time.Since(from) < time.Hour {
			if try(t, g, "192.0.2.1:1") {
				looked++
			}
			time.Sleep(time.Second)
		}
		if looked > 61*PerMinute {
			t.Errorf("%d guesses in an hour", looked)
		}
		time.Sleep(2 * time.Minute)
		from = time.Now()
		if e := g.Admit(t.Context(), "192.0.2.1:1", Admin); e != nil || time.Since(from) != 0 {
			t.Errorf("after a rest: %v, %v", e, time.Since(from))
		}
	})
}

// All at once over many connections: the average stays what it is.
func TestGuessesAtOnceAreHeldAgainstTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Config{})
		for range 1000 {
			if e := g.Admit(t.Context(), "192.0.2.1:1", Join); e != nil {
				t.Fatal(e)
			}
		}
		for range 1000 {
			g.Wrong("192.0.2.1:1", Join)
		}
		time.Sleep(45 * time.Minute)
		if try(t, g, "192.0.2.1:1") {
			t.Error("1000 guesses are forgiven after 45 minutes")
		}
	})
}

func TestOneSiteIsOneGuesser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, looked := New(Config{}), 0
		for i := range 4096 {
			if try(t, g, fmt.Sprintf("[2001:db8:1:%x::1]:1", i)) {
				looked++
			}
		}
		if most := share.WideWorth * (PerMinute + 3*slowed); looked > most {
			t.Errorf("one /48 had %d guesses, at most %d", looked, most)
		}
		if !try(t, g, "[2001:db8:2::1]:1") {
			t.Error("another site is refused")
		}
	})
}

func TestGuessersAreExemptCountedAndNoted(t *testing.T) {
	wrong, refused := 0, 0
	g := New(Config{Exempt: share.Ranges{netip.MustParsePrefix("10.0.0.0/8")}, OnWrong: func(Kind) { wrong++ }, OnRefused: func(Kind) { refused++ }})
	for range 100 {
		if !try(t, g, "10.1.1.1:1") {
			t.Fatal("an exempt source is refused")
		}
	}
	for range 100 {
		g.Wrong("192.0.2.1:1", Network)
	}
	if try(t, g, "192.0.2.1:1") || wrong != 200 || refused != 1 {
		t.Errorf("%d wrong, %d refused", wrong, refused)
	}
	notes := g.Notes()
	here := share.OfText("192.0.2.1")
	if notes[share.Note{What: "network token_invalid", From: here}] != 100 || notes[share.Note{What: "admin token_not_looked_at", From: here}] != 1 || len(g.Notes()) != 0 {
		t.Error(notes)
	}
	for i := range 1000 {
		g.Wrong(fmt.Sprintf("192.0.%d.%d:1", i/250, i%250), Network)
	}
	if n := g.Notes(); len(n) > share.MaxNotes || n[share.Note{What: "other"}] == 0 {
		t.Errorf("%d notes", len(n))
	}
}

func TestWaitingEndsWithTheRequest(t *testing.T) {
	g := New(Config{})
	for range PerMinute + slowed - 1 {
		g.Wrong("192.0.2.1:1", Admin)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if e := g.Admit(ctx, "192.0.2.1:1", Admin); e == nil || !strings.Contains(e.Text, "192.0.2.1") {
		t.Error(e)
	}
}
