// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// fenceEvery is how often members that were left behind are looked for.
const fenceEvery = 5 * time.Second

// fence keeps members that a recovery left behind from going on as the cluster:
// together they may still be a quorum of the configuration that they know.
type fence struct {
	*self
	// epoch counts the recoveries of the cluster that this member knows of.
	epoch uint64
	// behind are the members that recoveries left behind, by id.
	behind map[string]string
	peers  caller
	health interface{ fatal(code int, reason string) }
}

// fenceRequest tells a member that the cluster goes on without it.
type fenceRequest struct {
	Epoch uint64 `json:"epoch"`
}

// leftBehind reports whether a member may not take part any more.
func (f *fence) leftBehind(id string) bool {
	_, yes := f.behind[id]
	return yes
}

// tell looks for the members that were left behind until all of them know.
func (f *fence) tell(ctx context.Context) {
	left := map[string]bool{}
	for id := range f.behind {
		left[id] = true
	}
	for len(left) > 0 {
		for id := range left {
			asked, cancel := context.WithTimeout(ctx, fenceEvery)
			var reply struct{}
			if err := callJSON(asked, f.peers, id, rpcFence, fenceRequest{f.epoch}, &reply); err == nil {
				f.log.Warn("a member that was left behind by the recovery has been stopped", "member", id)
				delete(left, id)
			}
			cancel()
		}
		if !rest(ctx, nil, fenceEvery) && ctx.Err() != nil {
			return
		}
	}
}

// handleFence ends this member when the cluster was recovered without it.
func (f *fence) handleFence(from string, payload []byte) ([]byte, *protocol.Error) {
	var req fenceRequest
	if err := json.Unmarshal(payload, &req); err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "fence request cannot be read")
	}
	if req.Epoch <= f.epoch {
		return nil, protocol.Errorf(protocol.CodeConflict, "member %s is at epoch %d already", f.id, f.epoch)
	}
	f.run(func() { // the caller gets its answer first
		rest(context.Background(), f.dead, 100*time.Millisecond)
		f.health.fatal(ExitDamaged, fmt.Sprintf("cluster %s was recovered without member %s (epoch %d, says member %s): keep the data directory until nobody misses anything, and join again with an empty one",
			f.clusterID, f.id, req.Epoch, from))
	})
	return []byte("{}"), nil
}
