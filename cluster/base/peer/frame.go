// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// MaxFrame is the largest payload of a frame between members, in bytes.
const MaxFrame = 8 << 20

// A frame is: payload length uint32, request id uint64, type byte, time budget
// in milliseconds uint32 (requests only, 0 for none), payload. Big-endian.
const headerBytes = 4 + 8 + 1 + 4

// Frame types from reserved on belong to this package; smaller ones are the caller's.
const (
	reserved  byte = 0xf0
	typeOK    byte = 0xf0
	typeError byte = 0xf1
	typePing  byte = 0xf2
	// typeTrace carries the trace of the request that follows it, and is not
	// answered. Members that do not know it answer as to a ping, which nobody
	// waits for: its request id is 0.
	typeTrace byte = 0xf3
)

type frame struct {
	id      uint64
	typ     byte
	budget  uint32
	payload []byte
	// trace is the trace of a request, empty for none. It is a frame of its own.
	trace []byte
}

func appendFrame(dst []byte, f frame) []byte {
	if len(f.trace) > 0 {
		dst = appendFrame(dst, frame{typ: typeTrace, payload: f.trace})
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(f.payload)))
	dst = binary.BigEndian.AppendUint64(dst, f.id)
	dst = append(dst, f.typ)
	dst = binary.BigEndian.AppendUint32(dst, f.budget)
	return append(dst, f.payload...)
}

// readFrame checks the announced length before it allocates.
func readFrame(r io.Reader, limit int) (frame, error) {
	var h [headerBytes]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return frame{}, err
	}
	n := binary.BigEndian.Uint32(h[:4])
	if uint64(n) > uint64(limit) {
		return frame{}, fmt.Errorf("%w: %d bytes (max %d)", protocol.ErrFrameTooLarge, n, limit)
	}
	f := frame{id: binary.BigEndian.Uint64(h[4:12]), typ: h[12], budget: binary.BigEndian.Uint32(h[13:17])}
	if n > 0 {
		f.payload = make([]byte, n)
		if _, err := io.ReadFull(r, f.payload); err != nil {
			return frame{}, err
		}
	}
	return f, nil
}

// wireError is protocol.Error with the field that does not travel to clients.
type wireError struct {
	protocol.Error
	Stateful bool `json:"stateful,omitempty"`
}

// EncodeError renders an error for another member, outcome and all.
func EncodeError(e *protocol.Error) []byte {
	raw, err := json.Marshal(wireError{Error: *e, Stateful: e.Stateful})
	if err != nil {
		return nil
	}
	return raw
}

// DecodeError reads what EncodeError wrote.
func DecodeError(raw []byte) *protocol.Error {
	var w wireError
	if err := json.Unmarshal(raw, &w); err != nil || w.Code == "" {
		return protocol.Unknownf(protocol.CodeInternal, "a member answered with an unreadable error")
	}
	w.Error.Stateful = w.Stateful
	return &w.Error
}

// The listener's verdict on a connection: 0, or 1 and an error in a frame.
func writeVerdict(w io.Writer, verdict *protocol.Error) error {
	if verdict == nil {
		_, err := w.Write([]byte{0})
		return err
	}
	_, err := w.Write(appendFrame([]byte{1}, frame{typ: typeError, payload: EncodeError(verdict)}))
	return err
}

func readVerdict(r io.Reader) error {
	var b [1]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return err
	}
	if b[0] == 0 {
		return nil
	}
	f, err := readFrame(r, 64<<10)
	if err != nil {
		return err
	}
	return refusal(DecodeError(f.payload))
}
