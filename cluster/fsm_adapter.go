// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bufio"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/fsm"
)

// errHalted answers futures of entries that this member could not apply.
var errHalted = errors.New("this member has halted")

// adapter is the state machine as raft sees it. It keeps its own applied
// index: raft's AppliedIndex means "queued", and raft's no-ops never arrive here.
type adapter struct {
	machine *fsm.Machine
	applied *indexWaiter
	halted  atomic.Bool
	// onHalt is called once, when an entry cannot be applied by this binary.
	onHalt func(reason string)
	// onConfig is called for each committed configuration.
	onConfig func(raft.Configuration)
	observe  func(op string, d time.Duration)
	// failed is told of errors of the disk.
	failed func(error)
	// onLevel is called when the state's feature level has changed.
	onLevel func(level uint32)
	level   uint32
	// noted is called with the index of the last entry of every batch.
	noted func(index uint64)

	// timed notes when entries were applied in timedEntry, for traces.
	timed      bool
	timedEntry atomic.Pointer[appliedEntry]

	// mu orders raft and reapply, which both apply committed entries.
	mu sync.Mutex
	// delivered is the index of the last entry that came from raft.
	delivered uint64
}

var (
	_ raft.BatchingFSM        = (*adapter)(nil)
	_ raft.ConfigurationStore = (*adapter)(nil)
)

// Apply applies one entry; the response is []fsm.Result or an error.
func (a *adapter) Apply(l *raft.Log) any { return a.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch applies commands and configurations in order. Configurations
// advance the index, so that nobody waits for an index that never comes.
func (a *adapter) ApplyBatch(logs []*raft.Log) []any {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.apply(logs)
	a.delivered = logs[len(logs)-1].Index
	if !a.halted.Load() && a.noted != nil {
		a.noted(a.delivered)
	}
	return out
}

// apply applies what is not in the state yet.
func (a *adapter) apply(logs []*raft.Log) []any {
	out := make([]any, len(logs))
	for i, l := range logs {
		done := l.Index <= a.machine.Root().Index() // by reapply
		if a.halted.Load() {
			out[i] = errHalted
			continue
		}
		switch {
		case l.Type == raft.LogCommand && !done:
			fault.Hit(fault.ApplyBefore)
			results, err := a.applyTimed(l)
			fault.Hit(fault.ApplyAfter)
			if err != nil {
				a.halt(err)
				out[i] = err
				continue
			}
			out[i] = results
		case l.Type == raft.LogConfiguration:
			if !done {
				a.machine.Configuration(l.Index, l.Term)
			}
			if a.onConfig != nil {
				a.onConfig(raft.DecodeConfiguration(l.Data))
			}
		}
	}
	a.noteLevel()
	if !a.halted.Load() {
		a.applied.advance(logs[len(logs)-1].Index)
	}
	return out
}

// appliedEntry is when the newest entry was committed, as far as this member
// knows, and when it was applied.
type appliedEntry struct {
	index      uint64
	begun, end time.Time
}

func (a *adapter) applyTimed(l *raft.Log) ([]fsm.Result, error) {
	if !a.timed {
		return a.machine.Apply(l.Index, l.Term, l.Data)
	}
	begun := time.Now()
	results, err := a.machine.Apply(l.Index, l.Term, l.Data)
	a.timedEntry.Store(&appliedEntry{l.Index, begun, time.Now()})
	return results, err
}

func (a *adapter) noteLevel() {
	if level := a.machine.Root().Level(); level != a.level && a.onLevel != nil {
		a.onLevel(level)
		a.level = level
	}
}

// StoreConfiguration is what raft calls instead of ApplyBatch for a state
// machine that takes entries one by one.
func (a *adapter) StoreConfiguration(index uint64, _ raft.Configuration) {
	a.machine.Configuration(index, a.machine.Root().Term())
	a.applied.advance(index)
}

// stopApplying leaves the state as it is from now on.
func (a *adapter) stopApplying() { a.halted.Store(true) }

func (a *adapter) halt(err error) {
	if a.halted.CompareAndSwap(false, true) && a.onHalt != nil {
		a.onHalt(err.Error())
	}
}

// reapply brings the state to where it was before the member stopped, without
// a leader: entries up to an index that was applied then are committed. Raft
// applies them again once it knows; they are passed over then.
func (a *adapter) reapply(logs raft.LogStore, upTo uint64) error {
	first, err := logs.FirstIndex()
	if err != nil || first == 0 {
		return err
	}
	for next := first; next <= upTo; next++ {
		var l raft.Log
		if err := logs.GetLog(next, &l); errors.Is(err, raft.ErrLogNotFound) {
			return nil // a snapshot has it, or the end of the log is elsewhere
		} else if err != nil {
			return err
		}
		a.mu.Lock()
		root := a.machine.Root().Index()
		if gap := next == first && root+1 < first && first > 1; gap {
			a.mu.Unlock()
			return nil // the state does not reach the log: raft says so
		}
		if next > root && !a.halted.Load() {
			a.apply([]*raft.Log{&l})
		}
		a.mu.Unlock()
	}
	return nil
}

// errAhead refuses a snapshot while the state is ahead of what raft has
// delivered: raft would file it under an older index.
var errAhead = errors.New("the state is ahead of what raft has delivered since the start; a snapshot is taken later")

// Snapshot takes the current root; nothing is copied.
func (a *adapter) Snapshot() (raft.FSMSnapshot, error) {
	if a.halted.Load() {
		return nil, errHalted
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.machine.Root().Index() > a.delivered {
		return nil, errAhead
	}
	return &snapshot{inner: a.machine.Snapshot(), observe: a.observe, failed: a.failed}, nil
}

// Restore replaces the state with a snapshot, which is verified first.
func (a *adapter) Restore(rc io.ReadCloser) error {
	start := time.Now()
	defer rc.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	fault.Hit(fault.RestoreBefore)
	if err := a.machine.Restore(bufio.NewReaderSize(rc, 256<<10)); err != nil {
		var halt *fsm.HaltError
		if errors.As(err, &halt) {
			a.halt(err)
		}
		return err
	}
	fault.Hit(fault.RestoreAfter)
	a.noteLevel()
	a.delivered = a.machine.Root().Index()
	a.applied.advance(a.delivered)
	if a.noted != nil {
		a.noted(a.delivered)
	}
	a.observe("restore", time.Since(start))
	return nil
}

type snapshot struct {
	inner   *fsm.Snapshot
	observe func(op string, d time.Duration)
	failed  func(error)
}

// Persist streams the snapshot to the sink.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	start := time.Now()
	if err := s.write(sink); err != nil {
		s.failed(err)
		return errors.Join(err, sink.Cancel())
	}
	s.observe("persist", time.Since(start))
	err := sink.Close()
	fault.Hit(fault.SnapshotAfter)
	return err
}

func (s *snapshot) write(sink io.Writer) error {
	if err := fault.Err(fault.SnapshotBefore); err != nil {
		return err
	}
	w := bufio.NewWriterSize(sink, 256<<10)
	if err := s.inner.Write(w); err != nil {
		return err
	}
	if err := fault.Err(fault.SnapshotMiddle); err != nil {
		return err
	}
	return w.Flush()
}

// Release has nothing to do: roots are immutable and garbage collected.
func (s *snapshot) Release() {}
