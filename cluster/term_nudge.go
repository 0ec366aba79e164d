// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// NudgedDuty is a duty that any member may ask to work at once.
type NudgedDuty interface {
	Duty
	// Nudge asks the running duty and waits until it has looked, or ctx ends.
	// It is called on the leader.
	Nudge(ctx context.Context, urgent bool) *protocol.Error
}

type nudgeRequest struct {
	Duty      string `json:"duty"`
	Urgent    bool   `json:"urgent,omitempty"`
	Forwarded bool   `json:"forwarded,omitempty"`
}

func (t *term) handleNudge(ctx context.Context, payload []byte) ([]byte, *protocol.Error) {
	var req nudgeRequest
	if err := json.Unmarshal(payload, &req); err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "the nudge cannot be read")
	}
	return t.nudge(ctx, &req)
}

func (t *term) nudge(ctx context.Context, req *nudgeRequest) ([]byte, *protocol.Error) {
	return t.router.once(ctx, rpcNudge, &req.Forwarded, req, func(ctx context.Context) ([]byte, *protocol.Error) {
		for _, d := range t.cfg.Extra {
			if nudged, ok := d.(NudgedDuty); ok && d.Name() == req.Duty {
				return nil, nudged.Nudge(ctx, req.Urgent)
			}
		}
		return nil, protocol.NotAppliedf(protocol.CodeNotImplemented, "member %s has no duty %q to nudge", t.id, req.Duty)
	})
}
