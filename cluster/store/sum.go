package store

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/hashicorp/raft"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumTag marks the layout of Extensions: tag, then CRC-32C, big endian.
const sumTag = 'c'

// sum is the checksum of an entry over index, term, type and data. It travels
// in Extensions, so followers verify what the leader computed.
func sum(l *raft.Log) []byte {
	var head [17]byte
	binary.BigEndian.PutUint64(head[0:], l.Index)
	binary.BigEndian.PutUint64(head[8:], l.Term)
	head[16] = byte(l.Type)
	crc := crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, l.Data)
	return binary.BigEndian.AppendUint32([]byte{sumTag}, crc)
}

func sumMatches(l *raft.Log) bool { return bytes.Equal(l.Extensions, sum(l)) }

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
