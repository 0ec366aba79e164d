// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
)

// damaged says what is wrong with the bytes of a snapshot.
func damaged(format string, args ...any) error { return table.Damaged(format, args...) }

// Restore replaces the state by a snapshot's. It reads record by record into
// a fresh state and swaps only after the footer, the hash and the recomputed
// digest agree; after an error the state is as before. It refuses formats,
// feature levels and records that this version does not know.
func (m *Machine) Restore(r io.Reader) error {
	in := bufio.NewReader(r)
	head, err := readHeader(in)
	if err != nil {
		return err
	}
	x := newTxn()
	count, sum, err := table.ReadRecords(in, func(rec []byte, before uint64) error {
		return x.load(rec, head.level, before == 0)
	})
	if err != nil {
		return err
	}
	footer := make([]byte, footerBytes)
	if _, err := io.ReadFull(in, footer); err != nil {
		return damaged("its footer is missing")
	}
	if _, err := in.ReadByte(); err != io.EOF {
		return damaged("bytes follow its footer")
	}
	switch {
	case count != head.records:
		return damaged("it holds %d records and its header says %d", count, head.records)
	case !bytes.Equal(footer, appendFooter(nil, count, sum, x.w.Digest.Bytes())):
		return damaged("its records do not match its footer")
	case x.meta.level != head.level || x.meta.clusterID != head.clusterID:
		return damaged("its header and its records are of different clusters")
	}
	if err := x.consistent(); err != nil {
		return err
	}
	countBacklogs(x)
	m.adopt(x, head.index, head.term)
	return nil
}

type snapshotHeader struct {
	level                uint32
	clusterID            string
	index, term, records uint64
}

func readHeader(in *bufio.Reader) (h snapshotHeader, err error) {
	magic := make([]byte, len(snapshotMagic)+1)
	if _, err := io.ReadFull(in, magic); err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return h, fmt.Errorf("the snapshot cannot be read: %w", err)
	}
	if string(magic[:len(snapshotMagic)]) != snapshotMagic {
		return h, errors.New("this is not a snapshot of a registry")
	}
	if f := magic[len(snapshotMagic)]; f != snapshotFormat {
		return h, fmt.Errorf("the snapshot has format %d and this version knows format %d; use a newer version", f, snapshotFormat)
	}
	n, err := binary.ReadUvarint(in)
	if err != nil || n > maxHeader {
		return h, damaged("its header is too long")
	}
	buf := make([]byte, int(n)+sha256.Size)
	if _, err := io.ReadFull(in, buf); err != nil {
		return h, damaged("its header is cut short")
	}
	if sum := sha256.Sum256(buf[:n]); !bytes.Equal(sum[:], buf[n:]) {
		return h, damaged("its header does not match its checksum")
	}
	d := table.NewDecoder(buf[:n])
	h.level, h.clusterID = d.Uvarint32(), d.Text()
	h.index, h.term, h.records = d.Uvarint(), d.Uvarint(), d.Uvarint()
	if !d.Done() {
		return h, damaged("its header does not decode")
	}
	if h.level != 0 && (h.level < LevelMin || h.level > LevelMax) {
		return h, fmt.Errorf("the snapshot is of feature level %d and this version knows levels %d to %d; use a version that knows it", h.level, LevelMin, LevelMax)
	}
	return h, nil
}

// load adds one record to a state that is being restored. The meta record
// comes first and only once.
func (x *txn) load(rec []byte, level uint32, first bool) error {
	in := table.NewDecoder(rec[1:])
	k := table.Kind(rec[0])
	if first != (k == kindMeta) {
		return damaged("its records do not begin with the state's own")
	}
	if k == kindMeta {
		m := readMeta(in)
		if !in.Done() || m.level != level {
			return damaged("the state's own record does not decode")
		}
		x.w.Digest.Sub(&x.metaHash)
		x.meta = m
		x.metaHash = m.hash()
		x.w.Digest.Add(&x.metaHash)
		return nil
	}
	t := byKind[k]
	if t == nil {
		return fmt.Errorf("the snapshot holds records of kind %d, which this version does not know; use a newer version", k)
	}
	if !t.load(x, in, level) {
		return damaged("a record of kind %d does not decode or stands there twice", k)
	}
	return nil
}

// consistent checks what the decoders of single records cannot see.
func (x *txn) consistent() error {
	switch {
	case x.nodes.seen.Len() != x.nodes.liveIDs.Len():
		return damaged("%d nodes are live and %d have a last sign of life", x.nodes.liveIDs.Len(), x.nodes.seen.Len())
	case x.meta.clusterID != "" && !x.networks.records.Holds(0):
		return damaged("it has no backbone network")
	}
	for i := range x.audit.events {
		if uint64(x.audit.events[i].Len()) != x.meta.chains[i].Count {
			return damaged("events are missing")
		}
	}
	if x.audit.sinks.Len() != x.audit.cursors.Len() {
		return damaged("%d sinks have %d positions", x.audit.sinks.Len(), x.audit.cursors.Len())
	}
	return nil
}
