// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	helloTimeout = 5 * time.Second
	helloRetry   = 500 * time.Millisecond
	// leaderlessRetry is how often a member without a leader announces itself again.
	leaderlessRetry = 2 * time.Second
	// toldFor is how long the list of members from a hello is trusted.
	toldFor = 30 * time.Second
	// changeTimeout bounds a change of raft's configuration.
	changeTimeout = 5 * time.Second
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
	kick chan struct{}
	// done: the cluster has this member's record. refused: why it does not accept this member.
	done    atomic.Bool
	refused atomic.Pointer[string]
	// strangers is since when most others say that this member is none of
	// theirs; zero when they do not. The greeting goroutine's only.
	strangers time.Time

	mu    sync.Mutex
	names map[string]string
	at    time.Time
	// configured are the members of the newest committed configuration.
	configured map[string]bool
}

func newGreeter(seeds map[string]string) *greeter {
	return &greeter{kick: make(chan struct{}, 1), names: seeds, at: time.Now()}
}

// refresh asks for a new list of members, soon.
func (g *greeter) refresh() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

func (g *greeter) learn(members map[string]string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.names, g.at = members, time.Now()
}

// follow forgets members that a committed configuration has no more. Those that
// no configuration had so far are only on their way.
func (g *greeter) follow(members map[string]bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	kept := map[string]string{}
	for id, addr := range g.names {
		if members[id] || !g.configured[id] {
			kept[id] = addr
		}
	}
	g.names, g.configured = kept, members
}

// told reports whether a current member named this one lately.
func (g *greeter) told(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.names[id]
	return ok && time.Since(g.at) < toldFor
}

// address is where a member was last said to be.
func (g *greeter) address(id string) (string, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	addr, ok := g.names[id]
	return addr, ok
}

func (g *greeter) known() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]string, 0, len(g.names))
	for id := range g.names {
		out = append(out, id)
	}
	return out
}

// greet keeps this member announced until it stops.
func (n *Member) greet(ctx context.Context) {
	for {
		again := helloRetry
		if err := n.sayHello(ctx); err == nil {
			n.hello.done.Store(true)
			n.hello.refused.Store(nil)
			n.hello.strangers = time.Time{}
			n.changed.signal()
			if !n.waitToReannounce(ctx) {
				return
			}
			again = 50 * time.Millisecond
		} else {
			n.log.Debug("not announced yet", "error", err)
		}
		if !rest(ctx, n.changed.next(), again) && ctx.Err() != nil {
			return
		}
	}
}

// waitToReannounce returns true when the announcement should be repeated: an unknown
// member announced itself, or this one has had no leader for a while.
func (n *Member) waitToReannounce(ctx context.Context) bool {
	t := time.NewTicker(leaderlessRetry)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-n.hello.kick:
			return true
		case <-t.C:
			if _, recorded := n.record(n.id); !recorded || n.leaderID() == "" || !n.configured() {
				return true
			}
		}
	}
}

func (n *Member) configured() bool {
	for _, s := range n.servers() {
		if string(s.ID) == n.id {
			return true
		}
	}
	return false
}

func (n *Member) ownRecord() fsm.MemberRecord {
	return fsm.MemberRecord{ID: n.id, Peer: n.cfg.PeerAdvertise, Wire: n.cfg.WireAdvertise, Ops: n.cfg.OpsAdvertise,
		Version: n.cfg.Version, LevelMin: n.cfg.LevelMin, LevelMax: n.cfg.LevelMax, Keys: n.ring.Versions()}
}

// sayHello announces this member through whoever answers.
func (n *Member) sayHello(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	req := helloRequest{Record: n.ownRecord()}
	if n.leaderID() == n.id {
		_, perr := n.welcome(ctx, req.Record)
		if perr != nil {
			return perr
		}
		return nil
	}
	var failures error
	refusals, strangers, asked := 0, 0, n.others()
	for _, id := range asked {
		var reply helloReply
		err := n.callJSON(ctx, id, rpcHello, req, &reply)
		if err == nil {
			n.hello.learn(reply.Members)
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
		n.hello.refused.Store(&text)
	}
	if failures == nil {
		return errors.New("no other member is known")
	}
	n.noteStrangers(2*strangers > len(asked), failures)
	return failures
}

// noteStrangers ends this member once most others have said for a while that
// it is none of theirs: it was removed, and asking on would only fill logs. A
// single answer may come from one that has not heard of this member yet.
func (n *Member) noteStrangers(most bool, failures error) {
	switch {
	case !most:
		n.hello.strangers = time.Time{}
	case n.hello.strangers.IsZero():
		n.hello.strangers = time.Now()
	case time.Since(n.hello.strangers) >= n.cfg.Timeouts.Removed:
		n.fatal(ExitDamaged, fmt.Sprintf("member %s was removed from cluster %s; join again with an empty data directory (%v)", n.id, n.clusterID, failures))
	}
}

// others are the members to ask, the leader first.
func (n *Member) others() []string {
	leader := n.leaderID()
	seen := map[string]bool{n.id: true, "": true}
	var out []string
	add := func(id string) {
		if !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	add(leader)
	for _, s := range n.servers() {
		add(string(s.ID))
	}
	for _, id := range n.hello.known() {
		add(id)
	}
	return out
}

func (n *Member) handleHello(ctx context.Context, from string, payload []byte) ([]byte, *protocol.Error) {
	var req helloRequest
	if err := json.Unmarshal(payload, &req); err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "hello cannot be read")
	}
	if !req.Forwarded && req.Record.ID != from {
		return nil, protocol.Errorf(protocol.CodePermissionDenied, "member %s announced member %s", from, req.Record.ID)
	}
	return n.routeOnce(ctx, rpcHello, &req.Forwarded, &req, func(ctx context.Context) ([]byte, *protocol.Error) {
		reply, err := n.welcome(ctx, req.Record)
		if err != nil {
			return nil, err
		}
		return encodeJSON(reply)
	})
}

// welcome records a member, on the leader, adds it when it is new and updates
// its address in raft's configuration when it moved. It holds the membership,
// and looks at a state that has the whole configuration: a member that is
// being removed must not be taken for one that is joining.
func (n *Member) welcome(ctx context.Context, rec fsm.MemberRecord) (helloReply, *protocol.Error) {
	n.membership.Lock()
	defer n.membership.Unlock()
	if err := n.mayLead(); err != nil {
		return helloReply{}, err
	}
	if conf := n.raft.GetConfiguration(); conf.Error() == nil {
		if err := n.WaitApplied(ctx, conf.Index()); err != nil {
			return helloReply{}, err
		}
	}
	if err := n.checkLevels(rec.Version, rec.LevelMin, rec.LevelMax); err != nil {
		return helloReply{}, err
	}
	if err := checkReach(rec.Peer, rec.ID, n.servers()); err != nil {
		return helloReply{}, err
	}
	current, known := n.record(rec.ID)
	if known {
		rec.NonVoter = current.NonVoter
	}
	if !known || !reflect.DeepEqual(current, rec) {
		if !known && !n.inConfiguration(rec.ID) {
			return helloReply{}, protocol.Errorf(protocol.CodeNotFound, "member %s was removed from the cluster; join again with an empty data directory", rec.ID)
		}
		if err := n.proposeDecided(ctx, fsm.KindMemberHello, rec); err != nil {
			return helloReply{}, err
		}
	}
	if err := n.configure(rec); err != nil {
		return helloReply{}, err
	}
	return helloReply{Members: n.addresses(), Level: n.Root().Level()}, nil
}

func (n *Member) record(id string) (fsm.MemberRecord, bool) {
	for _, m := range n.Root().Members() {
		if m.ID == id {
			return m, true
		}
	}
	return fsm.MemberRecord{}, false
}

func (n *Member) inConfiguration(id string) bool {
	for _, s := range n.servers() {
		if string(s.ID) == id {
			return true
		}
	}
	return false
}

// configure brings raft's configuration in line with a member's record. It
// never changes who votes. The caller holds the membership.
func (n *Member) configure(rec fsm.MemberRecord) *protocol.Error {
	id, addr := raft.ServerID(rec.ID), raft.ServerAddress(rec.Peer)
	for _, s := range n.servers() {
		if s.ID == id {
			if s.Address == addr {
				return nil
			}
			fault.Hit(fault.MembershipBefore)
			if s.Suffrage == raft.Voter {
				return changeOutcome(n.raft.AddVoter(id, addr, 0, changeTimeout).Error())
			}
			return changeOutcome(n.raft.AddNonvoter(id, addr, 0, changeTimeout).Error())
		}
	}
	fault.Hit(fault.MembershipBefore)
	return changeOutcome(n.raft.AddNonvoter(id, addr, 0, changeTimeout).Error())
}

// addresses of the configured members, by id.
func (n *Member) addresses() map[string]string {
	out := map[string]string{}
	for _, s := range n.servers() {
		out[string(s.ID)] = string(s.Address)
	}
	return out
}
