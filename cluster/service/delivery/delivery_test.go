// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/pilotregistry/pilotregistry/audit"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/cluster/service/delivery"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is a state machine that duties can propose to, without a cluster.
type lab struct {
	t       *testing.T
	mu      sync.Mutex
	m       *fsm.Machine
	now     int64
	term    uint64
	changed chan struct{}
	ring    *keyring.Keyring
	// waited, when set, is told of pauses between tries.
	waited func(time.Duration)
}

func newLab(t *testing.T) *lab {
	ring, err := keyring.Create(filepath.Join(t.TempDir(), "keyring"))
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, m: fsm.New(), now: 1_800_000_000_000, term: 1, changed: make(chan struct{}), ring: ring}
	mac, err := ring.MAC(1, "admin", "hush")
	if err != nil {
		t.Fatal(err)
	}
	l.must(fsm.KindClusterInit, fsm.ClusterInit{ClusterID: "cluster", Level: fsm.LevelMax})
	l.must(fsm.KindTermStart, fsm.TermStart{Term: 1, LeaderID: "m1"})
	l.must(fsm.KindPutToken, fsm.PutToken{Kind: fsm.TokenAdmin, Name: "root", MAC: mac})
	return l
}

func (l *lab) apply(env fsm.Envelope) fsm.Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now++
	rs, err := l.m.Apply(l.m.Root().Index()+1, l.term, fsm.AppendEntry(nil, &fsm.Entry{Time: l.now, Term: l.term, Envelopes: []fsm.Envelope{env}}))
	if err != nil {
		l.t.Error(err)
		return fsm.Result{Err: protocol.Errorf(protocol.CodeInternal, "%v", err)}
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return rs[0]
}

func (l *lab) must(code protocol.Code, body any) {
	l.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		l.t.Fatal(err)
	}
	if r := l.apply(fsm.Envelope{Code: code, Body: raw, Actor: fsm.Actor{Token: "root", TokenGen: 1}}); r.Err != nil {
		l.t.Fatal(r.Err)
	}
}

func (l *lab) do(name string, body protocol.Body) {
	l.t.Helper()
	l.must(protocol.Must(name).Code, body)
}

// events makes n events.
func (l *lab) events(n int) {
	l.t.Helper()
	for range n {
		l.do("set_identity_webhook", &protocol.SetIdentityWebhook{URL: fmt.Sprintf("https://x/%d", l.m.Root().Index())})
	}
}

// env is one term of leadership.
type env struct {
	*lab
	of uint64
}

func (e env) Term() uint64              { return e.of }
func (e env) Now() time.Time            { return time.UnixMilli(e.now) }
func (e env) Root() *fsm.Root           { return e.m.Root() }
func (e env) Keyring() *keyring.Keyring { return e.ring }
func (e env) Logger() hclog.Logger      { return hclog.NewNullLogger() }

func (e env) Applied(ctx context.Context, index uint64) error {
	for {
		e.mu.Lock()
		changed := e.changed
		e.mu.Unlock()
		if e.m.Root().Index() >= index {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (e env) Propose(_ context.Context, env fsm.Envelope) (fsm.Result, *protocol.Error) {
	return e.apply(env), nil
}

// receiver takes events, or not, as the test wishes.
type receiver struct {
	mu   sync.Mutex
	got  []uint64
	fail func(e protocol.AuditEvent, try int) error
	try  map[uint64]int
	more chan struct{}
}

func newReceiver() *receiver { return &receiver{try: map[uint64]int{}, more: make(chan struct{}, 1)} }

func (r *receiver) Deliver(ctx context.Context, events []protocol.AuditEvent) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, e := range events {
		if ctx.Err() != nil {
			return i, ctx.Err()
		}
		r.try[e.Seq]++
		if r.fail != nil {
			if err := r.fail(e, r.try[e.Seq]); err != nil {
				r.signal()
				return i, err
			}
		}
		r.got = append(r.got, e.Seq)
	}
	r.signal()
	return len(events), nil
}

func (r *receiver) signal() {
	select {
	case r.more <- struct{}{}:
	default:
	}
}

func (*receiver) Close() error { return nil }

func (r *receiver) list() []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]uint64(nil), r.got...)
}

// Answers of a receiver.
var (
	errFinal   = errors.New("status 404")
	errGone    = errors.New("status 410")
	errContent = errors.New("status 400")
	errLater   = errors.New("status 429")
)

func meaning(err error) audit.Answer {
	a := audit.Answer{Final: errors.Is(err, errFinal) || errors.Is(err, errGone), Gone: errors.Is(err, errGone), Content: errors.Is(err, errContent)}
	if errors.Is(err, errLater) {
		a.After = 20 * time.Second
	}
	return a
}

// lead runs the duty for one term; the returned function ends it.
func (l *lab) lead(open delivery.Opener) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	d := delivery.New(delivery.Config{Open: open, Meaning: meaning, Wait: func(ctx context.Context, d time.Duration) error {
		if l.waited != nil {
			l.waited(d)
		}
		return ctx.Err()
	}})
	go func() {
		defer close(done)
		d.Run(ctx, env{l, l.term})
	}()
	return func() {
		cancel()
		<-done
	}
}

// until waits for a state.
func (l *lab) until(what string, ok func(*fsm.Root) bool) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for root := l.m.Root(); !ok(root); root = l.m.Root() {
		if (env{l, 0}).Applied(ctx, root.Index()+1) != nil {
			l.t.Fatalf("never: %s; sinks %+v", what, l.m.Root().Sinks())
		}
	}
}

func sink(r *fsm.Root, name string) fsm.Sink {
	for _, s := range r.Sinks() {
		if s.Name == name {
			return s
		}
	}
	return fsm.Sink{}
}

func caughtUp(name string) func(*fsm.Root) bool {
	return func(r *fsm.Root) bool { s := sink(r, name); return s.Name != "" && s.Lag == 0 }
}

func ascending(t *testing.T, got []uint64, from, to uint64) {
	t.Helper()
	if uint64(len(got)) != to-from+1 {
		t.Errorf("%d events, want %d to %d: %v", len(got), from, to, got)
		return
	}
	for i, seq := range got {
		if seq != from+uint64(i) {
			t.Errorf("place %d: event %d: %v", i, seq, got)
			return
		}
	}
}

func TestEventsArriveOnceAndInOrderThroughManyLeaders(t *testing.T) {
	l := newLab(t)
	l.do("audit_sink_put", &protocol.AuditSinkPut{Name: "siem", Kind: "export", Format: "json", Endpoint: "https://siem"})
	first := l.m.Root().EventSeq()
	r := newReceiver()
	open := func(s protocol.SinkConfig, _, _ string) (audit.Exporter, error) {
		if s.Name == "siem" {
			return r, nil
		}
		return newReceiver(), nil
	}
	for range 5 {
		end := l.lead(open)
		l.events(300)
		l.until("the sink has caught up", caughtUp("siem"))
		end()
		l.term++
		l.must(fsm.KindTermStart, fsm.TermStart{Term: l.term, LeaderID: "m2"})
	}
	ascending(t, r.list(), first, l.m.Root().EventSeq())
	if s := sink(l.m.Root(), "siem"); s.Delivered != uint64(len(r.list())) || s.Dropped != 0 {
		t.Errorf("%+v", s)
	}
}

// A sink that does not take events keeps them, says why, and delays nobody.
func TestATroubledSinkLosesNothing(t *testing.T) {
	l := newLab(t)
	l.do("audit_sink_put", &protocol.AuditSinkPut{Name: "bad", Kind: "export", Format: "json", Endpoint: "https://bad"})
	l.do("audit_sink_put", &protocol.AuditSinkPut{Name: "good", Kind: "export", Format: "json", Endpoint: "https://good"})
	bad, good := newReceiver(), newReceiver()
	var healed sync.Once
	well := make(chan struct{})
	bad.fail = func(e protocol.AuditEvent, _ int) error {
		select {
		case <-well:
			return nil
		default:
			if e.Seq < 10 {
				return nil
			}
			return errors.New("status 503")
		}
	}
	defer l.lead(func(s protocol.SinkConfig, _, _ string) (audit.Exporter, error) {
		switch s.Name {
		case "bad":
			return bad, nil
		case "good":
			return good, nil
		}
		return newReceiver(), nil
	})()
	l.events(30)
	l.until("the good sink has everything", caughtUp("good"))
	l.until("the trouble is told", func(r *fsm.Root) bool { s := sink(r, "bad"); return s.Problem == "status 503" && s.Seq == 9 })
	healed.Do(func() { close(well) })
	l.until("the other too", caughtUp("bad"))
	ascending(t, bad.list(), 2, l.m.Root().EventSeq())
	if s := sink(l.m.Root(), "bad"); s.Problem != "" {
		t.Errorf("still troubled: %+v", s)
	}
}

func TestWebhooksHaveDeadLetters(t *testing.T) {
	l := newLab(t)
	secret := "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
	sealed, err := l.ring.Seal(1, protocol.SinkSecretName("hook"), []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	l.do("audit_sink_put", &protocol.AuditSinkPut{Name: "hook", Kind: "webhook", Endpoint: "https://hook", SecretFacts: protocol.SecretFacts{SecretSealed: sealed}, Actions: []string{"identity_webhook.*"}})
	from := l.m.Root().EventSeq()
	r := newReceiver()
	r.fail = func(e protocol.AuditEvent, try int) error {
		switch e.Seq - from {
		case 2:
			return errFinal
		case 3:
			if try <= 4 {
				return errors.New("status 500")
			}
		case 4:
			if try <= 3 {
				return errors.New("status 500")
			}
		}
		return nil
	}
	var had string
	defer l.lead(func(s protocol.SinkConfig, secret, cluster string) (audit.Exporter, error) {
		if s.Name == "hook" {
			had = secret + cluster
			return r, nil
		}
		return newReceiver(), nil
	})()
	l.events(6)
	l.until("all is decided", caughtUp("hook"))
	s := sink(l.m.Root(), "hook")
	if s.Delivered != 4 || s.Failed != 2 || s.DeadLetters != 2 || had != secret+"cluster" {
		t.Errorf("%+v, opened with %q", s, had)
	}
	if r.try[from+2] != 1 || r.try[from+3] != 4 || r.try[from+4] != 4 {
		t.Errorf("tries %v", r.try)
	}
	l.do("dlq_retry", &protocol.DeadLetters{Name: "hook", EventID: from + 3})
	l.until("the letter is delivered", func(r *fsm.Root) bool { return sink(r, "hook").DeadLetters == 1 })
	if got := r.list(); got[len(got)-1] != from+3 {
		t.Errorf("%v", got)
	}
}

// What cannot even be opened says so and does not spin.
func TestASinkThatCannotBeOpened(t *testing.T) {
	l := newLab(t)
	l.do("audit_sink_put", &protocol.AuditSinkPut{Name: "siem", Kind: "export", Format: "json", Endpoint: "https://siem"})
	opened := 0
	end := l.lead(func(s protocol.SinkConfig, _, _ string) (audit.Exporter, error) {
		if s.Name == "siem" && s.Index == "" {
			opened++
			return nil, errors.New("no such thing")
		}
		return newReceiver(), nil
	})
	l.until("the trouble is told", func(r *fsm.Root) bool { return sink(r, "siem").Problem == "no such thing" })
	l.events(3)
	l.do("audit_sink_put", &protocol.AuditSinkPut{Name: "siem", Kind: "export", Format: "json", Endpoint: "https://siem", Index: "i"})
	l.until("the new configuration delivers", caughtUp("siem"))
	end()
	if opened != 1 {
		t.Errorf("opened %d times", opened)
	}
}

// only serves a sink by a receiver, all others by receivers that take everything.
func only(name string, r *receiver) delivery.Opener {
	return func(s protocol.SinkConfig, _, _ string) (audit.Exporter, error) {
		if s.Name == name {
			return r, nil
		}
		return newReceiver(), nil
	}
}

// What a receiver never takes is found among the others and kept aside; all
// the others arrive, in order.
func TestOneOddEventHoldsUpNobody(t *testing.T) {
	l := newLab(t)
	l.do("audit_sink_put", &protocol.AuditSinkPut{Name: "siem", Kind: "export", Format: "json", Endpoint: "https://siem"})
	from := l.m.Root().EventSeq()
	r := newReceiver()
	odd := func(seq uint64) bool { n := seq - from; return n == 7 || n == 8 || n == 20 }
	r.fail = func(e protocol.AuditEvent, try int) error {
		if e.Seq > from && odd(e.Seq) || e.Seq == from+12 && try < 3 { // the latter only seems odd
			return errContent
		}
		return nil
	}
	l.events(30)
	defer l.lead(only("siem", r))()
	l.until("everything else is there", caughtUp("siem"))
	seen := map[uint64]bool{}
	last := uint64(0)
	for _, seq := range r.list() {
		if seen[seq] || seq < last || odd(seq) {
			t.Errorf("event %d came behind %d", seq, last)
		}
		seen[seq], last = true, seq
	}
	if n := uint64(len(seen)); n != l.m.Root().EventSeq()-1-3 && n != l.m.Root().EventSeq()-3 {
		t.Errorf("%d events came of %d", n, l.m.Root().EventSeq())
	}
	if s := sink(l.m.Root(), "siem"); s.DeadLetters != 3 || s.Failed != 3 || s.Problem != "" {
		t.Errorf("the sink is %+v", s)
	}
}

// A receiver that likes no event at all is not to be rid of all of them.
func TestAReceiverThatLikesNothingLosesNothing(t *testing.T) {
	l := newLab(t)
	l.do("audit_sink_put", &protocol.AuditSinkPut{Name: "siem", Kind: "export", Format: "json", Endpoint: "https://siem"})
	r := newReceiver()
	r.fail = func(protocol.AuditEvent, int) error { return errContent }
	l.events(40)
	defer l.lead(only("siem", r))()
	l.until("the trouble is told", func(root *fsm.Root) bool { return sink(root, "siem").Problem == "status 400" })
	<-r.more
	if s := sink(l.m.Root(), "siem"); s.DeadLetters != 0 || s.Delivered != 0 || s.Lag < 40 {
		t.Errorf("the sink is %+v", s)
	}
}

// Who asks to wait is left alone for so long, and loses nothing by it.
func TestRetryAfterIsHonoured(t *testing.T) {
	l := newLab(t)
	var mu sync.Mutex
	var waits []time.Duration
	l.waited = func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		waits = append(waits, d)
	}
	l.do("audit_sink_put", &protocol.AuditSinkPut{Name: "hook", Kind: "webhook", Endpoint: "https://hook", Actions: []string{"identity_webhook.*"}})
	r := newReceiver()
	r.fail = func(_ protocol.AuditEvent, try int) error {
		if try <= 10 {
			return errLater
		}
		return nil
	}
	defer l.lead(only("hook", r))()
	l.events(1)
	l.until("the event is there", func(root *fsm.Root) bool { return sink(root, "hook").Delivered == 1 })
	mu.Lock()
	defer mu.Unlock()
	if len(waits) != 10 || waits[0] != 20*time.Second || waits[9] != 20*time.Second {
		t.Errorf("waited %v", waits)
	}
	if s := sink(l.m.Root(), "hook"); s.DeadLetters != 0 {
		t.Errorf("the sink is %+v", s)
	}
}

// A webhook that is gone is left alone and loses nothing; configured again it goes on.
func TestAWebhookThatIsGoneIsPaused(t *testing.T) {
	l := newLab(t)
	hook := &protocol.AuditSinkPut{Name: "hook", Kind: "webhook", Endpoint: "https://hook", Actions: []string{"identity_webhook.*"}}
	l.do("audit_sink_put", hook)
	r := newReceiver()
	back := false
	r.fail = func(protocol.AuditEvent, int) error {
		if back {
			return nil
		}
		return errGone
	}
	defer l.lead(only("hook", r))()
	l.events(5)
	l.until("it is paused", func(root *fsm.Root) bool {
		return sink(root, "hook").Problem == "status 410: paused until the sink is configured again"
	})
	r.mu.Lock()
	if n := len(r.try); n != 1 {
		t.Errorf("%d events were tried", n)
	}
	back = true
	r.mu.Unlock()
	l.do("audit_sink_put", hook)
	l.until("it goes on", func(root *fsm.Root) bool { return sink(root, "hook").Delivered == 5 })
	if s := sink(l.m.Root(), "hook"); s.DeadLetters != 0 || s.Problem != "" {
		t.Errorf("the sink is %+v", s)
	}
}

// Who looks at a webhook that fails sees why, since when, how often it was
// tried and when it is tried next; and sees nothing once it works.
func TestAFailingWebhookSaysSo(t *testing.T) {
	l := newLab(t)
	resting, wake := make(chan time.Duration), make(chan struct{})
	l.waited = func(d time.Duration) {
		resting <- d
		<-wake
	}
	l.do("set_webhook", &protocol.SetWebhook{URL: "https://hook"})
	r := newReceiver()
	r.fail = func(_ protocol.AuditEvent, try int) error {
		if try <= 2 {
			return errors.New("status 502")
		}
		return nil
	}
	defer l.lead(only(protocol.SinkNameWebhook, r))()
	l.events(1)
	for try, pause := range []time.Duration{time.Second, 2 * time.Second} {
		if d := <-resting; d != pause {
			t.Errorf("waits %s", d)
		}
		got := l.webhook()
		if got.Error != "status 502" || got.Tries != uint32(try+1) || got.Stalled == "" || got.NextTry == "" || got.NextTry <= got.Stalled || got.DLQSize != 0 {
			t.Errorf("after %d tries: %+v", try+1, got)
		}
		wake <- struct{}{}
	}
	l.until("it works", func(root *fsm.Root) bool { return sink(root, protocol.SinkNameWebhook).Delivered == 1 })
	if got := l.webhook(); got.SinkTrouble != (protocol.SinkTrouble{}) {
		t.Errorf("it works and is said to have trouble: %+v", got)
	}
}

// webhook is what get_webhook answers.
func (l *lab) webhook() protocol.GetWebhookReply {
	l.t.Helper()
	c := &fsm.Call{Row: protocol.Must("get_webhook"), Body: &protocol.GetWebhook{}, Actor: fsm.Actor{Token: "root", TokenGen: 1}}
	reply, e := l.m.Root().Read(c)
	if e != nil {
		l.t.Fatal(e)
	}
	return *reply.Reply.(*protocol.GetWebhookReply)
}
