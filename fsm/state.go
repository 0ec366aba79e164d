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
	counts   counts
}

func (m *meta) AppendTo(dst []byte, level uint32) []byte {
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
	dst = table.AppendUvarint(table.AppendUvarint(table.AppendVarint(dst, m.began), m.requests), m.exported)
	return m.counts.appendTo(dst, level)
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
	m.counts = readCounts(d, m.level)
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
	call  invocation
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
