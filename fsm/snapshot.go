// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
)

// The snapshot format, which is also that of the operator's backup:
//
//	"PILOTSNP" · format byte 1
//	header: length-prefixed; level, cluster id, index, term, records; SHA-256
//	chunks: 4-byte length and zstd data each, ended by length 0; uncompressed:
//	        records, each length-prefixed: kind byte, key, canonical record
//	footer: "PILOTEND" · number of records · SHA-256 of the uncompressed
//	        records · digest
//
// Numbers of the footer are 8 bytes, big endian.
const (
	snapshotMagic  = "PILOTSNP"
	snapshotFormat = 1
	footerMagic    = "PILOTEND"
	footerBytes    = len(footerMagic) + 8 + 2*sha256.Size
	maxChunk       = 64 << 10
	maxHeader      = 4 << 10
	// maxRecord bounds one encoded record. Bodies of log entries are bounded
	// far below it.
	maxRecord = 16 << 20
)

// Snapshot is a state that is ready to be written out.
type Snapshot struct{ root *Root }

// Snapshot takes the newest state in constant time.
func (m *Machine) Snapshot() *Snapshot { return &Snapshot{root: m.Root()} }

// Index is the log index of the snapshot.
func (s *Snapshot) Index() uint64 { return s.root.index }

// Term is the raft term of the snapshot.
func (s *Snapshot) Term() uint64 { return s.root.term }

// Write streams the snapshot. It may run while the machine applies entries.
func (s *Snapshot) Write(w io.Writer) error {
	r := s.root
	if _, err := w.Write(r.snapshotHeader()); err != nil {
		return err
	}
	chunks := &chunkWriter{w: w}
	z, err := zstd.NewWriter(chunks, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	if err != nil {
		return err
	}
	out := recordWriter{w: z, sum: sha256.New()}
	if err := r.eachRecord(out.write); err != nil {
		_ = z.Close()
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	if err := chunks.close(); err != nil {
		return err
	}
	_, err = w.Write(appendFooter(nil, out.count, out.sum.Sum(nil), r.digest))
	return err
}

// eachRecord emits every record of the state, meta first.
func (r *Root) eachRecord(emit func([]byte) error) error {
	if err := emit(r.meta.AppendTo(nil, r.meta.level)); err != nil {
		return err
	}
	for _, t := range r.stored() {
		if err := t.Each(r.meta.level, emit); err != nil {
			return err
		}
	}
	return nil
}

func (r *Root) snapshotHeader() []byte {
	records := uint64(1)
	for _, t := range r.stored() {
		records += uint64(t.Len())
	}
	var h []byte
	h = table.AppendUvarint(h, uint64(r.meta.level))
	h = table.AppendString(h, r.meta.clusterID)
	h = table.AppendUvarint(h, r.index)
	h = table.AppendUvarint(h, r.term)
	h = table.AppendUvarint(h, records)
	sum := sha256.Sum256(h)
	out := append([]byte(snapshotMagic), snapshotFormat)
	out = table.AppendBytes(out, h)
	return append(out, sum[:]...)
}

func appendFooter(dst []byte, count uint64, sum []byte, digest [32]byte) []byte {
	dst = append(dst, footerMagic...)
	dst = table.AppendKey64(dst, count)
	dst = append(dst, sum...)
	return append(dst, digest[:]...)
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
	o.buf = table.AppendBytes(o.buf[:0], record)
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
