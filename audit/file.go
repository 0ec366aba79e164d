// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// fileSink appends JSON lines to a file. It knows from the file's last line
// which events are there, so that a file has every event once however often
// events are delivered again.
type fileSink struct {
	path string
	f    *os.File
	size int64
	last position
	// sync makes what was written durable; tests replace it.
	sync func(*os.File) error
}

// position is the newest event that was written.
type position struct {
	seq uint64
	at  int64
}

func openFile(o Options) (Exporter, error) {
	if !filepath.IsAbs(o.Sink.Endpoint) {
		return nil, errors.New("a file export wants an absolute path")
	}
	return &fileSink{path: o.Sink.Endpoint, sync: (*os.File).Sync}, nil
}

// Deliver appends the events that are not in the file, with one write and
// one fsync. It is all or nothing: a batch that could not be made durable is
// taken out of the file, because what a failed fsync leaves is unknown.
func (s *fileSink) Deliver(ctx context.Context, events []protocol.AuditEvent) (int, error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	err := s.current()
	if err == nil {
		err = s.append(events)
	}
	if err != nil {
		_ = s.Close() // the next try looks at the file again
		return 0, failed("audit file", pathless(err), "")
	}
	return len(events), nil
}

// pathless is an error of the file system without the path, which may be long.
func pathless(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// current opens the file, again when it is not the one at the path or when
// someone else wrote to it.
func (s *fileSink) current() error {
	if s.f != nil {
		there, err := os.Stat(s.path)
		if err == nil {
			var own fs.FileInfo
			if own, err = s.f.Stat(); err == nil && os.SameFile(own, there) && own.Size() == s.size {
				return nil
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_ = s.Close()
	}
	return s.open()
}

func (s *fileSink) open() error {
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	size, last, err := resume(f)
	if err == nil && size == 0 {
		err = syncDir(filepath.Dir(s.path))
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	s.f, s.size = f, size
	// A new file after a rotation continues where the old one ended.
	if last.seq > s.last.seq {
		s.last = last
	}
	return nil
}

// syncDir makes a new file's name durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}

func (s *fileSink) append(events []protocol.AuditEvent) error {
	lines, last, err := s.lines(events)
	if err != nil || len(lines) == 0 {
		return err
	}
	n, err := s.f.Write(lines)
	if err == nil {
		err = s.sync(s.f)
	}
	if err != nil {
		_ = s.f.Truncate(s.size)
		return err
	}
	s.size, s.last = s.size+int64(n), last
	return nil
}

// lines are the events after those that the file has.
func (s *fileSink) lines(events []protocol.AuditEvent) (lines []byte, last position, err error) {
	last = s.last
	for i := range events {
		e := &events[i]
		if e.Seq <= last.seq {
			// Log time never runs backwards: a younger event with a lower number is
			// of a cluster that was created again, and would be left out for good.
			if e.Time > last.at {
				return nil, last, errors.New("the file has events of another cluster")
			}
			continue
		}
		lines = append(append(lines, JSON(e)...), '\n')
		last = position{e.Seq, e.Time}
	}
	return lines, last, nil
}

// Close closes the file. Everything delivered is durable already.
func (s *fileSink) Close() error {
	if s.f == nil {
		return nil
	}
	err := s.f.Close()
	s.f = nil
	return err
}
