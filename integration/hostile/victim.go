// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// Victim is a client that behaves: it signs a write every so often.
type Victim struct {
	node uint32
	// first sends a write once, so that no refusal is hidden; again is for
	// writes that met a change of leader.
	first, again *client.Client
	writes       int

	mu   sync.Mutex
	took []time.Duration
	errs []error
}

// NewVictim registers a node through the SDK.
func NewVictim(ctx context.Context, addrs []string) (*Victim, error) {
	id, err := client.NewIdentity()
	if err != nil {
		return nil, err
	}
	v := &Victim{}
	for _, c := range []struct {
		to    **client.Client
		retry time.Duration
	}{{&v.first, -1}, {&v.again, time.Minute}} {
		if *c.to, err = client.Open(client.Options{Addrs: addrs, Identity: id, MaxConns: 64, RetryFor: c.retry}); err != nil {
			return nil, err
		}
	}
	reply, err := v.again.Register(ctx, protocol.Register{PublicKey: id.PublicKey().String(), RegisterFacts: protocol.RegisterFacts{Endpoint: "198.51.100.7:4000"}})
	if err != nil {
		return nil, errors.Join(err, v.Close())
	}
	v.node = reply.NodeID
	id.SetNodeID(v.node)
	return v, nil
}

// Close ends the victim's connections.
func (v *Victim) Close() error { return errors.Join(v.first.Close(), v.again.Close()) }

// othersFault are the codes of refusals that a client gets because of others.
var othersFault = []string{protocol.CodeOverloaded, protocol.CodeRateLimited, protocol.CodeAuditBehind, protocol.CodeLimitReached}

// write signs one write.
func (v *Victim) write(ctx context.Context, tag string) error {
	_, err := v.first.SetTags(ctx, v.node, []string{tag})
	var refused *client.Error
	if err == nil || errors.As(err, &refused) && slices.Contains(othersFault, refused.Code) {
		return err
	}
	_, err = v.again.SetTags(ctx, v.node, []string{tag})
	return err
}

// Write signs perSecond writes each second until ctx ends, however long the
// earlier ones take, and waits for all of them.
func (v *Victim) Write(ctx context.Context, perSecond int) {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		v.writes++
		tag := fmt.Sprintf("t%d", v.writes)
		wg.Add(1)
		go func() {
			defer wg.Done()
			began := time.Now()
			err := v.write(context.WithoutCancel(ctx), tag)
			v.mu.Lock()
			defer v.mu.Unlock()
			v.took = append(v.took, time.Since(began))
			if err != nil {
				v.errs = append(v.errs, fmt.Errorf("write %s: %w", tag, err))
			}
		}()
	}
}

// Took is how long the writes since the last call took, and what failed.
func (v *Victim) Took() (Times, []error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	took, errs := v.took, v.errs
	v.took, v.errs = nil, nil
	slices.Sort(took)
	return took, errs
}

// Times are durations, shortest first.
type Times []time.Duration

// String shows how many there are, the median and the 99th percentile.
func (t Times) String() string {
	if len(t) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d writes, p50 %s, p99 %s", len(t),
		t[len(t)/2].Round(100*time.Microsecond), t[len(t)*99/100].Round(100*time.Microsecond))
}
