// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

// nodeState is where a node is in its life.
type nodeState uint8

const (
	// stateLive: registered and heard of.
	stateLive nodeState = 1
	// stateOffline: silent for too long. To others it is not live, but a sign
	// of life brings it back as it was.
	stateOffline nodeState = 2
	// stateReleased: offline for so long that its hostname, tags, visibility,
	// score and task flag were given up.
	stateReleased nodeState = 3
	// stateDeregistered: only the id, the key binding and the expiry are left.
	stateDeregistered nodeState = 4
)

// nodeFlags are a node's yes/no properties.
type nodeFlags uint8

const (
	flagPublic    nodeFlags = 1 << 0
	flagTaskExec  nodeFlags = 1 << 1
	flagRelayOnly nodeFlags = 1 << 2
	// flagKeyless marks a node without a key, which only imported data knows.
	flagKeyless nodeFlags = 1 << 3
	// flagSignedRegister marks a node whose key only signed requests register.
	flagSignedRegister nodeFlags = 1 << 4
	// flagProven marks a node whose key has registered with a signature or
	// acted by a signed request: it is not registered without one any more.
	flagProven nodeFlags = 1 << 5
)

// node is the one record of a node id, which is never given to anybody else.
// Times are Unix milliseconds of log time, 0 for none.
type node struct {
	nextFields
	key     protocol.PublicKey
	id      uint32
	keyGen  uint32 // grows whenever the key changes
	rotates uint32
	polo    int32
	state   nodeState
	flags   nodeFlags
	// announced is the stage of notice given of the key's end.
	announced stage

	created   int64 // of the key
	rotated   int64
	expires   int64
	offlineAt int64 // set while offline or released

	owner      string
	endpoint   string
	hostname   string
	externalID string
	version    string
	lan        []string
	tags       []string

	standing *standing // nil for most
	// keys are of externalID.
	keys protocol.IDKeys
}

// person is the key that nodes of one person have in common, "" for nobody's.
func (n *node) person() string {
	if n.externalID == "" {
		return ""
	}
	return n.keys.MatchOf(n.externalID)
}

// bind makes a node a person's.
func (n *node) bind(externalID string, keys protocol.IDKeys) {
	n.externalID, n.keys = externalID, keys
}

func (n *node) live() bool { return n.state == stateLive }

// reachable reports whether a sign of life can bring the node back.
func (n *node) reachable() bool { return n.state <= stateReleased }

func (n *node) has(f nodeFlags) bool { return n.flags&f != 0 }

func (n *node) set(f nodeFlags, on bool) {
	n.flags &^= f
	if on {
		n.flags |= f
	}
}

// appendTo appends the fields of level 1, then those that later levels add.
func (n *node) appendTo(dst []byte, level uint32) []byte {
	dst = append(dst, n.key[:]...)
	dst = append(dst, byte(n.state), byte(n.flags))
	dst = appendUvarint(dst, uint64(n.keyGen))
	dst = appendUvarint(dst, uint64(n.rotates))
	dst = appendVarint(dst, int64(n.polo))
	dst = appendVarint(dst, n.created)
	dst = appendVarint(dst, n.rotated)
	dst = appendVarint(dst, n.expires)
	dst = appendVarint(dst, n.offlineAt)
	dst = appendString(dst, n.owner)
	dst = appendString(dst, n.endpoint)
	dst = appendString(dst, n.hostname)
	dst = appendString(dst, n.externalID)
	dst = appendString(dst, n.version)
	dst = appendStrings(dst, n.lan)
	dst = appendStrings(dst, n.tags)
	dst = append(dst, byte(n.announced))
	dst = n.standing.appendTo(dst)
	dst = appendString(appendString(dst, n.keys.Match), n.keys.Near)
	return n.nextFields.appendTo(dst, level)
}

// trim clears the fields that the record does not have at a level: a member
// that restored the record would not know them, and after the level is raised
// the two would differ.
func (n *node) trim(level uint32) {
	n.nextFields.trim(level)
}

func readNode(d *decoder, level uint32) *node {
	n := &node{}
	copy(n.key[:], d.raw(len(n.key)))
	n.state, n.flags = nodeState(d.uint8()), nodeFlags(d.uint8())
	n.keyGen, n.rotates = d.uvarint32(), d.uvarint32()
	polo := d.varint()
	n.polo = int32(polo)
	n.created, n.rotated, n.expires, n.offlineAt = d.varint(), d.varint(), d.varint(), d.varint()
	n.owner, n.endpoint, n.hostname = d.str(), d.str(), d.str()
	n.externalID, n.version = d.str(), d.str()
	n.lan, n.tags = d.strs(), d.strs()
	n.announced = readStage(d)
	n.standing = readStanding(d)
	n.keys = protocol.IDKeys{Match: d.str(), Near: d.str()}
	n.nextFields.read(d, level)
	if n.state < stateLive || n.state > stateDeregistered || int64(n.polo) != polo {
		d.fail()
	}
	return n
}

var nodeSchema = schema[uint32, *node]{kindNode, appendKey32, readKey32, readNode}

// request is a handshake request in a node's inbox. It is counted for the
// source that it came from, and for the /48 around that where there is one.
type request struct {
	from          uint32
	at            int64
	justification string
	source, wide  string
}

func (r *request) appendTo(dst []byte, _ uint32) []byte {
	dst = appendUvarint(dst, uint64(r.from))
	dst = appendVarint(dst, r.at)
	return appendString(appendString(appendString(dst, r.justification), r.source), r.wide)
}

func readRequest(d *decoder, _ uint32) *request {
	return &request{from: d.uvarint32(), at: d.varint(), justification: d.str(), source: d.str(), wide: d.str()}
}

var requestSchema = schema[string, *request]{kindRequest, appendKeyStr, readQueueKey, readRequest}

// response is an answer to a handshake request, waiting for its reader.
type response struct {
	from   uint32
	at     int64
	accept bool
}

func (r *response) appendTo(dst []byte, _ uint32) []byte {
	dst = appendUvarint(dst, uint64(r.from))
	dst = appendVarint(dst, r.at)
	return append(dst, boolByte(r.accept))
}

func readResponse(d *decoder, _ uint32) *response {
	return &response{from: d.uvarint32(), at: d.varint(), accept: d.bool()}
}

var responseSchema = schema[string, *response]{kindResponse, appendKeyStr, readQueueKey, readResponse}

// queueKey orders a node's queue by the global sequence number of its entries.
func queueKey(node uint32, seq uint64) string {
	var b [12]byte
	return string(appendKey64(appendKey32(b[:0], node), seq))
}

func splitQueueKey(k string) (node uint32, seq uint64) {
	d := decoder{b: []byte(k)}
	return d.key32(), d.key64()
}

func readQueueKey(d *decoder) string {
	k := d.str()
	if len(k) != 12 {
		d.fail()
	}
	return k
}

// nothing is the record of tables whose keys say everything.
type nothing struct{}

func (nothing) appendTo(dst []byte, _ uint32) []byte { return dst }

func readNothing(*decoder, uint32) nothing { return nothing{} }

// beacon is an announced beacon; at is its last refresh, signed the time at
// which the newest of its signed announcements was signed, 0 for none.
type beacon struct {
	addr   string
	at     int64
	signed int64
	bearer bearer // who announced it; unknown of those of older logs
}

func (b *beacon) appendTo(dst []byte, _ uint32) []byte {
	dst = appendVarint(appendVarint(appendString(dst, b.addr), b.at), b.signed)
	if b.bearer == (bearer{}) {
		return dst
	}
	return b.bearer.append(dst)
}

func readBeacon(d *decoder, _ uint32) *beacon {
	b := &beacon{addr: d.str(), at: d.varint(), signed: d.varint()}
	if len(d.b) > 0 {
		b.bearer = readBearer(d)
	}
	return b
}

var beaconSchema = schema[uint32, *beacon]{kindBeacon, appendKey32, readKey32, readBeacon}

// millis is a time of log in milliseconds.
type millis int64

func (m millis) appendTo(dst []byte, _ uint32) []byte { return appendVarint(dst, int64(m)) }

func readMillis(d *decoder, _ uint32) millis { return millis(d.varint()) }

// Heartbeats blocked by an expired key, by node: when that was last audited.
// Registrations refused for want of proof likewise.
var (
	blockedSchema  = schema[uint32, millis]{kindBlocked, appendKey32, readKey32, readMillis}
	rejectedSchema = schema[uint32, millis]{kindRejected, appendKey32, readKey32, readMillis}
)
