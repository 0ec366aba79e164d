// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"errors"
	"fmt"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Reasons for which a connection between members does not come about.
var (
	// ErrForeignCluster: the peer's certificate was issued by another cluster.
	ErrForeignCluster = errors.New("the peer belongs to another cluster")
	// ErrWrongMember: another member answered at the address that was dialled.
	ErrWrongMember = errors.New("another member answered at this address")
	// ErrNotMember: the peer knows no member with our id, or has removed it.
	ErrNotMember = errors.New("the peer does not accept this member")
	// ErrClosed: the client or connection was closed on this side.
	ErrClosed = errors.New("peer connection closed")
)

// CodeNotMember is the code with which a listener refuses a member that is
// neither in the configuration nor joining.
const CodeNotMember = "not_a_member"

// TransportError is a call that got no answer. Sent tells the two cases apart
// that matter for a write: not one byte of the request left this machine (the
// request was not applied), or some did (the outcome is unknown).
type TransportError struct {
	// Member is the id of the member that was called.
	Member string
	// Sent is true when bytes of the request may have reached the peer.
	Sent bool
	// Err is the cause; context errors are kept.
	Err error
}

// Error names the member and whether the request left.
func (e *TransportError) Error() string {
	if e.Sent {
		return fmt.Sprintf("member %s: request sent, no answer: %v", e.Member, e.Err)
	}
	return fmt.Sprintf("member %s: request not sent: %v", e.Member, e.Err)
}

// Unwrap returns the cause.
func (e *TransportError) Unwrap() error { return e.Err }

// refusal is how a listener's verdict reaches the dialling side.
func refusal(p *protocol.Error) error {
	if p.Code == CodeNotMember {
		return fmt.Errorf("%w: %s", ErrNotMember, p.Text)
	}
	return p.AsError()
}
