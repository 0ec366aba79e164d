// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// maxTail is how much of a file's end is read: more than an event can take.
const maxTail = 4 << 20

// entryStart is how every line of a file begins.
var entryStart = []byte(`{"timestamp":"`)

// errNotOurs keeps the exporter from cutting or adding to a file that is
// something else.
var errNotOurs = errors.New("the file's end is not an audit event: the file is left alone")

// resume cuts off a line that a crash left unfinished and returns the size
// and the last event of what is there.
func resume(f *os.File) (size int64, last position, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, last, err
	}
	if !info.Mode().IsRegular() {
		return 0, last, errors.New("it is not a regular file")
	}
	size = info.Size()
	tail := make([]byte, min(size, maxTail))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return 0, last, err
	}
	end := bytes.LastIndexByte(tail, '\n') + 1
	torn := tail[end:]
	if !bytes.HasPrefix(torn, entryStart[:min(len(torn), len(entryStart))]) || end == 0 && size > int64(len(tail)) {
		return 0, last, errNotOurs
	}
	if end > 0 {
		if last, err = lastLine(tail[:end-1]); err != nil {
			return 0, last, err
		}
	}
	if len(torn) > 0 {
		size -= int64(len(torn))
		if err := f.Truncate(size); err != nil {
			return 0, last, err
		}
	}
	return size, last, nil
}

func lastLine(lines []byte) (position, error) {
	var e protocol.AuditEntry
	line := lines[bytes.LastIndexByte(lines, '\n')+1:]
	if json.Unmarshal(line, &e) != nil || e.Seq == 0 || !bytes.HasPrefix(line, entryStart) {
		return position{}, errNotOurs
	}
	return position{e.Seq, e.TimeMS}, nil
}
