// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"slices"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// nodeStore holds the nodes and what is noted about single ones.
type nodeStore struct {
	records  table.Table[uint32, *node]
	seen     table.Table[uint32, second]
	blocked  table.Table[uint32, millis]
	rejected table.Table[uint32, millis]
	// provenKeys are marks of keys that have proved themselves and belong to no node.
	provenKeys table.Table[string, nothing]

	byKey    table.Index[string, uint32]  // raw public key -> node
	byHost   table.Index[string, uint32]  // hostname -> node
	byOwner  table.Index[string, uint32]  // owner, node -> node
	byPerson table.Index[string, uint32]  // folded external id, node -> node
	liveIDs  table.Index[uint32, nothing] // ids of live nodes
	offline  table.Index[uint64, uint32]  // second of going offline, node -> node

	// tagged counts the live nodes that have a tag, executors those that execute tasks.
	tagged    table.Index[string, int]
	executors table.Value[int]
}

var nodeTable = declaration[uint32, *node]{
	schema: table.Schema[uint32, *node]{Kind: kindNode, AppendKey: table.AppendKey32, ReadKey: table.ReadKey32, Read: readNode, Map: table.Dense[*node]},
	in:     func(v *view) *table.Table[uint32, *node] { return &v.nodes.records },
	indexes: []place{
		func(v *view) table.Part { return &v.nodes.byKey },
		func(v *view) table.Part { return &v.nodes.byHost },
		func(v *view) table.Part { return &v.nodes.byOwner },
		func(v *view) table.Part { return &v.nodes.byPerson },
		func(v *view) table.Part { return &v.nodes.liveIDs },
		func(v *view) table.Part { return &v.nodes.offline },
		func(v *view) table.Part { return &v.nodes.tagged },
		func(v *view) table.Part { return &v.nodes.executors },
	},
	fits:    fitsNode,
	enter:   func(x *txn, id uint32, n *node) { reindexNode(x, id, &blankNode, n) },
	leave:   func(x *txn, id uint32, n *node) { reindexNode(x, id, n, &blankNode) },
	replace: reindexNode,
}

var seenTable = declaration[uint32, second]{
	schema: table.Schema[uint32, second]{Kind: kindSeen, AppendKey: table.AppendKey32, ReadKey: table.ReadKey32, Read: readSecond, Map: table.Dense[second]},
	in:     func(v *view) *table.Table[uint32, second] { return &v.nodes.seen },
	fits:   func(x *txn, id uint32, sec second) bool { return sec != 0 && x.nodes.live(id) != nil },
}

// Heartbeats blocked by an expired key, by node: when that was last audited.
// Registrations refused for want of proof likewise.
var (
	blockedTable = declaration[uint32, millis]{
		schema: table.Schema[uint32, millis]{Kind: kindBlocked, AppendKey: table.AppendKey32, ReadKey: table.ReadKey32, Read: readMillis},
		in:     func(v *view) *table.Table[uint32, millis] { return &v.nodes.blocked },
	}
	rejectedTable = declaration[uint32, millis]{
		schema: table.Schema[uint32, millis]{Kind: kindRejected, AppendKey: table.AppendKey32, ReadKey: table.ReadKey32, Read: readMillis},
		in:     func(v *view) *table.Table[uint32, millis] { return &v.nodes.rejected },
	}
)

var provenKeyTable = declaration[string, nothing]{
	schema: table.Schema[string, nothing]{Kind: kindProvenKey, AppendKey: table.AppendKeyString, ReadKey: readProvenKey, Read: readNothing},
	in:     func(v *view) *table.Table[string, nothing] { return &v.nodes.provenKeys },
}

func fitsNode(x *txn, id uint32, n *node) bool {
	if id == 0 || x.meta.nextNode != 0 && id >= x.meta.nextNode {
		return false
	}
	n.id = id
	if x.nodes.byKey.Holds(string(n.key[:])) && !n.has(flagKeyless) {
		return false
	}
	return !x.nodes.byHost.Holds(n.hostname)
}

// setNode stores a node. What the level has no field for is not kept.
func (x *txn) setNode(n *node) {
	n.trim(x.meta.level)
	nodeTable.put(x, n.id, n)
}

// blankNode is the record of an id that has none yet.
var blankNode = node{flags: flagKeyless, state: stateDeregistered}

// reindexNode keeps the indexes when a node's record becomes another one.
func reindexNode(x *txn, id uint32, old, n *node) {
	if old.key != n.key || old.has(flagKeyless) != n.has(flagKeyless) {
		rekey(x, &x.nodes.byKey, old.keyOrNone(), n.keyOrNone(), id)
	}
	rekey(x, &x.nodes.byHost, old.hostname, n.hostname, id)
	if old.owner != n.owner {
		rekey(x, &x.nodes.byOwner, ownerKey(old.owner, id), ownerKey(n.owner, id), id)
	}
	if was, is := old.person(), n.person(); was != is {
		rekey(x, &x.nodes.byPerson, personKey(was, id), personKey(is, id), id)
	}
	if old.live() != n.live() {
		if n.live() {
			x.nodes.liveIDs.Put(&x.w, id, nothing{})
		} else {
			x.nodes.liveIDs.Drop(&x.w, id)
		}
	}
	if old.expires != n.expires || old.announced != n.announced || old.reachable() != n.reachable() {
		rekey(x, &x.due, nodeDue(old), nodeDue(n), nothing{})
	}
	rekey(x, &x.nodes.offline, offlineKey(old), offlineKey(n), id)
	recountNode(x, old, n)
}

// recountNode keeps the counts of what live nodes have.
func recountNode(x *txn, old, n *node) {
	if was, is := old.executes(), n.executes(); was != is {
		x.nodes.executors.Set(&x.w, x.nodes.executors.Get()+step(is))
	}
	if old.live() == n.live() && slices.Equal(old.tags, n.tags) {
		return
	}
	for _, counted := range [2]*node{old, n} {
		if !counted.live() {
			continue
		}
		for i, tag := range counted.tags {
			if !slices.Contains(counted.tags[:i], tag) {
				addTo(x, &x.nodes.tagged, tag, step(counted == n))
			}
		}
	}
}

// executes reports whether others can give the node tasks.
func (n *node) executes() bool { return n.live() && n.has(flagTaskExec) }

// step is 1 for what begins and -1 for what ends.
func step(begins bool) int {
	if begins {
		return 1
	}
	return -1
}

// addTo adds to an entry of an index of counts. There is none for 0.
func addTo[K table.Key](x *txn, ix *table.Index[K, int], k K, more int) {
	n, _ := ix.Get(k)
	if n += more; n == 0 {
		ix.Drop(&x.w, k)
		return
	}
	ix.Put(&x.w, k, n)
}

// keyOrNone is the node's key in the index of keys.
func (n *node) keyOrNone() string {
	if n.has(flagKeyless) {
		return ""
	}
	return string(n.key[:])
}

// ownerKey orders nodes by owner, then id; it is empty for no owner. The
// owner's length comes first, so that no owner's nodes stand among another's.
func ownerKey(owner string, id uint32) string {
	if owner == "" {
		return ""
	}
	b := make([]byte, 0, len(owner)+8)
	return string(table.AppendKey32(table.AppendString(b, owner), id))
}

// personKey orders nodes by the match key of who they are bound to, then id.
func personKey(person string, id uint32) string { return ownerKey(person, id) }

// offlineKey orders offline nodes by when they went offline; it is 0 for others.
func offlineKey(n *node) uint64 {
	if n.state != stateOffline {
		return 0
	}
	return uint64(seconds(n.offlineAt))<<32 | uint64(n.id)
}

// markSeen notes a sign of life of a node.
func (x *txn) markSeen(id uint32) {
	now := seconds(x.meta.now)
	if last, _ := x.nodes.seen.Get(id); last != now {
		seenTable.put(x, id, now)
	}
}

// markKey keeps that the key of a node that is forgotten has proved itself.
func (x *txn) markKey(n *node) {
	if n.has(flagProven|flagSignedRegister) && !n.has(flagKeyless) {
		provenKeyTable.put(x, x.provenMark(n.key), nothing{})
	}
}

// unmarkKey ends a mark: the key has a node again, which says the same.
func (x *txn) unmarkKey(key protocol.PublicKey) {
	if x.provenOnce(key) {
		provenKeyTable.drop(x, x.provenMark(key))
	}
}

// setBlocked notes that a heartbeat was blocked now.
func setBlocked(x *txn, id uint32) { blockedTable.put(x, id, millis(x.meta.now)) }

// setRejected notes that a registration was refused now for want of proof.
func setRejected(x *txn, id uint32) { rejectedTable.put(x, id, millis(x.meta.now)) }

// dropSeen forgets when a node was last heard of: it is not live any more.
func dropSeen(x *txn, id uint32) { seenTable.drop(x, id) }

// dropNotes forgets everything that is noted about a node besides its record.
func dropNotes(x *txn, id uint32) {
	seenTable.drop(x, id)
	blockedTable.drop(x, id)
	rejectedTable.drop(x, id)
}
