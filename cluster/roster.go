// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// rosterRaft is raft's configuration, and how it is changed.
type rosterRaft interface {
	GetConfiguration() raft.ConfigurationFuture
	AddVoter(id raft.ServerID, address raft.ServerAddress, prevIndex uint64, timeout time.Duration) raft.IndexFuture
	AddNonvoter(id raft.ServerID, address raft.ServerAddress, prevIndex uint64, timeout time.Duration) raft.IndexFuture
	DemoteVoter(id raft.ServerID, prevIndex uint64, timeout time.Duration) raft.IndexFuture
	RemoveServer(id raft.ServerID, prevIndex uint64, timeout time.Duration) raft.IndexFuture
	LeadershipTransfer() raft.Future
	LastIndex() uint64
}

// proposer brings the cluster's own commands into the log. A decided refusal
// is an error.
type proposer interface {
	proposeFor(ctx context.Context, by asker, code protocol.Code, body any) *protocol.Error
	proposeDecided(ctx context.Context, code protocol.Code, body any) *protocol.Error
}

// statusAsker asks a member what it says of itself.
type statusAsker interface {
	ask(ctx context.Context, id string) (memberStatus, error)
}

// roster knows who belongs to the cluster, and changes it: members are added,
// moved, promoted and removed here, on the leader.
type roster struct {
	*self
	ring *keyring.Keyring
	// epoch counts the recoveries of the cluster, for members that join.
	epoch    uint64
	identity interface{ CAHash() string }
	raft     rosterRaft
	conns    interface{ Connected(id string) bool }
	router   *router
	clock    interface{ now() time.Time }
	term     interface{ mayLead() *protocol.Error }
	writes   proposer
	reads    interface {
		readIndex(ctx context.Context) (uint64, *protocol.Error)
		waitApplied(ctx context.Context, index uint64) *protocol.Error
	}
	status statusAsker
	marks  *marks
	peers  caller
	said   *hearsay
	// changes serialises changes of raft's configuration.
	changes sync.Mutex
}

// servers of the latest configuration this member knows.
func (r *roster) servers() []raft.Server {
	f := r.raft.GetConfiguration()
	if f.Error() != nil {
		return nil
	}
	return f.Configuration().Servers
}

// voters of the latest configuration this member knows.
func (r *roster) voters() []raft.Server {
	var out []raft.Server
	for _, s := range r.servers() {
		if s.Suffrage == raft.Voter {
			out = append(out, s)
		}
	}
	return out
}

// ids of the configured members, in the order of the configuration.
func (r *roster) ids() []string {
	var out []string
	for _, s := range r.servers() {
		out = append(out, string(s.ID))
	}
	return out
}

// addresses of the configured members, by id.
func (r *roster) addresses() map[string]string {
	out := map[string]string{}
	for _, s := range r.servers() {
		out[string(s.ID)] = string(s.Address)
	}
	return out
}

// find looks a member up in the configuration.
func (r *roster) find(id string) (raft.Server, bool) {
	for _, s := range r.servers() {
		if string(s.ID) == id {
			return s, true
		}
	}
	return raft.Server{}, false
}

// has reports whether the configuration has a member.
func (r *roster) has(id string) bool {
	_, ok := r.find(id)
	return ok
}

// named is find with an error for the operator.
func (r *roster) named(id string) (raft.Server, *protocol.Error) {
	s, ok := r.find(id)
	if !ok {
		return s, protocol.Errorf(protocol.CodeNotFound, "no member %s in this cluster; `pilotctl cluster members` lists them", id)
	}
	return s, nil
}

// record is what the state holds of a member.
func (r *roster) record(id string) (fsm.MemberRecord, bool) {
	for _, m := range r.Root().Members() {
		if m.ID == id {
			return m, true
		}
	}
	return fsm.MemberRecord{}, false
}

// knows reports whether a member may connect: it is configured, it has joined
// but is not configured yet, or a current member has just named it.
func (r *roster) knows(id string) bool {
	if r.has(id) {
		return true
	}
	_, recorded := r.record(id)
	return recorded || r.said.recentlyNamed(id)
}

// peersUp splits the other members by whether a connection to them is up.
func (r *roster) peersUp() (up, down []string) {
	for _, s := range r.servers() {
		id := string(s.ID)
		switch {
		case id == r.id:
		case r.conns.Connected(id):
			up = append(up, id)
		default:
			down = append(down, id)
		}
	}
	return up, down
}

// reachability names who can be reached, for error texts.
func (r *roster) reachability() string {
	up, down := r.peersUp()
	text := fmt.Sprintf("member %s reaches %s", r.id, list(up))
	if len(down) > 0 {
		text += ", not " + list(down)
	}
	answering, voters := 0, r.voters()
	for _, v := range voters {
		if id := string(v.ID); id == r.id || slices.Contains(up, id) {
			answering++
		}
	}
	if answering < len(voters)/2+1 {
		text = fmt.Sprintf("no quorum: %d of %d voters answer; %s", answering, len(voters), text)
	}
	return text
}

func list(ids []string) string {
	if len(ids) == 0 {
		return "nobody"
	}
	return strings.Join(ids, ", ")
}
