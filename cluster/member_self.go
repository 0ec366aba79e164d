// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"github.com/pilotregistry/pilotregistry/fsm"
	"go.opentelemetry.io/otel/trace"
)

// self is this member as all of its parts know it: who it is, how it is
// configured, its state, and whether it is starting or stopping.
type self struct {
	id, clusterID string
	cfg           Config
	log           hclog.Logger
	// tracer records this member's part of traces; nil for none.
	tracer trace.Tracer

	machine *fsm.Machine
	// applied is the index of the newest entry in the state.
	applied *indexWaiter
	// changed is signalled when leadership or readiness changes.
	changed broadcast

	draining, stopping atomic.Bool
	// up is closed when the parts are wired, dead when raft has stopped.
	up, dead chan struct{}
	wg       sync.WaitGroup
}

func newSelf(cfg Config) *self {
	return &self{cfg: cfg, log: cfg.Logger, machine: fsm.New(), applied: &indexWaiter{}, up: make(chan struct{}), dead: make(chan struct{})}
}

// Root is the newest applied state: immutable, and never torn.
func (s *self) Root() *fsm.Root { return s.machine.Root() }

// run starts a goroutine that the member waits for before it closes its files.
func (s *self) run(f func()) {
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		f()
	}()
}

// started reports whether the parts are wired.
func (s *self) started() bool {
	select {
	case <-s.up:
		return true
	default:
		return false
	}
}
