// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pilotregistry/pilotregistry/audit"
	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Opener makes the exporter of a sink. The secret is the sink's token or
// signing secret in clear, "" when it has none.
type Opener func(s protocol.SinkConfig, secret string, clusterID string) (audit.Exporter, error)

// Config is what the duty needs.
type Config struct {
	Open Opener
	// Meaning says what an error of an exporter means; nil is [audit.Meaning].
	Meaning func(error) audit.Answer
	// Wait pauses between tries; tests shorten it. Nil sleeps.
	Wait func(ctx context.Context, d time.Duration) error
	// OnTry, when set, counts tries by sink and outcome.
	OnTry func(sink string, events int, err error)
}

// New makes the duty.
func New(c Config) cluster.Duty {
	if c.Wait == nil {
		c.Wait = pause
	}
	if c.Meaning == nil {
		c.Meaning = audit.Meaning
	}
	return &duty{c}
}

type duty struct{ Config }

// Name of the duty, for logs.
func (*duty) Name() string { return "sinks" }

// idle is how long a worker lets events gather before it looks again.
const idle = 20 * time.Millisecond

// Run keeps a worker for every sink as it is configured now.
func (c *duty) Run(ctx context.Context, d cluster.DutyEnv) {
	type running struct {
		gen  uint64
		stop context.CancelFunc
		done chan struct{}
	}
	workers := map[string]running{}
	end := func(name string) {
		workers[name].stop()
		<-workers[name].done
		delete(workers, name)
	}
	defer func() {
		for name := range workers {
			end(name)
		}
	}()
	for ctx.Err() == nil {
		root := d.Root()
		wanted := map[string]fsm.Sink{}
		for _, s := range root.Sinks() {
			wanted[s.Name] = s
		}
		for name, w := range workers {
			if s, ok := wanted[name]; !ok || s.Gen != w.gen {
				end(name)
			}
		}
		for name, s := range wanted {
			if _, ok := workers[name]; ok {
				continue
			}
			own, stop := context.WithCancel(ctx)
			w := running{s.Gen, stop, make(chan struct{})}
			workers[name] = w
			go func() {
				defer close(w.done)
				(&worker{duty: c, d: d, sink: s, log: d.Logger().With("sink", name)}).run(own)
			}()
		}
		await(ctx, d, func(r *fsm.Root) bool { return r.ConfigRevision() != root.ConfigRevision() })
	}
}

// await returns when the state is as it should be, or with ctx.
func await(ctx context.Context, d cluster.DutyEnv, ready func(*fsm.Root) bool) {
	for {
		root := d.Root()
		if ready(root) || ctx.Err() != nil {
			return
		}
		if d.Applied(ctx, root.Index()+1) == nil {
			_ = pause(ctx, idle)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// worker delivers to one sink in one configuration.
type worker struct {
	*duty
	d    cluster.DutyEnv
	sink fsm.Sink
	log  hclog.Logger
	// fails counts the tries in a row that delivered nothing, wait is how long
	// an export is left alone since the last of them.
	fails int
	wait  time.Duration
	// at is the event that a webhook is being given.
	at attempt
	// paused is set when the receiver wants no events any more.
	paused bool
}

// batch is how many events are read at once.
const batch = 256

// pace is how long a worker lets events gather after a batch that was not
// full. Each batch ends with a report, which is an entry of the log: one for
// every write would double what a lone client waits for.
const pace = 200 * time.Millisecond

func (w *worker) run(ctx context.Context) {
	if w.sink.Held() {
		w.log.Warn("the sink is held back since the registry was restored from a backup; configure it again to let it go on")
		<-ctx.Done() // another configuration starts another worker
		return
	}
	out, err := w.open()
	if err != nil {
		w.log.Error("the sink cannot be served", "error", err)
		w.stalled(ctx, err.Error())
		<-ctx.Done() // another configuration starts another worker
		return
	}
	defer func() { _ = out.Close() }()
	for ctx.Err() == nil {
		root := w.d.Root()
		b, ok := root.SinkBatch(w.sink.Name, batch)
		if !ok || b.Progress.Gen != w.sink.Gen {
			_ = w.d.Applied(ctx, root.Index()+1)
			continue // about to be stopped
		}
		if len(b.Events)+len(b.Retry) == 0 && b.Progress.To == b.Progress.From {
			await(ctx, w.d, func(r *fsm.Root) bool {
				next, ok := r.SinkBatch(w.sink.Name, 1)
				return !ok || next.Progress.Gen != w.sink.Gen || len(next.Events)+len(next.Retry) > 0
			})
			continue
		}
		if w.serve(ctx, out, b); w.paused {
			w.log.Warn("the receiver wants no more events; the sink is paused until it is configured again", "error", w.sink.Problem)
			<-ctx.Done() // another configuration starts another worker, and so does another leader
			return
		}
		if len(b.Events) < batch && w.wait+w.at.wait == 0 {
			_ = pause(ctx, pace)
		}
	}
}

// open makes the exporter with the sink's secret.
func (w *worker) open() (audit.Exporter, error) {
	secret := ""
	if !w.sink.Secret.IsZero() {
		plain, err := w.d.Keyring().Unseal(w.sink.Secret, protocol.SinkSecretName(w.sink.Name))
		if err != nil {
			return nil, err
		}
		secret = string(plain)
	}
	return w.Open(w.sink.SinkConfig, secret, w.d.Root().ClusterID())
}

// serve delivers a batch and reports what became of it.
func (w *worker) serve(ctx context.Context, out audit.Exporter, b fsm.SinkBatch) {
	if lost := b.Progress.Lost[0] + b.Progress.Lost[1]; lost > 0 {
		w.log.Warn("events were cut off before they could be delivered", "count", lost, "after", b.Progress.From)
	}
	p := b.Progress
	p.Problem, p.Tries = w.sink.Problem, w.sink.Tries // until a try says otherwise
	if w.sink.Kind == protocol.SinkWebhook {
		w.post(ctx, out, b, &p)
	} else {
		w.again(ctx, out, b.Retry, &p)
		w.export(ctx, out, b, &p)
	}
	w.report(ctx, p)
}

// export delivers in order and tries until it works.
func (w *worker) export(ctx context.Context, out audit.Exporter, b fsm.SinkBatch, p *fsm.SinkProgress) {
	events := w.wanted(b.Events)
	for len(events) > 0 {
		if w.wait > 0 && w.Wait(ctx, w.wait) != nil {
			w.cutShort(b.Events, events[0].Seq, p)
			return
		}
		w.wait = 0
		done, err := w.try(ctx, out, events)
		p.Delivered += uint64(done)
		if events = events[done:]; done > 0 || len(events) == 0 {
			w.fails = 0
		}
		if len(events) == 0 {
			w.getsOn(p)
			return
		}
		if w.Meaning(err).Content {
			var moved int
			if moved, err = w.isolate(ctx, out, events, p); moved > 0 {
				events = events[moved:]
				w.getsOn(p)
				continue
			}
		}
		w.cutShort(b.Events, events[0].Seq, p)
		if ctx.Err() != nil {
			return
		}
		if w.fails++; w.fails > retries {
			w.log.Warn("the sink does not take events; they are kept and tried again", "tries", w.fails, "error", err)
		}
		w.wait = max(backoff(w.fails-1), min(w.Meaning(err).After, maxAsked))
		w.inVain(p, err, w.wait)
		return
	}
}

// getsOn and inVain note how the last try went, and when the next one is.
func (w *worker) getsOn(p *fsm.SinkProgress) {
	w.fails, p.Problem, p.Tries, p.RetryInMS = 0, "", 0, 0
}

func (w *worker) inVain(p *fsm.SinkProgress, err error, wait time.Duration) {
	p.Problem, p.Tries, p.RetryInMS = err.Error(), uint32(w.fails), wait.Milliseconds()
}

// try delivers events and counts the try. There is an error unless all were delivered.
func (w *worker) try(ctx context.Context, out audit.Exporter, events []protocol.AuditEvent) (done int, err error) {
	done, err = out.Deliver(ctx, events)
	if err == nil && done < len(events) {
		err = errUntold
	}
	w.count(done, err)
	return done, err
}

// maxAsked bounds how long a receiver can have itself left alone after one answer.
const maxAsked = 5 * time.Minute

// wanted are the events that the sink's filters let through.
func (w *worker) wanted(events []protocol.AuditEvent) []protocol.AuditEvent {
	out := make([]protocol.AuditEvent, 0, len(events))
	for i := range events {
		if w.sink.Wants(&events[i]) {
			out = append(out, events[i])
		}
	}
	return out
}

// cutShort makes a report end before the event of a sequence number.
func (w *worker) cutShort(events []protocol.AuditEvent, before uint64, p *fsm.SinkProgress) {
	p.Passed, p.To = [2]uint64{}, p.From
	for i := range events {
		if events[i].Seq >= before {
			break
		}
		p.Passed[int(events[i].Class)-1]++
		p.To = events[i].Seq
	}
}

// retries follow the first try after 1, 2 and 4 seconds.
const retries = 3

// backoff is the pause after a number of failed tries: 1, 2, 4 seconds, then
// longer up to a minute, with jitter, so that sinks do not retry in lockstep.
func backoff(fails int) time.Duration {
	d := min(time.Second<<min(fails, 6), time.Minute)
	if fails >= retries {
		d += rand.N(d / 4)
	}
	return d
}

// errUntold stands for the error that an exporter owes for an event that it
// did not deliver.
var errUntold = errors.New("not delivered, and no reason was given")

func (w *worker) count(events int, err error) {
	if w.OnTry != nil {
		w.OnTry(w.sink.Name, events, err)
	}
}

// stalled notes why nothing can be delivered at all.
func (w *worker) stalled(ctx context.Context, problem string) {
	b, ok := w.d.Root().SinkBatch(w.sink.Name, 0)
	if !ok || b.Progress.Gen != w.sink.Gen {
		return
	}
	p := b.Progress
	p.To, p.Lost, p.Problem = p.From, [2]uint64{}, problem
	w.report(ctx, p)
}

// report proposes what was done. When that fails the state says what is to
// be done again: the same events, at worst.
func (w *worker) report(ctx context.Context, p fsm.SinkProgress) {
	if p.To == p.From && p.Lost == [2]uint64{} && len(p.Retried) == 0 && p.Problem == w.sink.Problem && p.Tries == w.sink.Tries {
		return // the state says this already
	}
	p.Term = w.d.Term()
	body, err := json.Marshal(p)
	if err != nil {
		w.log.Error("cannot encode a report", "error", err)
		return
	}
	// What was delivered is reported although the worker is being stopped.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	res, e := w.d.Propose(ctx, fsm.Envelope{Code: fsm.KindSinkProgress, Body: body})
	if e == nil {
		e = res.Err
	}
	if e == nil {
		w.sink.Problem, w.sink.Tries = p.Problem, p.Tries
		return
	}
	w.log.Debug("the position was not reported", "code", e.Code, "error", e.Text)
	_ = pause(ctx, idle)
}
