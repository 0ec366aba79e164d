// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	enc "encoding/binary"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// inflate is the plain content of a snapshot; ok is false for other files.
// The format is described in fsm/snapshot.go.
func inflate(t *testing.T, raw []byte) (plain []byte, ok bool) {
	t.Helper()
	rest, ok := bytes.CutPrefix(raw, []byte("PILOTSNP\x01"))
	if !ok {
		return nil, false
	}
	n, used := enc.Uvarint(rest)
	rest = rest[used+int(n)+32:]
	var packed []byte
	for {
		size := enc.BigEndian.Uint32(rest)
		if rest = rest[4:]; size == 0 {
			break
		}
		packed, rest = append(packed, rest[:size]...), rest[size:]
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if plain, err = z.DecodeAll(packed, nil); err != nil {
		t.Fatal(err)
	}
	return plain, true
}
