// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Process is a logical client. An operation with an unknown outcome may still
// be under way, so the one that continues must not look like the same client.
type Process struct {
	name       string
	generation int
}

// generationMark stands between the name of a process and its generation.
const generationMark = "~"

// NewProcess names a logical client.
func NewProcess(name string) *Process { return &Process{name: name} }

// Client is the id to record operations under.
func (p *Process) Client() string {
	if p.generation == 0 {
		return p.name
	}
	return p.name + generationMark + strconv.Itoa(p.generation)
}

// Observe notes the outcome of an operation that has ended.
func (p *Process) Observe(o Outcome) {
	if o == Unknown {
		p.generation++
	}
}

// Counts are the numbers of recorded operations. Acked counts writes among OK.
type Counts struct {
	OK, Fail, Unknown, Acked int64
}

// Recorder collects operations in memory and, given a directory, in one JSONL
// file per client. It is safe for concurrent use.
type Recorder struct {
	dir  string
	base time.Time

	mu     sync.Mutex
	ops    []Op
	counts Counts
	files  map[string]*os.File
	err    error
}

// NewRecorder starts a history and its clock. With dir empty it is kept in
// memory only.
func NewRecorder(dir string) (*Recorder, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
	}
	return &Recorder{dir: dir, base: time.Now(), files: map[string]*os.File{}}, nil
}

// Now is the time on the history's clock: nanoseconds since it began.
func (r *Recorder) Now() int64 { return int64(time.Since(r.base)) }

// Base is the wall time at which the history's clock began.
func (r *Recorder) Base() time.Time { return r.base }

// Record adds an operation that has ended and returns it with its id.
func (r *Recorder) Record(op Op) Op {
	r.mu.Lock()
	defer r.mu.Unlock()
	op.ID = uint64(len(r.ops)) + 1
	r.ops = append(r.ops, op)
	switch op.Outcome {
	case OK:
		r.counts.OK++
		if op.Writes() {
			r.counts.Acked++
		}
	case Fail:
		r.counts.Fail++
	default:
		r.counts.Unknown++
	}
	if r.dir != "" {
		r.err = errors.Join(r.err, r.write(op))
	}
	return op
}

func (r *Recorder) write(op Op) error {
	name, _, _ := strings.Cut(op.Client, generationMark)
	f := r.files[name]
	if f == nil {
		var err error
		f, err = os.OpenFile(filepath.Join(r.dir, name+".jsonl"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		r.files[name] = f
	}
	line, err := json.Marshal(op)
	if err != nil {
		return fmt.Errorf("operation %d: %w", op.ID, err)
	}
	_, err = f.Write(append(line, '\n'))
	return err
}

// Counts says how many operations have ended, and how.
func (r *Recorder) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts
}

// Ops is the history so far, by call.
func (r *Recorder) Ops() []Op {
	r.mu.Lock()
	out := append([]Op(nil), r.ops...)
	r.mu.Unlock()
	Sort(out)
	return out
}

// Close ends the files. The error is the first that any write met: a history
// that is not whole must not pass for one.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.files {
		r.err = errors.Join(r.err, f.Close())
	}
	r.files = map[string]*os.File{}
	return r.err
}

// Read reads the history that a recorder left in a directory.
func Read(dir string) ([]Op, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return nil, err
	}
	var ops []Op
	for _, path := range files {
		if ops, err = readFile(path, ops); err != nil {
			return nil, err
		}
	}
	Sort(ops)
	return ops, nil
}

func readFile(path string, ops []Op) ([]Op, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Buffer(make([]byte, 64<<10), 64<<20)
	for line := 1; in.Scan(); line++ {
		var op Op
		if err := json.Unmarshal(in.Bytes(), &op); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, line, err)
		}
		ops = append(ops, op)
	}
	return ops, in.Err()
}
