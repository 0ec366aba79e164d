// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	// maxTrouble bounds how many requests in a row a receiver spoils: fewer
	// than a webhook tries, and few enough that pauses between tries stay short.
	maxTrouble = 3
	// maxRefusals bounds a run's refusals of the webhook, each of which makes a
	// dead letter: of these the cluster keeps protocol.MaxDeadLetters.
	maxRefusals = protocol.MaxDeadLetters / 2
	// trouble and peace are how long they last at most; a quarter at least.
	// Mostly peace: who meets only troubles pauses for a minute between tries.
	trouble = 1500 * time.Millisecond
	peace   = 3500 * time.Millisecond
)

// scores are the events that the sinks want: those of w10 and of W1's counters.
const scores = "polo_score.*"

// webhooks is W10: scores are counted as in W1, and a webhook and a JSON export
// are given every change of one. Their receivers fail, hang, reset and lose
// answers by a schedule from the seed. At the end every event has to have
// arrived, or to be a dead letter of the webhook.
type webhooks struct {
	counters
	hook, siem *moody
	from       uint64 // the newest event before the sinks

	trail *trail
	dead  []uint64
	// odd are the dead letters of the export.
	odd []uint64
}

func newWebhooks() Workload { return &webhooks{counters: counters{name: "w10-webhooks"}} }

func (w *webhooks) Weight() int { return 2 }

func (w *webhooks) Setup(ctx context.Context, env *Env) error {
	w.hook, w.siem = newMoody(env, "hook", maxRefusals), newMoody(env, "siem", 1<<30)
	c := NewClient(env, w.name+"-sinks")
	defer c.Close()
	secret := protocol.Secret("whsec_" + base64.StdEncoding.EncodeToString([]byte("a webhook's secret, of a test")))
	for _, s := range []protocol.AuditSinkPut{
		{Name: w.hook.name, Kind: protocol.SinkWebhook, Endpoint: w.hook.URL, Actions: []string{scores}, Secret: secret},
		{Name: w.siem.name, Kind: protocol.SinkExport, Format: protocol.FormatJSON, Endpoint: w.siem.URL, Actions: []string{scores}},
	} {
		var reply protocol.AuditSinkReply
		if _, err := c.ask(ctx, env.Members()[0], "audit_sink_put", &s, protocol.Options{}, &reply); err != nil {
			return err
		}
		w.from = max(w.from, reply.Seq)
	}
	return w.counters.Setup(ctx, env)
}

func (w *webhooks) Step(ctx context.Context, c *Client) {
	w.hook.move()
	w.siem.move()
	w.counters.Step(ctx, c)
}

func (w *webhooks) Final(ctx context.Context, env *Env) error {
	w.hook.calm()
	w.siem.calm()
	if err := w.counters.Final(ctx, env); err != nil {
		return err
	}
	c := NewClient(env, w.name+"-trail")
	defer c.Close()
	m := env.Members()[0]
	if err := w.caughtUp(ctx, c, m); err != nil {
		return err
	}
	var letters protocol.DLQListReply
	if _, err := c.ask(ctx, m, "dlq_list", &protocol.DeadLetters{Name: w.hook.name}, protocol.Options{}, &letters); err != nil {
		return err
	}
	for _, l := range letters.Letters {
		w.dead = append(w.dead, l.EventID)
	}
	index, err := c.ask(ctx, m, "dlq_list", &protocol.DeadLetters{Name: w.siem.name}, protocol.Options{}, &letters)
	if err != nil {
		return err
	}
	for _, l := range letters.Letters {
		w.odd = append(w.odd, l.EventID)
	}
	w.trail, err = c.readTrail(ctx, m, index)
	return err
}

// caughtUp waits until both sinks have nothing before them.
func (w *webhooks) caughtUp(ctx context.Context, c *Client, m Member) error {
	for {
		var list protocol.AuditSinkListReply
		if _, err := c.ask(ctx, m, "audit_sink_list", &protocol.AuditQuery{}, protocol.Options{}, &list); err != nil {
			return err
		}
		ready := 0
		for _, s := range list.Sinks {
			if (s.Name == w.hook.name || s.Name == w.siem.name) && s.Lag == 0 {
				ready++
			}
		}
		if ready == 2 {
			return nil
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("the sinks do not catch up (%w): %+v", err, list.Sinks)
		}
	}
}

func (w *webhooks) Judge([]history.Op) (summary string, out []check.Violation) {
	if w.trail == nil { // Final did not get there
		return "what was delivered was not read", nil
	}
	var want []protocol.AuditEntry
	oldest := ^uint64(0) // before it, retention may have cut events off
	for _, e := range w.trail.entries {
		if e.Class == protocol.ClassActivity.String() {
			oldest = min(oldest, e.Seq)
		}
		if e.Seq > w.from && protocol.MatchAction([]string{scores}, e.Action) {
			want = append(want, e)
		}
	}
	if oldest == 1 || w.trail.entries[0].Seq == 1 {
		oldest = 0
	}
	out = append(out, check.Deliveries(w.hook.name, want, w.hook.deliveries(oldest), w.dead, nil)...)
	out = append(out, check.Deliveries(w.siem.name, want, w.siem.deliveries(oldest), w.odd, nil)...)
	out = named(out, w.name, "")
	hook, siem := w.hook.spoiled(), w.siem.spoiled()
	if len(want) == 0 || hook == 0 || siem == 0 {
		out = append(out, idle(w.name, fmt.Sprintf("%d events to deliver, %d and %d requests that were spoiled", len(want), hook, siem)))
	}
	return fmt.Sprintf("%d events in %d requests to the webhook, %d of them spoiled, and %d to the export, %d of them spoiled; %d dead letters",
		len(want), len(w.hook.Got()), hook, len(w.siem.Got()), siem, len(w.dead)), out
}

// Close ends the receivers.
func (w *webhooks) Close() error {
	for _, m := range []*moody{w.hook, w.siem} {
		if m != nil {
			m.Close()
		}
	}
	return nil
}

// moody is a receiver whose answers change by a schedule.
type moody struct {
	*harness.Receiver
	name string

	mu       sync.Mutex
	rng      *rand.Rand
	next     time.Time
	refusals int // that are left
	troubled bool
	done     bool
}

func newMoody(env *Env, name string, refusals int) *moody {
	return &moody{Receiver: harness.NewReceiver(), name: name, rng: env.rng("receiver-" + name), refusals: refusals}
}

// troubles are the answers other than ok.
var troubles = []harness.Answer{harness.AnswerError, harness.AnswerRefuse, harness.AnswerHang, harness.AnswerReset, harness.AnswerLost}

// move changes the answer when it is time to: to a trouble of a few requests,
// and back, which also lets go of what hangs.
func (m *moody) move() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if m.done || now.Before(m.next) || m.troubled && len(m.Got()) == 0 { // the first trouble has to be met
		return
	}
	length := peace
	if m.troubled = !m.troubled; m.troubled {
		length = trouble
	}
	m.next = now.Add(length/4 + time.Duration(m.rng.Int64N(int64(length*3/4))))
	if !m.troubled {
		m.Set(harness.AnswerOK)
		return
	}
	answer, n := troubles[m.rng.IntN(len(troubles))], 1+m.rng.IntN(maxTrouble)
	if answer == harness.AnswerRefuse {
		if n = min(n, m.refusals); n == 0 {
			return
		}
		m.refusals -= n
	}
	m.SetFor(answer, n)
}

// calm makes the receiver take everything from now on.
func (m *moody) calm() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = true
	m.Set(harness.AnswerOK)
}

// spoiled counts the requests that were not simply taken.
func (m *moody) spoiled() (n int) {
	for _, g := range m.Got() {
		if g.Answer != harness.AnswerOK {
			n++
		}
	}
	return n
}

// deliveries are what was received of events from oldest on.
func (m *moody) deliveries(oldest uint64) (out []check.Delivery) {
	for _, g := range m.Got() {
		if id := g.EventID(); id >= oldest {
			out = append(out, check.Delivery{Event: id, ID: g.Header.Get("Webhook-Id"), Body: g.Body, Accepted: g.Accepted()})
		}
	}
	return out
}
