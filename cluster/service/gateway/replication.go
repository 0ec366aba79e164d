// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/base/guess"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// replicationInterval is the least time between two snapshots of a subscription.
const replicationInterval = time.Second

// Subscribe streams a backup, or the registry's state: a snapshot at once and another
// after changes, at most one a second (docs/protocol/audit.md#subscribe_replication), secrets left out.
func (g *Gateway) Subscribe(ctx context.Context, conn *server.ConnState, req *protocol.Request, send func([]byte) error) *protocol.Error {
	if body, ok := req.Body.(*protocol.ClusterSnapshot); ok {
		return g.streamSnapshot(ctx, conn, req, body, send)
	}
	body, _ := req.Body.(*protocol.SubscribeReplication)
	if e := g.mayReplicate(ctx, conn, body); e != nil {
		return e
	}
	if req.Unread != nil {
		return req.Unread.Err
	}
	// The first snapshot shows what was acknowledged before it was asked for.
	root, e := confirmed(ctx, g.engine)
	if e != nil {
		return e
	}
	ticker := time.NewTicker(replicationInterval)
	defer ticker.Stop()
	sent := false
	var change uint64
	for {
		if reason, yes := g.engine.Quarantined(); yes {
			return protocol.Errorf(protocol.CodeQuarantined, "this member is quarantined (%s); subscribe to another member", reason)
		}
		if !sent || lastEvent(root) != change {
			if err := sendSnapshot(root, send); err != nil {
				return nil // the subscriber is gone
			}
			sent, change = true, lastEvent(root)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		root = g.engine.Root()
	}
}

// mayReplicate checks the replication token.
func (g *Gateway) mayReplicate(ctx context.Context, conn *server.ConnState, body *protocol.SubscribeReplication) *protocol.Error {
	tokens := g.engine.Root().Tokens(fsm.TokenReplication)
	if len(tokens) == 0 {
		return protocol.Errorf(protocol.CodePermissionDenied, "replication not configured")
	}
	if body != nil && body.Token != "" {
		if e := g.guesses.Admit(ctx, conn.Source, guess.Replication); e != nil {
			return e
		}
		if match(g.engine.Keyring(), tokens, cluster.PurposeReplication, body.Token) != nil {
			return nil
		}
		g.guesses.Wrong(conn.Source, guess.Replication)
	}
	return protocol.Errorf(protocol.CodeTokenInvalid, "invalid replication token")
}

func sendSnapshot(root *fsm.Root, send func([]byte) error) error {
	frame, err := json.Marshal(struct {
		Type     string `json:"type"`
		Snapshot any    `json:"snapshot"`
	}{"replication_snapshot", root.ReplicationDocument()})
	if err != nil {
		return err
	}
	return send(frame)
}

// lastEvent tells one state from another: every change of domain or
// configuration state appends an event.
func lastEvent(root *fsm.Root) uint64 {
	return max(root.Chain(protocol.ClassSecurity).HeadSeq, root.Chain(protocol.ClassActivity).HeadSeq)
}
