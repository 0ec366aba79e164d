// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
)

// The stream of records in a snapshot:
//
//	chunks: 4-byte length and zstd data each, ended by length 0; uncompressed:
//	        records, each length-prefixed: kind byte, key, canonical record
const (
	maxChunk = 64 << 10
	// maxRecord bounds one encoded record. Bodies of log entries are bounded
	// far below it.
	maxRecord = 16 << 20
)

// ErrDamaged is what every error about the bytes of a snapshot wraps.
var ErrDamaged = errors.New("the snapshot is damaged")

// Damaged returns an [ErrDamaged] that says what is wrong.
func Damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// WriteRecords writes the records that each emits as a stream. It returns
// their number and the SHA-256 of the uncompressed stream.
func WriteRecords(w io.Writer, each func(emit func([]byte) error) error) (count uint64, sum []byte, err error) {
	chunks := &chunkWriter{w: w}
	z, err := zstd.NewWriter(chunks, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	if err != nil {
		return 0, nil, err
	}
	out := recordWriter{w: z, sum: sha256.New()}
	if err := each(out.write); err != nil {
		_ = z.Close()
		return 0, nil, err
	}
	if err := z.Close(); err != nil {
		return 0, nil, err
	}
	return out.count, out.sum.Sum(nil), chunks.close()
}

// ReadRecords reads a stream up to its end mark and not beyond. It hands every
// record to add, with the number of those before it, and returns what
// [WriteRecords] returned. The record is good until add returns.
func ReadRecords(r io.Reader, add func(record []byte, before uint64) error) (count uint64, sum []byte, err error) {
	chunks := &chunkReader{r: r}
	z, err := zstd.NewReader(chunks, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return 0, nil, err
	}
	defer z.Close()
	in, h := bufio.NewReader(z), sha256.New()
	var buf []byte
	for ; ; count++ {
		buf, err = readRecord(in, buf)
		if errors.Is(err, io.EOF) {
			return count, h.Sum(nil), chunks.drain()
		}
		if err != nil {
			return 0, nil, err
		}
		var prefix [binary.MaxVarintLen64]byte
		h.Write(AppendUvarint(prefix[:0], uint64(len(buf))))
		h.Write(buf)
		if err := add(buf, count); err != nil {
			return 0, nil, err
		}
	}
}

type recordWriter struct {
	w     io.Writer
	sum   hash.Hash
	count uint64
	buf   []byte
}

func (o *recordWriter) write(record []byte) error {
	if len(record) > maxRecord {
		return fmt.Errorf("a record of kind %d is too large for a snapshot: %d bytes", record[0], len(record))
	}
	o.count++
	o.buf = AppendBytes(o.buf[:0], record)
	o.sum.Write(o.buf)
	_, err := o.w.Write(o.buf)
	return err
}

// chunkWriter cuts the compressed stream into chunks, so that a reader finds
// its end without reading beyond it.
type chunkWriter struct {
	w   io.Writer
	buf []byte
}

func (c *chunkWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		k := min(maxChunk, len(p))
		c.buf = binary.BigEndian.AppendUint32(c.buf[:0], uint32(k))
		c.buf = append(c.buf, p[:k]...)
		if _, err := c.w.Write(c.buf); err != nil {
			return 0, err
		}
		p = p[k:]
	}
	return n, nil
}

func (c *chunkWriter) close() error {
	_, err := c.w.Write(make([]byte, 4))
	return err
}

// readRecord reads a length-prefixed record into buf, which grows only as
// bytes arrive. The error is io.EOF at the end of the records.
func readRecord(in *bufio.Reader, buf []byte) ([]byte, error) {
	n, err := binary.ReadUvarint(in)
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if err != nil || n == 0 || n > maxRecord {
		return nil, Damaged("a record is cut short or too long")
	}
	buf = buf[:0]
	for uint64(len(buf)) < n {
		k := min(n-uint64(len(buf)), 64<<10)
		at := len(buf)
		buf = append(buf, make([]byte, k)...)
		if _, err := io.ReadFull(in, buf[at:]); err != nil {
			return nil, Damaged("a record is cut short")
		}
	}
	return buf, nil
}

// chunkReader reads what chunkWriter wrote, up to its end mark.
type chunkReader struct {
	r    io.Reader
	left int
	end  bool
}

func (c *chunkReader) Read(p []byte) (int, error) {
	if c.left == 0 && !c.end {
		var b [4]byte
		if _, err := io.ReadFull(c.r, b[:]); err != nil {
			return 0, Damaged("it is cut short")
		}
		n := binary.BigEndian.Uint32(b[:])
		if n > maxChunk {
			return 0, Damaged("a chunk is too long")
		}
		c.left, c.end = int(n), n == 0
	}
	if c.end {
		return 0, io.EOF
	}
	n, err := c.r.Read(p[:min(len(p), c.left)])
	c.left -= n
	if errors.Is(err, io.EOF) && (c.left > 0 || n == 0) {
		err = Damaged("it is cut short")
	}
	return n, err
}

// drain makes sure that nothing is left before the end mark.
func (c *chunkReader) drain() error {
	var b [1]byte
	for range 16 {
		n, err := c.Read(b[:])
		switch {
		case n > 0:
			return Damaged("it has bytes behind its records")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
	return Damaged("it is cut short")
}
