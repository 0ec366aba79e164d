// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/google/uuid"
	"github.com/hashicorp/raft"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Layouts of Extensions, by their first byte. Both end in nothing else.
const (
	// tagSum: tag, CRC-32C, big endian.
	tagSum = 'c'
	// tagMaker: tag, CRC-32C, and the UUID of the member that made the entry,
	// which the checksum covers.
	tagMaker = 'm'
)

const (
	sumBytes   = 1 + 4
	makerBytes = 16
)

// sum is the checksum of an entry over index, term, type, data and maker. It
// travels in Extensions, so followers verify what the leader computed.
func sum(l *raft.Log, maker []byte) []byte {
	var head [17]byte
	binary.BigEndian.PutUint64(head[0:], l.Index)
	binary.BigEndian.PutUint64(head[8:], l.Term)
	head[16] = byte(l.Type)
	crc := crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, l.Data)
	tag := byte(tagSum)
	if len(maker) > 0 {
		tag, crc = tagMaker, crc32.Update(crc, castagnoli, maker)
	}
	out := append(make([]byte, 0, sumBytes+len(maker)), tag)
	return append(binary.BigEndian.AppendUint32(out, crc), maker...)
}

// makerOf cuts the maker out of Extensions: nil for an entry without one.
func makerOf(extensions []byte) []byte {
	if len(extensions) == sumBytes+makerBytes && extensions[0] == tagMaker {
		return extensions[sumBytes:]
	}
	return nil
}

func sumMatches(l *raft.Log) bool { return bytes.Equal(l.Extensions, sum(l, makerOf(l.Extensions))) }

// Maker is the id of the member that led when an entry was made, empty when
// the entry does not say.
func Maker(l *raft.Log) string {
	id, err := uuid.FromBytes(makerOf(l.Extensions))
	if err != nil {
		return ""
	}
	return id.String()
}

// Verify is nil for an entry that another member has sent as its store made it,
// else [ErrReceived].
func Verify(l *raft.Log) error {
	if sumMatches(l) {
		return nil
	}
	return fmt.Errorf("%w: index %d, term %d", ErrReceived, l.Index, l.Term)
}

// Made reports whether an entry comes from this member's own raft and was
// never stored: whatever another member sends has its checksum already.
func Made(l *raft.Log) bool { return len(l.Extensions) == 0 }

func valueSum(key, val []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, val)
}

func appendValueSum(key, val []byte) []byte {
	out := append(make([]byte, 0, len(val)+4), val...)
	return binary.BigEndian.AppendUint32(out, valueSum(key, val))
}

func cutValueSum(key, raw []byte) ([]byte, bool) {
	if len(raw) < 4 {
		return nil, false
	}
	val := raw[:len(raw)-4]
	return val, binary.BigEndian.Uint32(raw[len(val):]) == valueSum(key, val)
}
