// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"reflect"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// changeTimeout bounds a change of raft's configuration.
const changeTimeout = 5 * time.Second

func (r *roster) handleHello(ctx context.Context, from string, payload []byte) ([]byte, *protocol.Error) {
	var req helloRequest
	if err := json.Unmarshal(payload, &req); err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "hello cannot be read")
	}
	if !req.Forwarded && req.Record.ID != from {
		return nil, protocol.Errorf(protocol.CodePermissionDenied, "member %s announced member %s", from, req.Record.ID)
	}
	return r.router.once(ctx, rpcHello, &req.Forwarded, &req, func(ctx context.Context) ([]byte, *protocol.Error) {
		reply, e := r.welcome(ctx, req.Record)
		if e != nil {
			return nil, e
		}
		return encodeJSON(reply)
	})
}

// welcome records a member, on the leader, adds it when it is new and updates
// its address in raft's configuration when it moved. It holds the lock on
// changes, and looks at a state that has the whole configuration: a member that
// is being removed must not be taken for one that is joining.
func (r *roster) welcome(ctx context.Context, rec fsm.MemberRecord) (helloReply, *protocol.Error) {
	r.changes.Lock()
	defer r.changes.Unlock()
	if e := r.term.mayLead(); e != nil {
		return helloReply{}, e
	}
	if conf := r.raft.GetConfiguration(); conf.Error() == nil {
		if e := r.reads.waitApplied(ctx, conf.Index()); e != nil {
			return helloReply{}, e
		}
	}
	if e := r.checkLevels(rec.Version, rec.LevelMin, rec.LevelMax); e != nil {
		return helloReply{}, e
	}
	if e := r.checkReach(rec.Peer, rec.ID); e != nil {
		return helloReply{}, e
	}
	current, known := r.record(rec.ID)
	if known {
		rec.NonVoter = current.NonVoter
	}
	if !known || !reflect.DeepEqual(current, rec) {
		if !known && !r.has(rec.ID) {
			return helloReply{}, protocol.Errorf(protocol.CodeNotFound, "member %s was removed from the cluster; join again with an empty data directory", rec.ID)
		}
		if e := r.writes.proposeDecided(ctx, fsm.KindMemberHello, rec); e != nil {
			return helloReply{}, e
		}
	}
	if e := r.configure(rec); e != nil {
		return helloReply{}, e
	}
	return helloReply{Members: r.addresses(), Level: r.Root().Level()}, nil
}

// configure brings raft's configuration in line with a member's record. It
// never changes who votes. The caller holds the lock on changes.
func (r *roster) configure(rec fsm.MemberRecord) *protocol.Error {
	id, addr := raft.ServerID(rec.ID), raft.ServerAddress(rec.Peer)
	s, configured := r.find(rec.ID)
	if configured && s.Address == addr {
		return nil
	}
	fault.Hit(fault.MembershipBefore)
	if configured && s.Suffrage == raft.Voter {
		return changeOutcome(r.raft.AddVoter(id, addr, 0, changeTimeout).Error())
	}
	return changeOutcome(r.raft.AddNonvoter(id, addr, 0, changeTimeout).Error())
}

// checkLevels refuses binaries that cannot run at the cluster's feature level.
func (r *roster) checkLevels(version string, lo, hi uint32) *protocol.Error {
	if level := r.Root().Level(); level < lo || level > hi {
		return protocol.Errorf(protocol.CodeFeatureNotActive,
			"binary %q runs at feature levels %d to %d, the cluster is at %d; use a version that supports level %d", version, lo, hi, level, level)
	}
	return nil
}

// checkReach refuses to mix loopback addresses with others: such members could
// never reach one another.
func (r *roster) checkReach(addr, self string) *protocol.Error {
	if err := CheckAdvertise(addr); err != nil {
		return protocol.Errorf(protocol.CodeInvalid, "%v", err)
	}
	for _, s := range r.servers() {
		if string(s.ID) != self && isLoopback(string(s.Address)) != isLoopback(addr) {
			return protocol.Errorf(protocol.CodeInvalid,
				"peer address %s does not go with %s of member %s: loopback addresses work only when all members use them; set peer_advertise", addr, s.Address, s.ID)
		}
	}
	return nil
}
