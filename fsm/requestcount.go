// SPDX-License-Identifier: Apache-2.0

package fsm

import "github.com/pilotregistry/pilotregistry/protocol"

// CountRequests is the body of KindCountRequests: how many requests a member
// has answered since it was started. Sent twice it counts once.
type CountRequests struct {
	Member string `json:"member"`
	// Boot is another one after every start of the member.
	Boot  string `json:"boot"`
	Total uint64 `json:"total"`
}

const (
	maxBootBytes = 64
	maxRequests  = 1 << 53
)

func decideCountRequests(v *view, b *CountRequests) (effect, *protocol.Error) {
	s, known := v.cluster.members.Get(b.Member)
	switch {
	case b.Boot == "" || len(b.Boot) > maxBootBytes || b.Total > maxRequests:
		return nil, protocol.Errorf(protocol.CodeInvalid, "invalid count_requests: want a boot id and a number of requests")
	case !known:
		return nil, protocol.Refusef(protocol.CodeNotFound, "%s is no member", protocol.Quote(b.Member))
	case s.boot == b.Boot && b.Total <= s.counted:
		return func(*txn) any { return ok("count_requests") }, nil // an older count, or the same again
	}
	return func(x *txn) any {
		next := *s
		more := b.Total
		if s.boot == b.Boot {
			more -= s.counted
		}
		next.boot, next.counted = b.Boot, b.Total
		putClusterMember(x, b.Member, &next)
		x.meta.requests = min(x.meta.requests+more, maxRequests)
		return ok("count_requests")
	}, nil
}

// TotalRequests is how many requests the members have answered, up to their
// last counts.
func (r *Root) TotalRequests() uint64 { return r.meta.requests }
