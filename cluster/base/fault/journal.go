// SPDX-License-Identifier: Apache-2.0

//go:build faults

package fault

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
)

// journal keeps every log entry this process was about to store, so that a
// checker has the whole log although members compact theirs.
var journal struct {
	sync.Mutex
	file *os.File
	buf  []byte
}

func openJournal(path string) error {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("PILOT_FAULT_JOURNAL: %w", err)
	}
	journal.file = f
	return nil
}

// Journal notes an entry that is about to be stored. A record is its length
// without these four bytes, index, term, kind and data, all big endian.
func Journal(index, term uint64, kind uint8, data []byte) {
	journal.Lock()
	defer journal.Unlock()
	if journal.file == nil {
		return
	}
	b := binary.BigEndian.AppendUint32(journal.buf[:0], uint32(17+len(data)))
	b = binary.BigEndian.AppendUint64(b, index)
	b = binary.BigEndian.AppendUint64(b, term)
	b = append(append(b, kind), data...)
	journal.buf = b
	if _, err := journal.file.Write(b); err != nil {
		fmt.Fprintln(os.Stderr, "fault journal:", err)
	}
}
