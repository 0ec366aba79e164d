// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
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
func (n *node) AppendTo(dst []byte, level uint32) []byte {
	dst = append(dst, n.key[:]...)
	dst = append(dst, byte(n.state), byte(n.flags))
	dst = table.AppendUvarint(dst, uint64(n.keyGen))
	dst = table.AppendUvarint(dst, uint64(n.rotates))
	dst = table.AppendVarint(dst, int64(n.polo))
	dst = table.AppendVarint(dst, n.created)
	dst = table.AppendVarint(dst, n.rotated)
	dst = table.AppendVarint(dst, n.expires)
	dst = table.AppendVarint(dst, n.offlineAt)
	dst = table.AppendString(dst, n.owner)
	dst = table.AppendString(dst, n.endpoint)
	dst = table.AppendString(dst, n.hostname)
	dst = table.AppendString(dst, n.externalID)
	dst = table.AppendString(dst, n.version)
	dst = table.AppendStrings(dst, n.lan)
	dst = table.AppendStrings(dst, n.tags)
	dst = append(dst, byte(n.announced))
	dst = n.standing.appendTo(dst)
	dst = table.AppendString(table.AppendString(dst, n.keys.Match), n.keys.Near)
	return n.nextFields.AppendTo(dst, level)
}

// trim clears the fields that the record does not have at a level: a member
// that restored the record would not know them, and after the level is raised
// the two would differ.
func (n *node) trim(level uint32) {
	n.nextFields.trim(level)
}

func readNode(d *table.Decoder, level uint32) *node {
	n := &node{}
	copy(n.key[:], d.Raw(len(n.key)))
	n.state, n.flags = nodeState(d.Uint8()), nodeFlags(d.Uint8())
	n.keyGen, n.rotates = d.Uvarint32(), d.Uvarint32()
	polo := d.Varint()
	n.polo = int32(polo)
	n.created, n.rotated, n.expires, n.offlineAt = d.Varint(), d.Varint(), d.Varint(), d.Varint()
	n.owner, n.endpoint, n.hostname = d.Text(), d.Text(), d.Text()
	n.externalID, n.version = d.Text(), d.Text()
	n.lan, n.tags = d.Texts(), d.Texts()
	n.announced = readStage(d)
	n.standing = readStanding(d)
	n.keys = protocol.IDKeys{Match: d.Text(), Near: d.Text()}
	n.nextFields.read(d, level)
	if n.state < stateLive || n.state > stateDeregistered || int64(n.polo) != polo {
		d.Fail()
	}
	return n
}

// request is a handshake request in a node's inbox. It is counted for the
// source that it came from, and for the /48 around that where there is one.
type request struct {
	from          uint32
	at            int64
	justification string
	source, wide  string
}

func (r *request) AppendTo(dst []byte, _ uint32) []byte {
	dst = table.AppendUvarint(dst, uint64(r.from))
	dst = table.AppendVarint(dst, r.at)
	return table.AppendString(table.AppendString(table.AppendString(dst, r.justification), r.source), r.wide)
}

func readRequest(d *table.Decoder, _ uint32) *request {
	return &request{from: d.Uvarint32(), at: d.Varint(), justification: d.Text(), source: d.Text(), wide: d.Text()}
}

// response is an answer to a handshake request, waiting for its reader.
type response struct {
	from   uint32
	at     int64
	accept bool
}

func (r *response) AppendTo(dst []byte, _ uint32) []byte {
	dst = table.AppendUvarint(dst, uint64(r.from))
	dst = table.AppendVarint(dst, r.at)
	return append(dst, table.BoolByte(r.accept))
}

func readResponse(d *table.Decoder, _ uint32) *response {
	return &response{from: d.Uvarint32(), at: d.Varint(), accept: d.Bool()}
}

// queueKey orders a node's queue by the global sequence number of its entries.
func queueKey(node uint32, seq uint64) string {
	var b [12]byte
	return string(table.AppendKey64(table.AppendKey32(b[:0], node), seq))
}

func splitQueueKey(k string) (node uint32, seq uint64) {
	d := table.NewDecoder([]byte(k))
	return d.Key32(), d.Key64()
}

func readQueueKey(d *table.Decoder) string {
	k := d.Text()
	if len(k) != 12 {
		d.Fail()
	}
	return k
}

// nothing is the record of tables whose keys say everything.
type nothing struct{}

func (nothing) AppendTo(dst []byte, _ uint32) []byte { return dst }

func readNothing(*table.Decoder, uint32) nothing { return nothing{} }

// beacon is an announced beacon; at is its last refresh, signed the time at
// which the newest of its signed announcements was signed, 0 for none.
type beacon struct {
	addr   string
	at     int64
	signed int64
	bearer bearer // who announced it; unknown of those of older logs
}

func (b *beacon) AppendTo(dst []byte, _ uint32) []byte {
	dst = table.AppendVarint(table.AppendVarint(table.AppendString(dst, b.addr), b.at), b.signed)
	if b.bearer == (bearer{}) {
		return dst
	}
	return b.bearer.append(dst)
}

func readBeacon(d *table.Decoder, _ uint32) *beacon {
	b := &beacon{addr: d.Text(), at: d.Varint(), signed: d.Varint()}
	if d.Left() > 0 {
		b.bearer = readBearer(d)
	}
	return b
}

// millis is a time of log in milliseconds.
type millis int64

func (m millis) AppendTo(dst []byte, _ uint32) []byte { return table.AppendVarint(dst, int64(m)) }

func readMillis(d *table.Decoder, _ uint32) millis { return millis(d.Varint()) }
