// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"crypto/sha256"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// LevelMin and LevelMax are the feature levels this version understands. A
// state of another level is not restored, and an entry that raises the level
// beyond LevelMax stops the member.
const LevelMin = protocol.LevelFirst

// meta is the one record of counters and settings.
type meta struct {
	clusterID string
	level     uint32
	now       int64  // log time, Unix milliseconds
	nextNode  uint32 // next node id, 0 when exhausted
	nextNet   uint16 // next network id, 0 when exhausted
	joinSeq   uint64 // last join order given out
	queueSeq  uint64 // last sequence number of a handshake queue entry
	eventSeq  uint64 // last sequence number of an event
	tokenGen  uint32 // last token generation given out
	activeKey uint32 // keyring version in use
	// leaderTerm is the newest term that began, grace its beginning in log
	// time: nobody counts as silent before it.
	leaderTerm uint64
	grace      int64
	chains     [2]chain
	// began is when the cluster was made, requests how many its members have
	// answered since.
	began    int64
	requests uint64
	// exported counts the events that exports were given, also those of exports
	// that are configured otherwise by now or are gone.
	exported uint64
}

func (m *meta) AppendTo(dst []byte, _ uint32) []byte {
	dst = append(dst, byte(kindMeta))
	dst = table.AppendString(dst, m.clusterID)
	dst = table.AppendUvarint(dst, uint64(m.level))
	dst = table.AppendVarint(dst, m.now)
	dst = table.AppendUvarint(dst, uint64(m.nextNode))
	dst = table.AppendUvarint(dst, uint64(m.nextNet))
	dst = table.AppendUvarint(dst, m.joinSeq)
	dst = table.AppendUvarint(dst, m.queueSeq)
	dst = table.AppendUvarint(dst, m.eventSeq)
	dst = table.AppendUvarint(dst, uint64(m.tokenGen))
	dst = table.AppendUvarint(dst, uint64(m.activeKey))
	dst = table.AppendUvarint(dst, m.leaderTerm)
	dst = table.AppendVarint(dst, m.grace)
	for i := range m.chains {
		dst = m.chains[i].append(dst)
	}
	return table.AppendUvarint(table.AppendUvarint(table.AppendVarint(dst, m.began), m.requests), m.exported)
}

func readMeta(d *table.Decoder) (m meta) {
	m.clusterID, m.level, m.now = d.Text(), d.Uvarint32(), d.Varint()
	m.nextNode = d.Uvarint32()
	net := d.Uvarint()
	m.nextNet = uint16(net)
	m.joinSeq, m.queueSeq, m.eventSeq = d.Uvarint(), d.Uvarint(), d.Uvarint()
	m.tokenGen, m.activeKey = d.Uvarint32(), d.Uvarint32()
	m.leaderTerm, m.grace = d.Uvarint(), d.Varint()
	for i := range m.chains {
		m.chains[i] = readChain(d)
	}
	m.began, m.requests, m.exported = d.Varint(), d.Uvarint(), d.Uvarint()
	if net > 0xffff || m.joinSeq > maxJoinOrder {
		d.Fail()
	}
	return m
}

func (m *meta) hash() [32]byte { return sha256.Sum256(m.AppendTo(nil, m.level)) }

// view is all state by subject, as the writer works on it and as roots publish it.
type view struct {
	meta     meta
	nodes    nodeStore
	networks networkStore
	trust    trustStore
	beacons  beaconStore
	audit    auditStore
	once     onceStore
	cluster  clusterStore
	uploads  uploadStore
	due      table.Index[string, nothing] // deadline, see dueKey
	next     nextParts
}

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
}

// networkStore holds the networks, who belongs to them and who may.
type networkStore struct {
	records     table.Table[uint16, *network]
	memberships table.Table[uint64, membership]
	invites     table.Table[string, *invite]
	preAssign   table.Table[string, *preAssign]
	tags        table.Table[uint64, memberTags]
	docs        table.Table[uint16, networkDocs]

	byName   table.Index[string, uint16]  // network name -> network
	byOrder  table.Index[uint64, uint32]  // network, join order -> node
	byNode   table.Index[uint64, nothing] // node, network
	sizes    table.Index[uint16, int]     // network -> number of members
	owners   table.Index[uint16, uint32]  // network -> its owner
	byInvite table.Index[string, nothing] // network or inviter, invite key
	byAssign table.Index[string, string]  // network, folded external id -> pre-assignment key
}

// trustStore holds the trust pairs and the handshakes that lead to them.
type trustStore struct {
	pairs     table.Table[uint64, sides]
	requests  table.Table[string, *request]
	responses table.Table[string, *response]

	byPeer table.Index[uint64, nothing] // node, the other of a trust pair
	offers table.Index[uint32, int]     // node -> trust pairs in which it has spoken
}

// beaconStore holds the beacons.
type beaconStore struct {
	records table.Table[uint32, *beacon]

	// bytes is what the beacons take in their list; revision changes with the
	// list, cache holds it as it is sent.
	bytes    shares
	revision table.Value[uint64]
	cache    table.Value[*beaconCache]
}

// auditStore holds the event log and its consumers.
type auditStore struct {
	events  [2]table.Table[uint64, eventRecord] // by class, see classIndex
	sinks   table.Table[string, *sink]
	cursors table.Table[string, *cursor]
	totals  table.Table[string, sinkTotals] // by name of the sink, see [sinkTotals]
	letters table.Table[string, *letter]

	// shares counts the security events that are kept by who caused them.
	shares shares
	// backlog counts what required sinks have not been given, see [bearer.at].
	backlog shares
	// required counts the sinks that writes wait for.
	required table.Value[int]
}

// onceStore holds what makes a request that comes again find its first result.
type onceStore struct {
	sessions table.Table[string, session]
	minted   table.Table[string, *result]
	results  table.Table[string, *result]

	byExpiry table.Index[string, string] // expiry, client result key -> key
	// known and strangers are what remembered client results cost.
	known     shares
	strangers shares
}

// clusterStore holds the members of the cluster, its secrets and settings.
type clusterStore struct {
	members  table.Table[string, *clusterMember]
	tokens   table.Table[string, *token]
	sealed   table.Table[string, *sealed]
	settings table.Table[uint16, *settings]
	jwks     table.Table[string, *jwks]
}

// uploadStore holds uploads that wait for parts, and pages of long replies.
type uploadStore struct {
	records table.Table[string, *staged]
	bytes   table.Value[int64] // what they cost together
}

// tables are all tables in the order of snapshots. Nodes come before what
// refers to them, sinks and memberships likewise.
var tables = append([]declared{
	&nodeTable, &seenTable, &networkTable, &membershipTable, &trustTable, &requestTable, &responseTable, &beaconTable,
	&tokenTable, &sealedTable, &clusterMemberTable, &sessionTable, &mintedTable, &resultTable, &securityTable, &activityTable, &blockedTable,
	&inviteTable, &preAssignTable, &settingsTable, &sinkTable, &cursorTable, &sinkTotalsTable, &letterTable, &jwksTable, &stagedTable,
	&memberTagsTable, &networkDocsTable, &rejectedTable, &provenKeyTable,
}, nextTables...)

// shared are the places of what is derived from several tables.
var shared = append([]place{
	func(v *view) table.Part { return &v.due },
}, sharesAt(func(v *view) *shares { return &v.audit.backlog })...)

// places are those of everything that the state is made of besides its meta
// record, by slot.
var places = func() (list []place) {
	for _, d := range tables {
		list = append(list, d.places()...)
	}
	return append(list, shared...)
}()

// byKind finds the declaration of a kind of records.
var byKind = func() map[table.Kind]declared {
	m := map[table.Kind]declared{}
	for _, d := range tables {
		m[d.kind()] = d
	}
	return m
}()

// stored lists the tables of a state as snapshots and digests see them.
func (v *view) stored() []table.Stored {
	list := make([]table.Stored, len(tables))
	for i, d := range tables {
		list[i] = d.stored(v)
	}
	return list
}

// newTxn returns the writer of an empty state.
func newTxn() *txn {
	x := &txn{view: view{meta: meta{nextNode: 1, nextNet: 1}}}
	x.w = table.NewWriter(&x.meta.level)
	for _, d := range tables {
		d.make(&x.view)
	}
	for i, part := range places {
		x.w.Open(part(&x.view), table.Slot(i))
	}
	x.beacons.cache.Set(&x.w, new(beaconCache))
	x.metaHash = x.meta.hash()
	x.w.Digest.Add(&x.metaHash)
	return x
}

// handOver gives the changes since the last publication to dst, which holds
// the state that was published then.
func (x *txn) handOver(dst *view) {
	dst.meta = x.meta
	for _, slot := range x.w.TakeChanged() {
		table.HandOver(places[slot](&x.view), places[slot](dst))
	}
}

// txn is the writer's state while it applies one entry.
type txn struct {
	view
	w        table.Writer // of the tables
	metaHash [32]byte     // of the meta record that the digest includes

	index, term uint64
	seed        Seed
	touched     []sessionTouch
	checkpoint  bool   // the entry asks for a checkpoint
	halt        string // why the member must stop, continues "entry 7 "

	by initiator // of the command being applied

	// Reused from command to command.
	call  call
	beat  protocol.NodeRequest // body of a heartbeat
	buf   []byte
	event eventWriter
}

// initiator is who sent a command, and from where.
type initiator struct {
	actor  Actor
	source string
	system bool // the cluster itself
}
