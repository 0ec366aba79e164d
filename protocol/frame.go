// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// MaxRequestBytes is the largest request body that every server accepts, in
	// bytes.
	MaxRequestBytes = 64 << 10
	// MaxRequestLimit is the largest that a server can be set to accept.
	MaxRequestLimit = 1 << 20
	// MaxReplyBytes is the largest reply body a server sends, in bytes.
	MaxReplyBytes = 8 << 20
	// MaxClientReplyBytes is the largest reply body the SDK accepts, in bytes.
	MaxClientReplyBytes = 64 << 20
	// FrameHeaderBytes is the length of the big-endian length prefix.
	FrameHeaderBytes = 4
)

// ErrFrameTooLarge says that a peer announced a body above the limit. The
// body has not been read and no memory was allocated for it.
var ErrFrameTooLarge = errors.New("frame too large")

// ErrFrameEmpty says that a peer announced a body of zero bytes, which cannot
// hold a JSON value.
var ErrFrameEmpty = errors.New("empty frame")

// ReadFrame reads one frame: a big-endian uint32 body length, then the body.
// The length is checked against limit before anything is allocated. buf is
// reused when it is large enough.
func ReadFrame(r io.Reader, limit int, buf []byte) ([]byte, error) {
	var header [FrameHeaderBytes]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(header[:])
	return ReadFrameBody(r, n, limit, buf)
}

// ReadFrameBody reads the body of a frame whose header announced n bytes.
func ReadFrameBody(r io.Reader, n uint32, limit int, buf []byte) ([]byte, error) {
	switch {
	case n == 0:
		return nil, ErrFrameEmpty
	case uint64(n) > uint64(limit):
		return nil, fmt.Errorf("%w: %d bytes (max %d)", ErrFrameTooLarge, n, limit)
	}
	if cap(buf) < int(n) {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(r, buf); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return buf, nil
}

// AppendFrame appends body to dst as one frame.
func AppendFrame(dst, body []byte) []byte {
	return append(AppendFrameHeader(dst, len(body)), body...)
}

// AppendFrameHeader appends the header of a frame whose body has n bytes.
func AppendFrameHeader(dst []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}
