// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"crypto/sha256"
	"io"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
)

// The snapshot format, which is also that of the operator's backup:
//
//	"PILOTSNP" · format byte 1
//	header: length-prefixed; level, cluster id, index, term, records; SHA-256
//	chunks of compressed records, see [table.WriteRecords]
//	footer: "PILOTEND" · number of records · SHA-256 of the uncompressed
//	        records · digest
//
// Numbers of the footer are 8 bytes, big endian.
const (
	snapshotMagic  = "PILOTSNP"
	snapshotFormat = 1
	footerMagic    = "PILOTEND"
	footerBytes    = len(footerMagic) + 8 + 2*sha256.Size
	maxHeader      = 4 << 10
)

// Snapshot is a state that is ready to be written out.
type Snapshot struct{ root *Root }

// Snapshot takes the newest state in constant time.
func (m *Machine) Snapshot() *Snapshot { return m.Root().Snapshot() }

// Snapshot makes a state ready to be written out.
func (r *Root) Snapshot() *Snapshot { return &Snapshot{root: r} }

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
	count, sum, err := table.WriteRecords(w, r.eachRecord)
	if err != nil {
		return err
	}
	_, err = w.Write(appendFooter(nil, count, sum, r.digest))
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
