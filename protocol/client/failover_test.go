// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

func TestFailOverToAnAddressThatWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", down: true}, &member{addr: "b:1", answer: ok})
		cl := c.client(t, client.Options{})
		for range 3 {
			if _, err := cl.Lookup(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(c.dials(), " "); got != "a:1 b:1" {
			t.Errorf("dialled %s", got)
		}
		if cl.Addr() != "b:1" {
			t.Errorf("in use: %s", cl.Addr())
		}
	})
}

// A member that dies between request and reply costs the caller nothing: the
// same request id goes to the next one.
func TestWriteSurvivesALostReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(
			&member{addr: "a:1", answer: script("")},
			&member{addr: "b:1", answer: script(`{"type":"update_polo_score_ok","polo_score":5,"index":42,"replayed":true}`)})
		cl := c.client(t, client.Options{})
		reply, err := cl.UpdatePoloScore(t.Context(), 7, 5)
		if err != nil || reply.PoloScore != 5 {
			t.Fatalf("%+v, %v", reply, err)
		}
		got := c.requests()
		id := got[0].req.text("request_id")
		if len(id) != 32 || ids(got) != fmt.Sprintf("a:1 %s;b:1 %s;", id, id) {
			t.Errorf("sent %s", ids(got))
		}
		if _, err := cl.UpdatePoloScore(t.Context(), 7, 5); err != nil {
			t.Fatal(err)
		}
		if again := c.requests()[2].req.text("request_id"); again == id || len(again) != 32 {
			t.Errorf("another call was sent as %s", again)
		}
	})
}

func TestWhichCommandsCarryRequestIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: ok, record: true})
		cl := c.client(t, client.Options{Identity: identity(t), AdminToken: "t"})
		for _, row := range protocol.Commands {
			if row.Mode == protocol.ModeStream {
				continue
			}
			if _, err := cl.Do(t.Context(), row.Name, nil); err != nil {
				t.Fatal(err)
			}
			got := c.requests()
			_, has := got[len(got)-1].req["request_id"]
			if want := row.Writes() && !row.Soft; has != want {
				t.Errorf("%s: request id %v, want %v", row.Name, has, want)
			}
		}
	})
}

func TestWriteWithoutIDIsNotSentTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: script("")}, &member{addr: "b:1", answer: ok})
		cl := c.client(t, client.Options{NoRequestIDs: true})
		_, err := cl.UpdatePoloScore(t.Context(), 7, 5)
		wantError(t, err, protocol.CodeOutcomeUnknown, protocol.OutcomeUnknown)
		if !errors.Is(err, client.ErrOutcomeUnknown) || len(c.requests()) != 1 {
			t.Errorf("%v, %d requests", err, len(c.requests()))
		}
		// A change of the cluster has no request id either, and is not repeated.
		c.set("a:1", func(m *member) { m.answer = func(int, request) string { return "" } })
		cl = c.client(t, client.Options{AdminToken: "t"})
		_, err = cl.ClusterRemove(t.Context(), "m", false)
		wantError(t, err, protocol.CodeOutcomeUnknown, protocol.OutcomeUnknown)
		if len(c.requests()) != 2 {
			t.Errorf("%d requests", len(c.requests()))
		}
		// A read has nothing to be unsure of.
		if _, err = cl.Lookup(t.Context(), 1); err != nil {
			t.Error(err)
		}
	})
}

func TestOutcomeUnknownIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1"}, &member{addr: "b:1", down: true})
		c.members["a:1"].answer = func(int, request) string {
			go c.set("a:1", func(m *member) { m.down = true })
			return ""
		}
		cl := c.client(t, client.Options{})
		from := time.Now()
		_, err := cl.SetPoloScore(t.Context(), 7, 1)
		e := wantError(t, err, protocol.CodeOutcomeUnknown, protocol.OutcomeUnknown)
		if e.RequestID != c.requests()[0].req.text("request_id") || !strings.Contains(err.Error(), "not known") {
			t.Errorf("%+v", e)
		}
		if took := time.Since(from); took > 2*time.Minute || took < time.Minute {
			t.Errorf("gave up after %v", took)
		}
	})
}

// An attempt whose reply was lost may still be on its way when another member
// refuses the request by what it reads; only a refusal decided in log order
// settles both.
func TestARefusalAfterALostReply(t *testing.T) {
	refusal := `{"type":"error","code":"conflict","error":"hostname \"x\" already in use by node 9"%s}`
	for name, test := range map[string]struct {
		extra   string
		code    string
		outcome protocol.Outcome
	}{
		"read from the state":  {"", protocol.CodeOutcomeUnknown, protocol.OutcomeUnknown},
		"decided in log order": {`,"index":12`, protocol.CodeConflict, protocol.OutcomeRejected},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(&member{addr: "a:1"}, &member{addr: "b:1"})
				c.members["a:1"].answer = func(int, request) string { return "" }
				c.members["b:1"].answer = func(int, request) string { return fmt.Sprintf(refusal, test.extra) }
				cl := c.client(t, client.Options{})
				_, err := cl.SetPoloScore(t.Context(), 7, 1)
				wantError(t, err, test.code, test.outcome)
			})
		})
	}
}

func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", down: true}, &member{addr: "b:1", down: true})
		cl := c.client(t, client.Options{UnreachableFor: 5 * time.Second})
		from := time.Now()
		_, err := cl.SetPoloScore(t.Context(), 7, 1)
		wantError(t, err, client.CodeUnreachable, protocol.OutcomeNotApplied)
		if !errors.Is(err, client.ErrUnreachable) || time.Since(from) > 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(from))
		}
		if n := len(c.dials()); n < 4 || n > 60 {
			t.Errorf("%d attempts in five seconds", n)
		}
		cl = c.client(t, client.Options{RetryFor: -1})
		from = time.Now()
		if _, err = cl.Lookup(t.Context(), 1); time.Since(from) != 0 || err == nil {
			t.Errorf("%v after %v", err, time.Since(from))
		}
	})
}

func TestAnswersThatAreTriedAgain(t *testing.T) {
	for _, test := range []struct {
		code    string
		outcome protocol.Outcome
		again   bool
	}{
		{protocol.CodeNoLeader, protocol.OutcomeNotApplied, true},
		{protocol.CodeOverloaded, protocol.OutcomeNotApplied, true},
		{protocol.CodeShuttingDown, protocol.OutcomeNotApplied, true},
		{protocol.CodeTimeoutRead, protocol.OutcomeNotApplied, true},
		{protocol.CodeOutcomeUnknown, protocol.OutcomeUnknown, true},
		{protocol.CodeRateLimited, protocol.OutcomeNotApplied, false},
		{protocol.CodeNotFound, "", false},
		{protocol.CodeConflict, protocol.OutcomeRejected, false},
	} {
		t.Run(test.code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reply := failing(test.code, test.outcome)
				c := newCluster(&member{addr: "a:1", answer: script(reply, reply, reply)})
				cl := c.client(t, client.Options{})
				_, err := cl.SetPoloScore(t.Context(), 7, 1)
				if test.again {
					if err != nil || len(c.requests()) != 4 {
						t.Fatalf("%v after %d requests", err, len(c.requests()))
					}
					id := c.requests()[0].req.text("request_id")
					for _, s := range c.requests() {
						if s.req.text("request_id") != id {
							t.Error("sent under another id")
						}
					}
					return
				}
				want := test.outcome
				if want == "" {
					want = protocol.OutcomeRejected
				}
				if e := wantError(t, err, test.code, want); e.Text != "no luck" || e.Addr != "a:1" || len(c.requests()) != 1 {
					t.Errorf("%+v after %d requests", e, len(c.requests()))
				}
			})
		})
	}
}

// A registry that says when to ask again is asked then, and not at all when the
// caller has less time: its answer stands and nothing is left unknown.
func TestARetryWaitsAsLongAsTheRegistryAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := string(protocol.EncodeError(&protocol.Error{Code: protocol.CodeOverloaded, Text: "busy", Outcome: protocol.OutcomeNotApplied, RetryAfterMS: 3000}))
		c := newCluster(&member{addr: "a:1", answer: func(n int, _ request) string {
			if n%2 == 0 {
				return busy
			}
			return ok(n, nil)
		}})
		cl := c.client(t, client.Options{})
		from := time.Now()
		if _, err := cl.SetPoloScore(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(from); took < 3*time.Second {
			t.Errorf("asked again after %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		from = time.Now()
		_, err := cl.SetPoloScore(ctx, 7, 1)
		e := wantError(t, err, protocol.CodeOverloaded, protocol.OutcomeNotApplied)
		if took := time.Since(from); took > time.Second || e.RetryAfter != 3*time.Second || len(c.requests()) != 3 {
			t.Errorf("%v after %v and %d requests: %+v", err, took, len(c.requests()), e)
		}
	})
}

// That a member is dead is no news when another is there and silent: what is
// missing is a leader.
func TestSilenceSaysMoreThanADeadMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: func(int, request) string { return hang }}, &member{addr: "b:1", down: true}, &member{addr: "c:1", down: true})
		cl := c.client(t, client.Options{Timeout: time.Second, RetryFor: 2 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := cl.Lookup(ctx, 7)
		e := wantError(t, err, protocol.CodeTimeout, protocol.OutcomeNotApplied)
		if want := "a:1 took the request and did not answer in time; b:1, c:1 cannot be reached: the cluster may have no leader"; !strings.HasPrefix(e.Text, want) {
			t.Errorf("%v", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err = cl.SetPoloScore(ctx, 7, 1)
		e = wantError(t, err, protocol.CodeOutcomeUnknown, protocol.OutcomeUnknown)
		if !strings.Contains(e.Text, "the cluster may have no leader") {
			t.Errorf("%v", err)
		}
	})
}

// "Not applied" about the second attempt says nothing about the first.
func TestUnknownIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: func(n int, _ request) string {
			if n == 0 {
				return ""
			}
			return failing(protocol.CodeNoLeader, protocol.OutcomeNotApplied)
		}})
		cl := c.client(t, client.Options{RetryFor: 3 * time.Second})
		_, err := cl.SetPoloScore(t.Context(), 7, 1)
		wantError(t, err, protocol.CodeOutcomeUnknown, protocol.OutcomeUnknown)
		_, err = cl.GetPoloScore(t.Context(), 7)
		wantError(t, err, protocol.CodeNoLeader, protocol.OutcomeNotApplied)
		if !errors.Is(err, client.ErrNoLeader) || !errors.Is(err, client.ErrNotApplied) || errors.Is(err, client.ErrOutcomeUnknown) {
			t.Errorf("%v", err)
		}
	})
}

func TestReadYourWritesThroughAnotherMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(
			&member{addr: "a:1", answer: script(`{"type":"x_ok","index":42}`, `{"type":"x_ok","index":41}`)},
			&member{addr: "b:1", answer: ok})
		cl := c.client(t, client.Options{Consistency: protocol.Stale})
		for range 2 {
			if _, err := cl.SetPoloScore(t.Context(), 7, 1); err != nil {
				t.Fatal(err)
			}
		}
		c.set("a:1", func(m *member) { m.down, m.answer = true, func(int, request) string { return "" } })
		if _, err := cl.GetPoloScore(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		got := c.requests()
		last := got[len(got)-1]
		if last.addr != "b:1" || last.req["min_index"] != 42.0 || last.req["consistency"] != "stale" || cl.MinIndex() != 42 {
			t.Errorf("%v", last)
		}
		if _, has := got[1].req["consistency"]; has {
			t.Error("a write asked for a read level")
		}
	})
}

func TestReadLevels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: ok})
		cl := c.client(t, client.Options{Consistency: protocol.Bounded, MaxStaleness: 1500 * time.Millisecond})
		cl.Lookup(t.Context(), 1)
		cl.Lookup(t.Context(), 1, client.WithConsistency(protocol.Linearizable, 0), client.WithMinIndex(9))
		got := c.requests()
		if got[0].req["consistency"] != "bounded" || got[0].req["max_staleness_ms"] != 1500.0 {
			t.Errorf("%v", got[0].req)
		}
		if got[1].req["consistency"] != "linearizable" || got[1].req["max_staleness_ms"] != nil || got[1].req["min_index"] != 9.0 {
			t.Errorf("%v", got[1].req)
		}
	})
}

func TestContextEndsACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: func(int, request) string { return hang }})
		cl := c.client(t, client.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		from := time.Now()
		_, err := cl.SetPoloScore(ctx, 7, 1)
		wantError(t, err, protocol.CodeOutcomeUnknown, protocol.OutcomeUnknown)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(from) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(from))
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = cl.GetPoloScore(ctx, 7)
		if wantError(t, err, client.CodeUnreachable, protocol.OutcomeNotApplied); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestSilentMemberIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: func(int, request) string { return hang }}, &member{addr: "b:1", answer: ok})
		cl := c.client(t, client.Options{Timeout: 4 * time.Second})
		from := time.Now()
		if _, err := cl.SetPoloScore(t.Context(), 7, 1); err != nil || time.Since(from) != 4*time.Second {
			t.Errorf("%v after %v", err, time.Since(from))
		}
	})
}

// A connection that the server closed while it rested is replaced without
// leaving the address or pausing.
func TestStaleConnectionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: func(n int, _ request) string {
			if n == 1 {
				return ""
			}
			return ok(n, nil)
		}}, &member{addr: "b:1", answer: ok})
		cl := c.client(t, client.Options{})
		from := time.Now()
		for range 3 {
			if _, err := cl.SetPoloScore(t.Context(), 7, 1); err != nil {
				t.Fatal(err)
			}
		}
		if time.Since(from) != 0 || cl.Addr() != "a:1" || strings.Join(c.dials(), " ") != "a:1 a:1" {
			t.Errorf("after %v, dialled %v", time.Since(from), c.dials())
		}
		time.Sleep(4 * time.Minute) // the server closes what rests longer
		cl.Lookup(t.Context(), 1)
		if n := len(c.dials()); n != 3 {
			t.Errorf("%d dials", n)
		}
	})
}

func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running, most := 0, 0
		c := newCluster(&member{addr: "a:1", answer: func(n int, _ request) string {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return ok(n, nil)
		}})
		cl := c.client(t, client.Options{MaxConns: 3})
		var wg sync.WaitGroup
		from := time.Now()
		for range 9 {
			wg.Go(func() {
				if _, err := cl.Lookup(t.Context(), 1); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if most != 3 || c.maxOpen != 3 || len(c.dials()) != 3 || time.Since(from) != 3*time.Second {
			t.Errorf("%d at once, %d connections, %v", most, len(c.dials()), time.Since(from))
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: func(int, request) string { return hang }})
		cl := c.client(t, client.Options{})
		time.AfterFunc(time.Second, func() { cl.Close() })
		_, err := cl.SetPoloScore(t.Context(), 7, 1)
		wantError(t, err, client.CodeClosed, protocol.OutcomeUnknown)
		_, err = cl.Lookup(t.Context(), 1)
		wantError(t, err, client.CodeClosed, protocol.OutcomeNotApplied)
	})
}

// Without a quorum a member answers no_leader after a while. That answer wins
// over the caller's own deadline: a request is not sent again when it would
// only be cut off, which would leave a write's outcome unknown.
func TestAMembersAnswerWinsOverTheDeadline(t *testing.T) {
	const noLeader = `{"type":"error","error":"no leader took it in time; member a reaches nobody","code":"no_leader","outcome":"not_applied"}`
	slowly := func(int, request) string { time.Sleep(7 * time.Second); return noLeader }
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: slowly})
		cl := c.client(t, client.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		_, err := cl.UpdatePoloScore(ctx, 7, 5)
		wantError(t, err, protocol.CodeNoLeader, protocol.OutcomeNotApplied)
		if ctx.Err() != nil || len(c.requests()) != 2 {
			t.Errorf("%v after %d requests", ctx.Err(), len(c.requests()))
		}
	})
	silent := func(n int, _ request) string {
		if n == 0 {
			return noLeader
		}
		return hang
	}
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: silent})
		cl := c.client(t, client.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := cl.Lookup(ctx, 1)
		wantError(t, err, protocol.CodeNoLeader, protocol.OutcomeNotApplied)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "reaches nobody") {
			t.Errorf("the error does not say what the member said, or that time was up: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: silent})
		cl := c.client(t, client.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := cl.UpdatePoloScore(ctx, 7, 5)
		wantError(t, err, protocol.CodeOutcomeUnknown, protocol.OutcomeUnknown)
		if !strings.Contains(err.Error(), "cut off") || !strings.Contains(err.Error(), "reaches nobody") {
			t.Errorf("the error does not say what is known: %v", err)
		}
	})
}
