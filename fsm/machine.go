// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"sync/atomic"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Checkpoint is the digest that a member had after an entry.
type Checkpoint struct {
	Index  uint64
	Level  uint32
	Digest [32]byte
}

// maxCheckpoints is how many checkpoints a member remembers.
const maxCheckpoints = 16

// Machine is the writer of the state. Apply, Configuration and Restore must
// be called by one goroutine at a time; Root, Snapshot and Checkpoints by any.
type Machine struct {
	root        atomic.Pointer[Root]
	checkpoints atomic.Pointer[[]Checkpoint]
	sweepAt     atomic.Uint32

	x       *txn
	scratch []logged
	halted  *HaltError
}

// New returns a machine with an empty state.
func New() *Machine {
	m := &Machine{}
	m.adopt(newTxn(), 0, 0)
	return m
}

// adopt makes x the machine's state and publishes it.
func (m *Machine) adopt(x *txn, index, term uint64) {
	m.x = x
	m.halted = nil
	m.root.Store(&Root{sweepAt: &m.sweepAt})
	m.checkpoints.Store(&[]Checkpoint{})
	m.publish(index, term)
}

// Root is the newest published state.
func (m *Machine) Root() *Root { return m.root.Load() }

// Checkpoints are the newest digests taken at KindCheckpoint entries, oldest
// first. They are this member's own observations and not part of the state.
func (m *Machine) Checkpoints() []Checkpoint { return *m.checkpoints.Load() }

// Configuration notes that the entry at index changed raft's own
// configuration: the state stays as it is, its index moves on.
func (m *Machine) Configuration(index, term uint64) {
	if m.halted != nil {
		return
	}
	r := *m.root.Load()
	r.index, r.term = index, term
	m.root.Store(&r)
}

// Apply applies one committed entry and publishes the state after it. The
// results are in the order of the entry's commands; a command that was
// refused has changed nothing. The error is a *HaltError: the entry holds
// something this version does not understand, the published state is that
// before the entry, and every later Apply fails in the same way.
func (m *Machine) Apply(index, term uint64, data []byte) ([]Result, error) {
	if m.halted != nil {
		return nil, m.halted
	}
	p, reason := parseEntry(data, m.scratch)
	if reason == "" {
		m.scratch = p.commands
		reason = unknownCommand(p.commands)
	}
	if reason != "" {
		return nil, m.stop(index, reason)
	}
	x := m.x
	x.start(index, term, p.time, p.seed)
	results := make([]Result, len(p.commands))
	for i := range p.commands {
		results[i] = x.apply(&p.commands[i])
		if x.halt != "" {
			return nil, m.stop(index, x.halt)
		}
	}
	x.finish(len(p.commands))
	m.publish(index, term)
	return results, nil
}

func (m *Machine) stop(index uint64, reason string) error {
	m.halted = &HaltError{Index: index, Reason: fmt.Sprintf("entry %d %s", index, reason)}
	return m.halted
}

// unknownCommand says which command of an entry this version cannot apply.
func unknownCommand(commands []logged) string {
	for i := range commands {
		if code := commands[i].Code; !knownCode(code) {
			return fmt.Sprintf("holds a command of code %d that this version does not know; upgrade this member", code)
		}
	}
	return ""
}

func knownCode(code protocol.Code) bool {
	if code >= InternalBase {
		return internalKind(code) != nil
	}
	b := bound(code)
	return b != nil && b.decide != nil
}

// publish makes the writer's state the one that everybody reads.
func (m *Machine) publish(index, term uint64) {
	old := m.root.Load()
	r := &Root{view: old.view, index: index, term: term, digest: m.x.w.Digest.Bytes(), sweepAt: &m.sweepAt}
	m.x.handOver(&r.view)
	m.root.Store(r)
	if m.x.checkpoint {
		m.remember(Checkpoint{Index: index, Level: r.meta.level, Digest: r.digest})
	}
}

func (m *Machine) remember(c Checkpoint) {
	list := append([]Checkpoint(nil), m.Checkpoints()...)
	list = append(list, c)
	list = list[max(0, len(list)-maxCheckpoints):]
	m.checkpoints.Store(&list)
}
