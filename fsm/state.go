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

// view is all state, as the writer works on it and as roots publish it.
type view struct {
	meta meta

	nodes             table.Table[uint32, *node]
	seen              table.Table[uint32, second]
	networks          table.Table[uint16, *network]
	memberships       table.Table[uint64, membership]
	trust             table.Table[uint64, sides]
	handshakeRequests table.Table[string, *request]
	responses         table.Table[string, *response]
	beacons           table.Table[uint32, *beacon]
	tokens            table.Table[string, *token]
	sealed            table.Table[string, *sealed]
	clusterMembers    table.Table[string, *clusterMember]
	sessions          table.Table[string, session]
	minted            table.Table[string, *result]
	results           table.Table[string, *result]
	events            [2]table.Table[uint64, eventRecord] // by class, see classIndex
	blocked           table.Table[uint32, millis]
	invites           table.Table[string, *invite]
	preAssign         table.Table[string, *preAssign]
	settings          table.Table[uint16, *settings]
	sinks             table.Table[string, *sink]
	cursors           table.Table[string, *cursor]
	totals            table.Table[string, sinkTotals] // by name of the sink, see [sinkTotals]
	letters           table.Table[string, *letter]
	jwks              table.Table[string, *jwks]
	tags              table.Table[uint64, memberTags]
	docs              table.Table[uint16, networkDocs]
	rejected          table.Table[uint32, millis]
	staged            table.Table[string, *staged]
	// provenKeys are marks of keys that have proved themselves and are no node's.
	provenKeys table.Table[string, nothing]
	next       nextParts

	// Derived: rebuilt from the tables.
	byKey     table.Index[string, uint32]  // raw public key -> node
	byHost    table.Index[string, uint32]  // hostname -> node
	byOwner   table.Index[string, uint32]  // owner, node -> node
	byPerson  table.Index[string, uint32]  // folded external id, node -> node
	liveNodes table.Index[uint32, nothing] // ids of live nodes
	offline   table.Index[uint64, uint32]  // second of going offline, node -> node
	byName    table.Index[string, uint16]  // network name -> network
	byOrder   table.Index[uint64, uint32]  // network, join order -> node
	byNode    table.Index[uint64, nothing] // node, network
	byPeer    table.Index[uint64, nothing] // node, the other of a trust pair
	offers    table.Index[uint32, int]     // node -> trust pairs in which it has spoken
	netSize   table.Index[uint16, int]     // network -> number of members
	byExpiry  table.Index[string, string]  // expiry, client result key -> key
	owners    table.Index[uint16, uint32]  // network -> its owner
	byInvite  table.Index[string, nothing] // network or inviter, invite key
	byAssign  table.Index[string, string]  // network, folded external id -> pre-assignment key
	byDue     table.Index[string, nothing] // deadline, see dueKey
	// knownIDs and strangerIDs are what remembered client results cost.
	knownIDs    shares
	strangerIDs shares
	// beaconBytes is what the beacons take in their list; beaconRevision
	// changes with the list, beaconCache holds it as it is sent.
	beaconBytes    shares
	beaconRevision table.Value[uint64]
	beaconCache    table.Value[*beaconCache]
	// eventShares counts the security events that are kept by who caused them.
	eventShares shares
	// backlog counts what required sinks have not been given, see [bearer.at].
	backlog shares
	// requiredSinks counts the sinks that writes wait for.
	requiredSinks table.Value[int]
	// stagedBytes is what uploads that wait for parts cost together.
	stagedBytes table.Value[int64]
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
	func(v *view) table.Part { return &v.byDue },
}, sharesAt(func(v *view) *shares { return &v.backlog })...)

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
	x.beaconCache.Set(&x.w, new(beaconCache))
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

	// Of the command being applied.
	actor  Actor
	source string
	system bool

	// Reused from command to command.
	call  call
	beat  protocol.NodeRequest // body of a heartbeat
	buf   []byte
	event eventWriter
}
