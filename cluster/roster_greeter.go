// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	helloTimeout = 5 * time.Second
	helloRetry   = 500 * time.Millisecond
	// leaderlessRetry is how often a member without a leader announces itself again.
	leaderlessRetry = 2 * time.Second
)

type helloRequest struct {
	Record    fsm.MemberRecord `json:"record"`
	Forwarded bool             `json:"forwarded,omitempty"`
}

type helloReply struct {
	Members map[string]string `json:"members"`
	Level   uint32            `json:"level"`
}

// greeter announces this member to the cluster at every boot, which also adds
// it after a join, and learns who the members are when raft cannot tell yet.
type greeter struct {
	*self
	said   *hearsay
	ring   interface{ Versions() []uint32 }
	peers  caller
	roster interface {
		ids() []string
		has(id string) bool
		record(id string) (fsm.MemberRecord, bool)
		welcome(ctx context.Context, rec fsm.MemberRecord) (helloReply, *protocol.Error)
	}
	term   interface{ leaderID() string }
	health interface{ fatal(code int, reason string) }

	// done: the cluster has this member's record. refused: why it does not accept this member.
	done    atomic.Bool
	refused atomic.Pointer[string]
	// strangers is since when most others say that this member is not
	// one of theirs; zero when they do not. The greeting goroutine's only.
	strangers time.Time
}

// greet keeps this member announced until it stops.
func (g *greeter) greet(ctx context.Context) {
	for {
		again := helloRetry
		if err := g.sayHello(ctx); err == nil {
			g.done.Store(true)
			g.refused.Store(nil)
			g.strangers = time.Time{}
			g.changed.signal()
			if !g.waitToReannounce(ctx) {
				return
			}
			again = 50 * time.Millisecond
		} else {
			g.log.Debug("not announced yet", "error", err)
		}
		if !rest(ctx, g.changed.next(), again) && ctx.Err() != nil {
			return
		}
	}
}

// waitToReannounce returns true when the announcement should be repeated: a
// member that is not known connected, or this one has had no leader for a while.
func (g *greeter) waitToReannounce(ctx context.Context) bool {
	t := time.NewTicker(leaderlessRetry)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-g.said.kick:
			return true
		case <-t.C:
			if _, recorded := g.roster.record(g.id); !recorded || g.term.leaderID() == "" || !g.roster.has(g.id) {
				return true
			}
		}
	}
}

func (g *greeter) ownRecord() fsm.MemberRecord {
	return fsm.MemberRecord{ID: g.id, Peer: g.cfg.PeerAdvertise, Wire: g.cfg.WireAdvertise, Ops: g.cfg.OpsAdvertise,
		Version: g.cfg.Version, LevelMin: g.cfg.LevelMin, LevelMax: g.cfg.LevelMax, Keys: g.ring.Versions()}
}

// sayHello announces this member through any member that answers.
func (g *greeter) sayHello(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	req := helloRequest{Record: g.ownRecord()}
	if g.term.leaderID() == g.id {
		_, e := g.roster.welcome(ctx, req.Record)
		if e != nil {
			return e
		}
		return nil
	}
	var failures error
	refusals, strangers, asked := 0, 0, g.others()
	for _, id := range asked {
		var reply helloReply
		err := callJSON(ctx, g.peers, id, rpcHello, req, &reply)
		if err == nil {
			g.said.learn(reply.Members)
			return nil
		}
		var refused *protocol.Error
		if notMember(err) || (errors.As(err, &refused) && !refused.Retryable()) {
			refusals++
		}
		if notMember(err) || (refused != nil && refused.Code == protocol.CodeNotFound) {
			strangers++
		}
		failures = errors.Join(failures, err)
	}
	if len(asked) > 0 && 2*refusals > len(asked) {
		text := failures.Error()
		g.refused.Store(&text)
	}
	if failures == nil {
		return errors.New("no other member is known")
	}
	g.noteStrangers(2*strangers > len(asked), failures)
	return failures
}

// noteStrangers ends this member once most others have said for a while that
// it is not one of theirs: it was removed, and asking again would only fill logs. A
// single answer may come from one that has not heard of this member yet.
func (g *greeter) noteStrangers(most bool, failures error) {
	switch {
	case !most:
		g.strangers = time.Time{}
	case g.strangers.IsZero():
		g.strangers = time.Now()
	case time.Since(g.strangers) >= g.cfg.Timeouts.Removed:
		g.health.fatal(ExitDamaged, fmt.Sprintf("member %s was removed from cluster %s; join again with an empty data directory (%v)", g.id, g.clusterID, failures))
	}
}

// others are the members to ask, the leader first.
func (g *greeter) others() []string {
	leader := g.term.leaderID()
	seen := map[string]bool{g.id: true, "": true}
	var out []string
	add := func(id string) {
		if !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	add(leader)
	for _, id := range g.roster.ids() {
		add(id)
	}
	for _, id := range g.said.known() {
		add(id)
	}
	return out
}

// announced says whether the cluster has this member's record, and if not, why
// it does not accept this member.
func (g *greeter) announced() (done bool, refused string) {
	if r := g.refused.Load(); r != nil {
		refused = *r
	}
	return g.done.Load(), refused
}
