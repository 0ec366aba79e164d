// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"strings"
	"sync/atomic"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// beaconShares is the size of the list of all beacons, in bytes: deployed
// clients refuse frames over 64 KiB. It is shared out among those who announce.
var beaconShares = share.Parts{Total: 56 << 10, Modest: true}

// beaconCost is about what a beacon takes in the list.
func beaconCost(addr string) int64 { return int64(len(`{"addr":"","id":4294967295},`) + len(addr)) }

func decideBeaconRegister(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.BeaconRegister)
	if c.actor.Node != 0 && v.nodes.signer(c.actor) == nil {
		return nil, protocol.Refusef(protocol.CodeSignatureInvalid, "signature verification failed")
	}
	old, known := v.beacons.records.Get(r.BeaconID)
	live := known && v.meta.now-old.at <= beaconTTL
	by := bearerOf(r, c.actor, c.source)
	if live && old.bearer.principal != "" && old.bearer.principal != by.principal && !v.adminToken(c) {
		return nil, protocol.Refusef(protocol.CodePermissionDenied,
			"beacon %d is announced with a signature of somebody else; it is free when it has been silent for a minute", r.BeaconID)
	}
	if e := newestAnnouncement(v, old, r, by); e != nil {
		return nil, e
	}
	if e := v.beacons.roomFor(old, r, &by); e != nil {
		return nil, e
	}
	signed := r.SignedAt
	if known {
		signed = max(signed, old.signed)
	}
	return func(x *txn) any {
		// Refreshes come every 30 seconds and would flood the log.
		if !live || old.addr != r.Addr {
			x.begin(protocol.EventBeaconRegistered).num("beacon_id", uint64(r.BeaconID)).str("addr", r.Addr).end()
			beaconListChanged(x)
		} else if old.bearer.principal != by.principal {
			beaconListChanged(x) // another may be handed out as the relay
		}
		x.putBeacon(r.BeaconID, &beacon{addr: r.Addr, at: x.meta.now, signed: signed, bearer: by})
		return &protocol.BeaconRegisterReply{Type: "beacon_register_ok", BeaconID: r.BeaconID}
	}, nil
}

// newestAnnouncement refuses a signed announcement that is older than the last
// one of its signer, or of the previous holder of the beacon. Anyone who has
// its bytes can send it again, and it must not move the beacon back. One that
// repeats what is known is a refresh, also from a clock that was set back.
func newestAnnouncement(v *view, old *beacon, r *protocol.BeaconRegister, by bearer) *protocol.Error {
	if r.SignedAt == 0 {
		return nil
	}
	if e := v.freshSignature(r.SignedAt); e != nil {
		return e
	}
	if old == nil || r.SignedAt > old.signed || old.addr == r.Addr && old.bearer.principal == by.principal {
		return nil
	}
	return protocol.Refusef(protocol.CodeSignatureExpired,
		"signature expired: this announcement of beacon %d was signed at %s, and there is another that was signed at %s or later; sign again", r.BeaconID, utc(r.SignedAt), utc(old.signed))
}

// forgettable reports whether a beacon is silent, and whether none of its
// signed announcements that are older than the newest could still count.
func (b *beacon) forgettable(now int64) bool {
	return now-b.at > beaconTTL && now-b.signed > protocol.SignedWindowMS
}

// roomFor refuses what would not fit the list beside old, which it
// replaces (nil for none), or more than its bearer's part of it.
func (st *beaconStore) roomFor(old *beacon, r *protocol.BeaconRegister, by *bearer) *protocol.Error {
	more := beaconCost(r.Addr)
	if old != nil {
		if more -= beaconCost(old.addr); more <= 0 && old.bearer == *by {
			return nil
		}
	}
	switch st.bytes.allows(beaconShares, by, max(more, 1)) {
	case share.Within:
		return nil
	case share.WholeTotal:
		return protocol.Refusef(protocol.CodeLimitReached, "too many beacons: the list of all is full (%d KiB); try again in a few minutes", beaconShares.Total>>10)
	}
	return protocol.Refusef(protocol.CodeLimitReached, "too many beacons from %s: it has its part of the list", by.source)
}

// beaconList is the list as it is sent, for all who ask until it changes: it
// is one copy in memory, however many read it.
type beaconList struct {
	revision uint64
	until    int64  // the log time to which nothing in it expires
	reply    any    // [protocol.Rendered]
	relay    string // see [view.relay]
}

type beaconCache = atomic.Pointer[beaconList]

func readBeaconList(v *view, _ *invocation) (any, *protocol.Error) { return v.listBeacons().reply, nil }

// relay is where packets for a node go that can only be reached through a
// relay: the configured one, else a beacon, first those that were announced
// with a token, then those of nodes, then those of strangers. It is the same
// for all nodes and on all members, and "" when there is none.
func (v *view) relay(c *invocation) string {
	if c.relay != "" {
		return c.relay
	}
	return v.listBeacons().relay
}

// rank orders beacons by who announced them, the best first.
func (b *beacon) rank() int {
	switch {
	case strings.HasPrefix(b.bearer.principal, scopeToken):
		return 0
	case b.bearer.principal != "":
		return 1
	}
	return 2
}

func (v *view) listBeacons() *beaconList {
	if l := v.beacons.cache.Get().Load(); l != nil && l.revision == v.beacons.revision.Get() && v.meta.now <= l.until {
		return l
	}
	best := 3
	l := &beaconList{revision: v.beacons.revision.Get(), until: maxTime}
	reply := &protocol.BeaconListReply{Type: "beacon_list_ok", Beacons: []protocol.Beacon{}}
	v.beacons.records.Scan(func(id uint32, b *beacon) bool {
		if v.meta.now-b.at <= beaconTTL {
			l.until = min(l.until, b.at+beaconTTL)
			reply.Beacons = append(reply.Beacons, protocol.Beacon{ID: id, Addr: b.addr})
			if rank := b.rank(); rank < best { // the lowest id of its rank
				best, l.relay = rank, b.addr
			}
		}
		return true
	})
	l.reply = render(reply)
	v.beacons.cache.Get().Store(l)
	return l
}
