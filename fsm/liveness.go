// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Spans of silence, in milliseconds of log time.
const (
	// offlineAfter is the silence after which a node goes offline.
	offlineAfter = 3 * 60 * 1000
	// releaseAfter is the time offline after which a node's name and looks
	// are given up.
	releaseAfter = dayMS
	// expiryWarning is how long before the end of its key a node is warned.
	expiryWarning = dayMS
	// blockedEvery is how often the blocked heartbeats of one node are audited.
	blockedEvery = 60 * 60 * 1000
	// beaconTTL is the life of a beacon without refresh.
	beaconTTL = 60 * 1000
)

// decideHeartbeat follows docs/protocol/nodes.md#heartbeat. An offline node's heartbeat brings it
// back; to anybody who is not that node it is not there.
func decideHeartbeat(v *view, c *invocation) (effect, *protocol.Error) {
	id := c.body.(*protocol.NodeRequest).NodeID
	n, ok := v.nodes.records.Get(id)
	if !ok || !n.reachable() {
		return nil, noNode(id)
	}
	if e := v.signed(c, n); e != nil {
		if !n.live() {
			e = noNode(id)
		}
		return nil, e
	}
	if n.expires != 0 && n.expires < v.meta.now {
		e := protocol.Refusef(protocol.CodeKeyExpired, "node %d: key expired at %s", id, utc(n.expires))
		if at, known := v.nodes.blocked.Get(id); known && v.meta.now-int64(at) < blockedEvery {
			return nil, e
		}
		return noteBlocked(id), e
	}
	return func(x *txn) any { return heartbeat(x, n) }, nil
}

func noteBlocked(id uint32) effect {
	return func(x *txn) any {
		setBlocked(x, id)
		x.begin(protocol.EventHeartbeatBlocked).node(id).end()
		return nil
	}
}

func heartbeat(x *txn, n *node) any {
	if !n.live() {
		x.edit(n, func(n *node) { n.state, n.offlineAt = stateLive, 0 })
	}
	x.markSeen(n.id)
	warn := n.expires != 0 && n.expires < x.meta.now+expiryWarning
	return &protocol.HeartbeatReply{KeyExpiryWarning: warn, Time: x.meta.now / 1000, Type: "heartbeat_ok"}
}

// silent reports whether a node that was last seen in the given second has
// been silent for too long. The beginning of a leader's term counts as a sign
// of life of everybody, so that nobody is lost to a fail-over.
func (v *view) silent(sec second, now int64) bool {
	last := int64(max(sec, seconds(v.meta.grace)))
	return int64(seconds(now))-last > offlineAfter/1000
}

func releasable(v *view, n *node, now int64) bool {
	return n.state == stateOffline && now-n.offlineAt >= releaseAfter
}

// decideSweep carries out what time has overtaken. Ids that no longer qualify
// are passed over: they gave a sign of life since they were named.
func decideSweep(v *view, s *Sweep) (effect, *protocol.Error) {
	if s.Term != v.meta.leaderTerm {
		return nil, staleTerm(s.Term, v.meta.leaderTerm)
	}
	return func(x *txn) any {
		for _, id := range s.Offline {
			sweepOffline(x, id)
		}
		for _, id := range s.Release {
			sweepRelease(x, id)
		}
		for _, id := range s.Beacons {
			if b, ok := x.beacons.records.Get(id); ok && b.forgettable(x.meta.now) {
				x.dropBeacon(id)
			}
		}
		if s.Sessions {
			expireSessions(x, sweepRecords)
			expireResults(x, sweepRecords)
			expireTokens(x)
		}
		sweepDue(x, min(s.Due, sweepRecords))
		return ok("sweep")
	}, nil
}

// sweepRecords bounds how many remembered results one sweep forgets.
const sweepRecords = 4096

func sweepOffline(x *txn, id uint32) {
	n := x.nodes.live(id)
	if n == nil {
		return
	}
	sec, _ := x.nodes.seen.Get(id)
	if !x.silent(sec, x.meta.now) {
		return
	}
	ago := time.Duration(int64(seconds(x.meta.now))-int64(sec)) * time.Second
	x.begin(protocol.EventNodeReaped).node(id).str("reason", "stale_heartbeat").str("last_seen_ago", ago.String()).
		num("networks", uint64(len(x.networks.of(id))+1)).end()
	x.edit(n, func(n *node) { n.state, n.offlineAt = stateOffline, x.meta.now })
	dropSeen(x, id)
}

func sweepRelease(x *txn, id uint32) {
	n, had := x.nodes.records.Get(id)
	if !had || !releasable(&x.view, n, x.meta.now) {
		return
	}
	x.begin(protocol.EventNodeReleased).node(id).person("hostname", n.hostname).end()
	x.edit(n, func(n *node) {
		n.state, n.hostname, n.tags, n.polo = stateReleased, "", nil, 0
		n.set(flagPublic|flagTaskExec, false)
	})
}

func expireTokens(x *txn) {
	var keys []string
	x.cluster.tokens.Scan(func(k string, t *token) bool {
		if x.expired(t) {
			keys = append(keys, k)
		}
		return true
	})
	for _, k := range keys {
		dropToken(x, k)
	}
}

// sweepScan is how many node ids one search for silent nodes looks at. A
// leader that searches every second sees a million nodes in four seconds,
// which is little beside the three minutes of silence.
const sweepScan = 1 << 18

// SweepCandidates proposes what time has overtaken at now (Unix
// milliseconds): at most limit ids of each kind. Apply decides again.
//
// It is cheap enough for every second with a million nodes: silent nodes are
// looked for in a slice of the dense table of signs of life, each call going
// on where the last one stopped; offline nodes and expiring results are kept
// in order of time, and beacons are few.
func (r *Root) SweepCandidates(now int64, limit int) Sweep {
	s := Sweep{Term: r.meta.leaderTerm}
	if !r.silent(0, now) { // the grace of a new term covers everybody
		r.sweepAt.Store(0)
	} else {
		r.sweepAt.Store(r.nodes.seen.Window(r.sweepAt.Load(), sweepScan, func(id uint32, sec second) bool {
			if r.silent(sec, now) {
				s.Offline = append(s.Offline, id)
			}
			return len(s.Offline) < limit
		}))
	}
	r.nodes.offline.Ascend(0, func(k uint64, id uint32) bool {
		n, _ := r.nodes.records.Get(id)
		if int64(k>>32)*1000 > now-releaseAfter || len(s.Release) >= limit {
			return false
		}
		if releasable(&r.view, n, now) {
			s.Release = append(s.Release, id)
		}
		return true
	})
	r.beacons.records.Scan(func(id uint32, b *beacon) bool {
		if b.forgettable(now) {
			s.Beacons = append(s.Beacons, id)
		}
		return len(s.Beacons) < limit
	})
	s.Sessions = somethingExpired(&r.view, now)
	s.Due = r.dueUpTo(now, limit)
	return s
}

// somethingExpired reports whether a session, a remembered result or a token
// is past its time.
func somethingExpired(v *view, now int64) bool {
	expired := false
	if _, key, ok := v.once.byExpiry.First(); ok {
		r, _ := v.once.results.Get(key)
		expired = r.expires <= now
	}
	v.cluster.tokens.Scan(func(_ string, t *token) bool {
		expired = expired || t.Expires != 0 && t.Expires <= now
		return !expired
	})
	v.once.sessions.Scan(func(k string, s session) bool {
		expired = expired || now-s.used >= sessionTTL
		if !expired {
			v.once.minted.Ascend(k, func(m string, r *result) bool {
				expired = m[:sessionBytes] == k && r.expires <= now
				return false
			})
		}
		return !expired
	})
	return expired
}

// Empty reports whether there is nothing to sweep.
func (s *Sweep) Empty() bool {
	return len(s.Offline) == 0 && len(s.Release) == 0 && len(s.Beacons) == 0 && !s.Sessions && s.Due == 0
}
