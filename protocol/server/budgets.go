// SPDX-License-Identifier: Apache-2.0

package server

// Budget is something that all connections share.
type Budget struct {
	Name        string
	Used, Limit int64
}

// Budgets are what connections share, and how much of it is taken.
func (s *Server) Budgets() []Budget {
	s.mu.Lock()
	conns := s.places.Total()
	s.mu.Unlock()
	return []Budget{
		{"connections", conns, int64(s.cfg.MaxConns)},
		{"replies", s.replies.room.taken(), int64(s.cfg.ReplyMemory)},
		{"long_requests", s.long.taken(), LongRequestMemory},
	}
}

// taken is what all connections hold of a room.
func (r *room) taken() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pool.Total()
}
