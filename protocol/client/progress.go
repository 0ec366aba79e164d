// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// note remembers which addresses were dead and which silent.
func (s *progress) note(ctx context.Context, f *failure) {
	switch {
	case f.kind == unreachable && ctx.Err() == nil:
		s.dead = withAddr(s.dead, f.err.Addr)
	case f.kind == unknown && (errors.Is(f.err, context.DeadlineExceeded) || errors.Is(f.err, os.ErrDeadlineExceeded)):
		s.silent = withAddr(s.silent, f.err.Addr)
	}
}

func withAddr(list []string, addr string) []string {
	if slices.Contains(list, addr) {
		return list
	}
	return append(list, addr)
}

// tell is what is known at the end of a call that no member decided: what one
// said, or else that some are there and silent, which says more than that the
// last one tried is dead.
func (s *progress) tell(f *failure) *failure {
	if s.said != nil || len(s.silent) == 0 || f.kind != unreachable && f.kind != unknown {
		return f.recall(s.said)
	}
	text := strings.Join(s.silent, ", ") + " took the request and did not answer in time"
	if len(s.dead) > 0 {
		text += fmt.Sprintf("; %s cannot be reached", strings.Join(s.dead, ", "))
	}
	e, out := *f.err, *f
	e.Text = text + ": the cluster may have no leader"
	if e.Outcome != protocol.OutcomeUnknown {
		e.Code = protocol.CodeTimeout
	}
	out.err = &e
	return &out
}
