// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"crypto/sha256"

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

func (m *meta) appendTo(dst []byte, _ uint32) []byte {
	dst = append(dst, byte(kindMeta))
	dst = appendString(dst, m.clusterID)
	dst = appendUvarint(dst, uint64(m.level))
	dst = appendVarint(dst, m.now)
	dst = appendUvarint(dst, uint64(m.nextNode))
	dst = appendUvarint(dst, uint64(m.nextNet))
	dst = appendUvarint(dst, m.joinSeq)
	dst = appendUvarint(dst, m.queueSeq)
	dst = appendUvarint(dst, m.eventSeq)
	dst = appendUvarint(dst, uint64(m.tokenGen))
	dst = appendUvarint(dst, uint64(m.activeKey))
	dst = appendUvarint(dst, m.leaderTerm)
	dst = appendVarint(dst, m.grace)
	for i := range m.chains {
		dst = m.chains[i].append(dst)
	}
	return appendUvarint(appendUvarint(appendVarint(dst, m.began), m.requests), m.exported)
}

func readMeta(d *decoder) (m meta) {
	m.clusterID, m.level, m.now = d.str(), d.uvarint32(), d.varint()
	m.nextNode = d.uvarint32()
	net := d.uvarint()
	m.nextNet = uint16(net)
	m.joinSeq, m.queueSeq, m.eventSeq = d.uvarint(), d.uvarint(), d.uvarint()
	m.tokenGen, m.activeKey = d.uvarint32(), d.uvarint32()
	m.leaderTerm, m.grace = d.uvarint(), d.varint()
	for i := range m.chains {
		m.chains[i] = readChain(d)
	}
	m.began, m.requests, m.exported = d.varint(), d.uvarint(), d.uvarint()
	if net > 0xffff || m.joinSeq > maxJoinOrder {
		d.fail()
	}
	return m
}

func (m *meta) hash() [32]byte { return sha256.Sum256(m.appendTo(nil, m.level)) }

// view is all state, as the writer works on it and as roots publish it.
type view struct {
	meta meta

	nodes             table[uint32, *node]
	seen              table[uint32, second]
	networks          table[uint16, *network]
	memberships       table[uint64, membership]
	trust             table[uint64, sides]
	handshakeRequests table[string, *request]
	responses         table[string, *response]
	beacons           table[uint32, *beacon]
	tokens            table[string, *token]
	sealed            table[string, *sealed]
	clusterMembers    table[string, *clusterMember]
	sessions          table[string, session]
	minted            table[string, *result]
	results           table[string, *result]
	events            [2]table[uint64, eventRecord] // by class, see classIndex
	blocked           table[uint32, millis]
	invites           table[string, *invite]
	preAssign         table[string, *preAssign]
	settings          table[uint16, *settings]
	sinks             table[string, *sink]
	cursors           table[string, *cursor]
	totals            table[string, sinkTotals] // by name of the sink, see [sinkTotals]
	letters           table[string, *letter]
	jwks              table[string, *jwks]
	tags              table[uint64, memberTags]
	docs              table[uint16, networkDocs]
	rejected          table[uint32, millis]
	staged            table[string, *staged]
	// provenKeys are marks of keys that have proved themselves and are no node's.
	provenKeys table[string, nothing]
	next       nextTables

	// Derived: rebuilt from the tables.
	byKey     index[string, uint32]  // raw public key -> node
	byHost    index[string, uint32]  // hostname -> node
	byOwner   index[string, uint32]  // owner, node -> node
	byPerson  index[string, uint32]  // folded external id, node -> node
	liveNodes index[uint32, nothing] // ids of live nodes
	offline   index[uint64, uint32]  // second of going offline, node -> node
	byName    index[string, uint16]  // network name -> network
	byOrder   index[uint64, uint32]  // network, join order -> node
	byNode    index[uint64, nothing] // node, network
	byPeer    index[uint64, nothing] // node, the other of a trust pair
	offers    index[uint32, int]     // node -> trust pairs in which it has spoken
	netSize   index[uint16, int]     // network -> number of members
	byExpiry  index[string, string]  // expiry, client result key -> key
	owners    index[uint16, uint32]  // network -> its owner
	byInvite  index[string, nothing] // network or inviter, invite key
	byAssign  index[string, string]  // network, folded external id -> pre-assignment key
	byDue     index[string, nothing] // deadline, see dueKey
	// knownIDs and strangerIDs are what remembered client results cost.
	knownIDs    shares
	strangerIDs shares
	// beaconBytes is what the beacons take in their list; beaconRevision
	// changes with the list, beaconCache holds it as it is sent.
	beaconBytes    shares
	beaconRevision uint64
	beaconCache    *beaconCache
	// eventShares counts the security events that are kept by who caused them.
	eventShares shares
	// backlog counts what required sinks have not been given, see [bearer.at].
	backlog shares
	// requiredSinks counts the sinks that writes wait for.
	requiredSinks int
	// stagedBytes is what uploads that wait for parts cost together.
	stagedBytes int64
}

func newView() view {
	return view{
		meta:  meta{nextNode: 1, nextNet: 1},
		nodes: newDenseTable(&nodeSchema), seen: newDenseTable(&seenSchema), networks: newTable(&networkSchema), memberships: newTable(&membershipSchema),
		trust: newTable(&trustSchema), handshakeRequests: newTable(&requestSchema), responses: newTable(&responseSchema),
		beacons: newTable(&beaconSchema), tokens: newTable(&tokenSchema), sealed: newTable(&sealedSchema), clusterMembers: newTable(&clusterMemberSchema),
		sessions: newTable(&sessionSchema), minted: newTable(&mintedSchema), results: newTable(&resultSchema),
		events:  [2]table[uint64, eventRecord]{newTable(&securitySchema), newTable(&activitySchema)},
		blocked: newTable(&blockedSchema), invites: newTable(&inviteSchema), preAssign: newTable(&preAssignSchema),
		settings: newTable(&settingsSchema), sinks: newTable(&sinkSchema), cursors: newTable(&cursorSchema), totals: newTable(&sinkTotalsSchema), letters: newTable(&letterSchema),
		jwks: newTable(&jwksSchema), tags: newTable(&memberTagsSchema), docs: newTable(&networkDocsSchema), rejected: newTable(&rejectedSchema), provenKeys: newTable(&provenKeySchema),
		staged: newTable(&stagedSchema), next: newNextTables(),

		byKey: newIndex[string, uint32](), byHost: newIndex[string, uint32](), byOwner: newIndex[string, uint32](), byPerson: newIndex[string, uint32](),
		liveNodes: newIndex[uint32, nothing](), offline: newIndex[uint64, uint32](), byName: newIndex[string, uint16](),
		byOrder: newIndex[uint64, uint32](), byNode: newIndex[uint64, nothing](), byPeer: newIndex[uint64, nothing](), offers: newIndex[uint32, int](), netSize: newIndex[uint16, int](),
		byExpiry: newIndex[string, string](), beaconBytes: newShares(), eventShares: newShares(), backlog: newShares(), beaconCache: new(beaconCache), knownIDs: newShares(), strangerIDs: newShares(),
		owners: newIndex[uint16, uint32](), byInvite: newIndex[string, nothing](), byAssign: newIndex[string, string](), byDue: newIndex[string, nothing](),
	}
}

// stored is what snapshots and digests see of a table.
type stored interface {
	len() int
	each(level uint32, emit func([]byte) error) error
}

// tables lists all tables in the order of snapshots. Nodes come before what
// refers to them.
func (v *view) tables() []stored {
	return append([]stored{
		&v.nodes, &v.seen, &v.networks, &v.memberships, &v.trust, &v.handshakeRequests, &v.responses, &v.beacons,
		&v.tokens, &v.sealed, &v.clusterMembers, &v.sessions, &v.minted, &v.results, &v.events[0], &v.events[1], &v.blocked,
		&v.invites, &v.preAssign, &v.settings, &v.sinks, &v.cursors, &v.totals, &v.letters, &v.jwks, &v.staged,
		// What refers to members comes after them.
		&v.tags, &v.docs, &v.rejected, &v.provenKeys,
	}, v.next.tables()...)
}

// handOver gives the writer's changes to dst, which holds the state published last.
func (v *view) handOver(dst *view) {
	dst.meta, dst.requiredSinks, dst.stagedBytes = v.meta, v.requiredSinks, v.stagedBytes
	dst.beaconRevision, dst.beaconCache = v.beaconRevision, v.beaconCache
	v.beaconBytes.handOver(&dst.beaconBytes)
	v.eventShares.handOver(&dst.eventShares)
	v.backlog.handOver(&dst.backlog)
	v.knownIDs.handOver(&dst.knownIDs)
	v.strangerIDs.handOver(&dst.strangerIDs)
	v.nodes.handOver(&dst.nodes)
	v.seen.handOver(&dst.seen)
	v.networks.handOver(&dst.networks)
	v.memberships.handOver(&dst.memberships)
	v.trust.handOver(&dst.trust)
	v.handshakeRequests.handOver(&dst.handshakeRequests)
	v.responses.handOver(&dst.responses)
	v.beacons.handOver(&dst.beacons)
	v.tokens.handOver(&dst.tokens)
	v.sealed.handOver(&dst.sealed)
	v.clusterMembers.handOver(&dst.clusterMembers)
	v.sessions.handOver(&dst.sessions)
	v.minted.handOver(&dst.minted)
	v.results.handOver(&dst.results)
	v.events[0].handOver(&dst.events[0])
	v.events[1].handOver(&dst.events[1])
	v.next.handOver(&dst.next)
	v.blocked.handOver(&dst.blocked)
	v.invites.handOver(&dst.invites)
	v.preAssign.handOver(&dst.preAssign)
	v.settings.handOver(&dst.settings)
	v.sinks.handOver(&dst.sinks)
	v.cursors.handOver(&dst.cursors)
	v.totals.handOver(&dst.totals)
	v.letters.handOver(&dst.letters)
	v.jwks.handOver(&dst.jwks)
	v.tags.handOver(&dst.tags)
	v.docs.handOver(&dst.docs)
	v.rejected.handOver(&dst.rejected)
	v.provenKeys.handOver(&dst.provenKeys)
	v.staged.handOver(&dst.staged)

	v.byKey.handOver(&dst.byKey)
	v.byHost.handOver(&dst.byHost)
	v.byOwner.handOver(&dst.byOwner)
	v.byPerson.handOver(&dst.byPerson)
	v.liveNodes.handOver(&dst.liveNodes)
	v.offline.handOver(&dst.offline)
	v.byName.handOver(&dst.byName)
	v.byOrder.handOver(&dst.byOrder)
	v.byNode.handOver(&dst.byNode)
	v.byPeer.handOver(&dst.byPeer)
	v.offers.handOver(&dst.offers)
	v.netSize.handOver(&dst.netSize)
	v.byExpiry.handOver(&dst.byExpiry)
	v.owners.handOver(&dst.owners)
	v.byInvite.handOver(&dst.byInvite)
	v.byAssign.handOver(&dst.byAssign)
	v.byDue.handOver(&dst.byDue)
}

// txn is the writer's state while it applies one entry.
type txn struct {
	view
	digest   digest
	metaHash [32]byte // of the meta record that digest includes

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
	sum   [32]byte
	event eventWriter
}
