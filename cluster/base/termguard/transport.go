// SPDX-License-Identifier: Apache-2.0

package termguard

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
)

// Transport is raft's transport under guard. It embeds the real one, so that
// raft finds everything on it that it looks for, pre-votes among them.
type Transport struct {
	*raft.NetworkTransport
	g        *Guard
	received chan raft.RPC
	closed   chan struct{}
	once     sync.Once
}

var (
	_ raft.Transport   = (*Transport)(nil)
	_ raft.WithPreVote = (*Transport)(nil)
	_ raft.WithClose   = (*Transport)(nil)
)

// Transport puts the transport under guard. Close ends it.
func (g *Guard) Transport(inner *raft.NetworkTransport) *Transport {
	t := &Transport{NetworkTransport: inner, g: g, received: make(chan raft.RPC), closed: make(chan struct{})}
	go t.receive()
	fault.OnStand(t.stand)
	return t
}

// Close closes the transport.
func (t *Transport) Close() error {
	t.once.Do(func() { close(t.closed) })
	return t.NetworkTransport.Close()
}

// memberOf is the member in an address as raft encodes it here: id@host:port.
func memberOf(peer []byte) string {
	id, _, _ := strings.Cut(string(peer), "@")
	return id
}

// AppendEntries sends entries or a heartbeat, in terms in which this member
// was elected only.
func (t *Transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if err := t.g.elected(args.Term); err != nil {
		return err
	}
	if err := newerThan(args); err != nil {
		return err
	}
	switch {
	case len(args.Entries) > 0:
		fault.Hit(fault.AppendEntries)
	case args.PrevLogEntry > 0: // no heartbeat
		fault.Hit(fault.AppendIdle)
	}
	out := *args // raft uses its own again
	shownOnly(&out)
	t.g.signPrevious(&out)
	err := t.NetworkTransport.AppendEntries(id, target, &out, resp)
	if err == nil && resp.Success {
		t.g.acknowledged(string(id), &out)
	}
	return err
}

// AppendEntriesPipeline is not offered: every message passes the guard, and
// pipelines can wedge.
func (t *Transport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// InstallSnapshot sends a snapshot, in terms in which this member was elected only.
func (t *Transport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if err := t.g.elected(args.Term); err != nil {
		return err
	}
	return t.NetworkTransport.InstallSnapshot(id, target, args, resp, data)
}

// RequestPreVote asks whether a member would vote for this one.
func (t *Transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	if vote, _ := t.g.opts.Withheld(); vote {
		return ErrWithheld
	}
	return t.NetworkTransport.RequestPreVote(id, target, args, resp)
}

// RequestVote asks for a vote.
func (t *Transport) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	if vote, _ := t.g.opts.Withheld(); vote {
		return ErrWithheld
	}
	if t.g.leaders.newest() == string(id) {
		fault.Hit(fault.VoteToLeader)
	}
	err := t.NetworkTransport.RequestVote(id, target, args, resp)
	if err == nil && resp.Granted {
		t.g.opts.Acknowledged(string(id), 0, 0, args.Term)
	}
	return err
}

// Consumer is where raft receives requests.
func (t *Transport) Consumer() <-chan raft.RPC { return t.received }

// SetHeartbeatHandler sets who gets heartbeats that tell nothing new. They come
// past the consumer.
func (t *Transport) SetHeartbeatHandler(handle func(raft.RPC)) {
	if handle == nil {
		t.NetworkTransport.SetHeartbeatHandler(nil)
		return
	}
	t.NetworkTransport.SetHeartbeatHandler(func(rpc raft.RPC) {
		if t.g.admit(rpc) && !t.g.heartbeat(rpc, handle) {
			t.deliver(rpc)
		}
	})
}

// receive hands on to raft what may reach it.
func (t *Transport) receive() {
	for {
		select {
		case <-t.closed:
			return
		case rpc := <-t.NetworkTransport.Consumer():
			if t.g.admit(rpc) {
				t.deliver(rpc)
			}
		}
	}
}

// deliver hands a request to raft's main loop.
func (t *Transport) deliver(rpc raft.RPC) {
	select {
	case t.received <- rpc:
	case <-t.closed:
		rpc.Respond(nil, raft.ErrTransportShutdown)
	}
}

// stand makes this member a candidate, as the last leader's request to take
// over does. Only fault tests can ask for it.
func (t *Transport) stand() {
	rpc := raft.RPC{
		Command:  &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}},
		RespChan: make(chan raft.RPCResponse, 1),
	}
	select {
	case t.received <- rpc:
	case <-t.closed:
	}
}

// newerThan refuses a request that carries an entry of a later term than its
// own: no leader of the request's term can have made or seen it.
func newerThan(a *raft.AppendEntriesRequest) error {
	for _, e := range a.Entries {
		if e.Term > a.Term {
			return fmt.Errorf("%w: an entry of term %d at index %d does not belong into a message of term %d", ErrNotElected, e.Term, e.Index, a.Term)
		}
	}
	return nil
}

// shownOnly lowers the commit index of a request to the last entry that it
// shows to match (figure 2 of the Raft paper, AppendEntries, step 5). Raft
// reads the commit index after it has decided what to send, and a follower
// takes the smaller of it and the end of its log, where entries may be
// left that were never committed.
func shownOnly(a *raft.AppendEntriesRequest) {
	shown := a.PrevLogEntry
	if n := len(a.Entries); n > 0 {
		shown = a.Entries[n-1].Index
	}
	a.LeaderCommitIndex = min(a.LeaderCommitIndex, shown)
}
