// SPDX-License-Identifier: Apache-2.0

package jwks

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Name of the duty.
const Name = "jwks"

const (
	// MaxAge is how long keys are used that could not be fetched again.
	MaxAge = 24 * time.Hour
	// ttl is how old keys may become; they are fetched again refreshAhead before that.
	ttl          = 5 * time.Minute
	refreshAhead = time.Minute
	// confirmEvery is how often keys that have not changed are written down as
	// fetched: a fetch in between adds no log entry.
	confirmEvery = time.Hour
	// nudgeEvery is the least time between two fetches that somebody asks for.
	nudgeEvery = time.Minute
	// retryFirst and retryLast bound the pause after a fetch that failed.
	retryFirst = 10 * time.Second
	retryLast  = 5 * time.Minute
	// maxReason bounds, in bytes, what is written down of a failure.
	maxReason = 500
	// lookEvery is how often the configuration is compared.
	lookEvery = time.Second
)

// Fetch gets the keys of a provider, see identity.Fetcher.
type Fetch func(ctx context.Context, url, issuer string, allowHS256 bool) (set *identity.KeySet, from string, failed *protocol.Error)

// Duty fetches the keys of the configured identity provider: when the
// configuration changes, before the keys are five minutes old, and when a
// member has met a key it does not know.
type Duty struct {
	fetch   Fetch
	asks    chan ask
	fetches *prometheus.CounterVec
}

// ask is a wish for a fetch; an urgent one is a person's.
type ask struct {
	urgent bool
	answer chan *protocol.Error
}

var _ cluster.NudgedDuty = (*Duty)(nil)

// New makes the duty.
func New(fetch Fetch) *Duty {
	return &Duty{fetch: fetch, asks: make(chan ask),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{Name: Metrics[0].Name, Help: Metrics[0].Help}, Metrics[0].Labels)}
}

// Metrics lists the metrics of the duty.
var Metrics = []cluster.MetricInfo{
	{Name: "pilot_jwks_fetches_total", Kind: "counter", Help: "fetches of the identity provider's keys by this member as leader, by result (ok, error)", Labels: []string{"result"}},
}

// Collector counts fetches, by result.
func (d *Duty) Collector() prometheus.Collector { return d.fetches }

// Name of the duty, for logs and nudges.
func (d *Duty) Name() string { return Name }

// Nudge asks for a fetch and waits for its end. Keys that are younger than a
// minute are not fetched again, unless it is urgent.
func (d *Duty) Nudge(ctx context.Context, urgent bool) *protocol.Error {
	answer := make(chan *protocol.Error, 1)
	late := func() *protocol.Error {
		return protocol.NotAppliedf(protocol.CodeTimeout, "JWKS: the leader did not fetch the identity provider's keys in time; try again")
	}
	select {
	case d.asks <- ask{urgent, answer}:
	case <-ctx.Done():
		return late()
	}
	select {
	case e := <-answer:
		return e
	case <-ctx.Done():
		return late()
	}
}

// Run keeps the keys fresh until leadership ends.
func (d *Duty) Run(ctx context.Context, env cluster.DutyEnv) {
	k := &keeper{Duty: d}
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	_ = k.look(ctx, env, byItself)
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			_ = k.look(ctx, env, byItself) // it has logged what went wrong
		case a := <-d.asks:
			why := asked
			if a.urgent {
				why = urgently
			}
			a.answer <- k.look(ctx, env, why)
		}
	}
}

// keeper is the duty in one term. Times are in Unix milliseconds of log time.
type keeper struct {
	*Duty
	// idp is the configuration that was last looked at.
	idp protocol.IDP
	// confirmed is when this keeper last saw the provider's keys.
	confirmed int64
	// inherited is when it took over keys that another leader fetched, which are
	// as good: a change of leader alone causes no fetch.
	inherited int64
	// asked is when somebody last had a fetch made.
	asked int64
	// notBefore holds fetches back after failures.
	notBefore int64
	failures  int
}

// reason is why the keeper looks.
type reason int

const (
	byItself reason = iota
	// asked is for a key that a member does not know, urgently for a person.
	asked
	urgently
)

// look fetches the keys if they are due, or if somebody asks and it has not
// been done lately. The error is of the fetch.
func (k *keeper) look(ctx context.Context, env cluster.DutyEnv, why reason) *protocol.Error {
	root, now := env.Root(), env.Now().UnixMilli()
	idp, ok := root.IDP()
	if !ok || !idp.BuiltIn() {
		k.failures, k.notBefore, k.idp = 0, 0, protocol.IDP{}
		return nil
	}
	_, fetched, has := root.JWKS()
	of := root.KeyStatus()
	good := has && of.Issuer == idp.Issuer && of.HS256 == !idp.RefuseHS256
	if k.idp != idp {
		first := k.idp == protocol.IDP{}
		k.idp, k.confirmed, k.inherited = idp, 0, 0
		k.failures, k.notBefore, k.asked = 0, 0, 0
		switch {
		case first && of.Failed != "": // another leader has just tried
			k.notBefore = now + retryFirst.Milliseconds()
		case good && of.Failed == "" && now-fetched < (ttl+confirmEvery).Milliseconds():
			k.inherited = now
		}
	}
	seen := max(fetched, k.confirmed)
	switch {
	case why == urgently && k.confirmed != 0 && now-k.confirmed < lookEvery.Milliseconds():
		return nil
	case why == asked && (now-k.asked < nudgeEvery.Milliseconds() || good && now-seen < nudgeEvery.Milliseconds()):
		return nil
	case why != byItself:
		k.asked = now
	case now < k.notBefore || good && now < max(seen, k.inherited)+(ttl-refreshAhead).Milliseconds():
		return nil
	}
	e := k.refresh(ctx, env, idp)
	if e == nil {
		k.fetches.WithLabelValues("ok").Inc()
		k.failures, k.notBefore = 0, 0
		return nil
	}
	if ctx.Err() != nil {
		return e // leadership ended; it says nothing about the provider
	}
	k.fetches.WithLabelValues("error").Inc()
	k.notBefore = now + min(retryFirst<<min(k.failures, 5), retryLast).Milliseconds()
	k.report(ctx, env, idp, e)
	if k.failures++; k.failures == 1 || k.failures%12 == 0 {
		env.Logger().Warn("the identity provider's keys cannot be fetched; keys fetched before stay in use for a day", "failures", k.failures, "error", e.Text)
	}
	return e
}

// refresh fetches and replicates.
func (k *keeper) refresh(ctx context.Context, env cluster.DutyEnv, idp protocol.IDP) *protocol.Error {
	set, _, e := k.fetch(ctx, idp.URL, idp.Issuer, !idp.RefuseHS256)
	if e != nil {
		return e
	}
	doc, err := encode(set, env.Root(), env.Keyring())
	if err != nil {
		return protocol.NotAppliedf(protocol.CodeInternal, "JWKS: the keys cannot be stored: %v", err)
	}
	now := env.Now().UnixMilli()
	put := fsm.PutJWKS{Term: env.Term(), URL: idp.URL, Doc: doc, Issuer: idp.Issuer, HS256: !idp.RefuseHS256, Keys: set.Names()}
	for _, l := range set.LeftOut {
		put.LeftOut = append(put.LeftOut, fsm.LeftOut(l))
	}
	if !known(env.Root(), &put, now) {
		for _, l := range set.LeftOut {
			env.Logger().Info("a key of the identity provider is not used", "key", l.Key, "reason", l.Why)
		}
		if e := propose(ctx, env, put); e != nil {
			return e
		}
	}
	k.confirmed = now
	return nil
}

// known reports whether the state says what would be stored, and has been told
// so lately.
func known(root *fsm.Root, put *fsm.PutJWKS, now int64) bool {
	doc, fetched, ok := root.JWKS()
	of := root.KeyStatus()
	return ok && string(doc) == string(put.Doc) && of.Issuer == put.Issuer && of.HS256 == put.HS256 && of.Failed == "" &&
		slices.Equal(of.LeftOut, put.LeftOut) && slices.Equal(of.Keys, put.Keys) && now-fetched < confirmEvery.Milliseconds()
}

// report writes down why a fetch failed, for all members to tell. The same
// reason again adds no entry.
func (k *keeper) report(ctx context.Context, env cluster.DutyEnv, idp protocol.IDP, failed *protocol.Error) {
	why := strings.TrimPrefix(failed.Text, "JWKS: ")
	why = strings.ToValidUTF8(why[:min(len(why), maxReason)], "")
	if env.Root().KeyStatus().Failed == why {
		return
	}
	if e := propose(ctx, env, fsm.PutJWKS{Term: env.Term(), URL: idp.URL, Failed: why}); e != nil {
		env.Logger().Debug("why the identity provider's keys cannot be fetched is not written down", "error", e.Text)
	}
}

func propose(ctx context.Context, env cluster.DutyEnv, put fsm.PutJWKS) *protocol.Error {
	body, err := json.Marshal(put)
	if err != nil {
		return protocol.NotAppliedf(protocol.CodeInternal, "JWKS: the keys cannot be stored: %v", err)
	}
	result, e := env.Propose(ctx, fsm.Envelope{Code: fsm.KindPutJWKS, Body: body})
	if e == nil {
		e = result.Err
	}
	return e
}
