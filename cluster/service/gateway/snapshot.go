// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/guess"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// snapshotChunk is how many bytes of a backup go into a frame. maxBackups
// bounds the backups that are streamed at a time: each keeps a state in memory.
const (
	snapshotChunk = 256 << 10
	maxBackups    = 2
)

// streamSnapshot streams the whole state, of one moment and confirmed with the
// voters unless the caller takes what this member has.
func (g *Gateway) streamSnapshot(ctx context.Context, conn *server.ConnState, req *protocol.Request, body *protocol.ClusterSnapshot, send func([]byte) error) *protocol.Error {
	if e := g.guesses.Admit(ctx, conn.Source, guess.Admin); e != nil {
		return e
	}
	var actor fsm.Actor
	if e := g.admin(g.engine.Root(), req, &actor); e != nil {
		if g.guessed(req, guess.Admin, e.Code) {
			g.guesses.Wrong(conn.Source, guess.Admin)
		}
		return g.refuse(conn, req, e).Err
	}
	if req.Unread != nil {
		return req.Unread.Err
	}
	select {
	case g.backups <- struct{}{}:
		defer func() { <-g.backups }()
	default:
		return protocol.NotAppliedf(protocol.CodeOverloaded, "this member is streaming %d backups already; wait for one to end, or ask another member", maxBackups)
	}
	root, e := g.backupState(ctx, body.Stale)
	if e != nil {
		return e
	}
	g.log.Info("backup requested", "token", actor.Token, "source", conn.Source, "index", root.Index())
	if err := g.sendBackup(root, body.Stale, send); err != nil {
		g.log.Warn("backup not delivered", "source", conn.Source, "error", err)
	}
	return nil
}

// backupState is the state to back up.
func (g *Gateway) backupState(ctx context.Context, stale bool) (*fsm.Root, *protocol.Error) {
	if reason, yes := g.engine.Quarantined(); yes && !stale {
		return nil, protocol.Errorf(protocol.CodeQuarantined, "this member is quarantined (%s); ask another member", reason)
	}
	root := g.engine.Root()
	if !stale {
		var e *protocol.Error
		if root, e = confirmed(ctx, g.engine); e != nil {
			return nil, e
		}
	}
	if root.ClusterID() == "" {
		return nil, protocol.NotAppliedf(protocol.CodeNoLeader, "this member has no state yet; ask another member")
	}
	return root, nil
}

func (g *Gateway) sendBackup(root *fsm.Root, stale bool, send func([]byte) error) error {
	digest := root.Digest()
	first := protocol.ClusterSnapshotReply{ClusterID: root.ClusterID(), Digest: hex.EncodeToString(digest[:]), FeatureLevel: root.Level(), Index: root.Index(),
		LogTime: time.UnixMilli(root.Now()).UTC().Format(time.RFC3339Nano), Nodes: root.NodeCount(), Stale: stale, Term: root.Term(),
		Type: protocol.Must("cluster_snapshot").ReplyType(), MemberID: g.engine.ID()}
	if err := sendJSON(send, first); err != nil {
		return err
	}
	frames := &snapshotFrames{send: send, sum: sha256.New()}
	w := bufio.NewWriterSize(frames, snapshotChunk)
	if err := root.Snapshot().Write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return sendJSON(send, protocol.SnapshotEnd{Bytes: frames.bytes, SHA256: hex.EncodeToString(frames.sum.Sum(nil)), Type: protocol.TypeSnapshotEnd})
}

// snapshotFrames makes frames of what is written to it.
type snapshotFrames struct {
	send  func([]byte) error
	sum   hash.Hash
	bytes int64
}

// Write sends one frame.
func (f *snapshotFrames) Write(p []byte) (int, error) {
	f.sum.Write(p)
	f.bytes += int64(len(p))
	if err := sendJSON(f.send, protocol.SnapshotChunk{Data: p, Type: protocol.TypeSnapshotChunk}); err != nil {
		return 0, err
	}
	return len(p), nil
}

func sendJSON(send func([]byte) error, v any) error {
	frame, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return send(frame)
}
