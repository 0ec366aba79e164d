// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// A typed reply is given as it is; bytes from the store or from another member
// are decoded, and what is not the type is refused.
func TestAReplyIsGivenByItsType(t *testing.T) {
	t.Parallel()
	typed := &protocol.HeartbeatReply{Time: 7, Type: "heartbeat_ok"}
	if r, err := protocol.ReplyAs[protocol.HeartbeatReply](typed); err != nil || r != typed {
		t.Errorf("%v %v", r, err)
	}
	for _, reply := range []any{*typed, protocol.Rendered(`{"time":7,"type":"heartbeat_ok"}`)} {
		if r, err := protocol.ReplyAs[protocol.HeartbeatReply](reply); err != nil || *r != *typed {
			t.Errorf("%T: %v %v", reply, r, err)
		}
	}
	for _, reply := range []any{nil, &protocol.LookupReply{}, protocol.Rendered(`{`)} {
		if _, err := protocol.ReplyAs[protocol.HeartbeatReply](reply); err == nil {
			t.Errorf("%T is taken for a heartbeat's reply", reply)
		}
	}
}
