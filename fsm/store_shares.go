// SPDX-License-Identifier: Apache-2.0

package fsm

import "github.com/pilotregistry/pilotregistry/fsm/internal/table"

// shares count what principals, sources and /48s hold of something.
type shares struct {
	held  table.Index[string, int64]
	total table.Value[int64]
}

// sharesAt are the places of shares.
func sharesAt(in func(*view) *shares) []place {
	return []place{
		func(v *view) table.Part { return &in(v).held },
		func(v *view) table.Part { return &in(v).total },
	}
}

func (s *shares) add(w *table.Writer, b *bearer, n int64) {
	s.total.Set(w, s.total.Get()+n)
	for _, k := range b.keys() {
		if k == "" {
			continue
		}
		held, _ := s.held.Get(k)
		if held += n; held > 0 {
			s.held.Put(w, k, held)
		} else {
			s.held.Drop(w, k)
		}
	}
}
