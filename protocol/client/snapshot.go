// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// errWhole ends the stream of a backup that is complete.
var errWhole = errors.New("the backup is whole")

// Snapshot writes a backup of the whole state to w, from any member: of one
// moment, with everything that was acknowledged before the call. With stale it
// is the state of the member that answers, which needs no quorum. It needs the
// admin token.
//
// An error says that what was written is not a backup: the stream ended early,
// its checksum does not match, or w failed. It does not try again.
func (c *Client) Snapshot(ctx context.Context, w io.Writer, stale bool) (*protocol.ClusterSnapshotReply, error) {
	row := protocol.Must("cluster_snapshot")
	in := &snapshotReader{w: w, row: row, sum: sha256.New()}
	err := c.stream(ctx, row, &protocol.ClusterSnapshot{Stale: stale}, protocol.Credentials{AdminToken: protocol.Secret(c.opts.AdminToken)}, in.take)
	if errors.Is(err, errWhole) {
		return in.first, nil
	}
	return in.first, err
}

// snapshotReader puts the frames of a backup together.
type snapshotReader struct {
	w     io.Writer
	row   *protocol.Command
	first *protocol.ClusterSnapshotReply
	bytes int64
	sum   interface {
		io.Writer
		Sum([]byte) []byte
	}
}

func (r *snapshotReader) take(frame json.RawMessage) error {
	var kind struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(frame, &kind); err != nil {
		return fmt.Errorf("a frame of the backup cannot be read: %w", err)
	}
	switch {
	case r.first == nil && kind.Type == r.row.ReplyType():
		r.first = &protocol.ClusterSnapshotReply{}
		return json.Unmarshal(frame, r.first)
	case r.first != nil && kind.Type == protocol.TypeSnapshotChunk:
		return r.chunk(frame)
	case r.first != nil && kind.Type == protocol.TypeSnapshotEnd:
		return r.end(frame)
	}
	return fmt.Errorf("the registry sent a frame of type %q within a backup", kind.Type)
}

func (r *snapshotReader) chunk(frame json.RawMessage) error {
	var chunk protocol.SnapshotChunk
	if err := json.Unmarshal(frame, &chunk); err != nil {
		return fmt.Errorf("a frame of the backup cannot be read: %w", err)
	}
	_, _ = r.sum.Write(chunk.Data) // a hash takes everything
	r.bytes += int64(len(chunk.Data))
	_, err := r.w.Write(chunk.Data)
	return err
}

func (r *snapshotReader) end(frame json.RawMessage) error {
	var end protocol.SnapshotEnd
	if err := json.Unmarshal(frame, &end); err != nil {
		return fmt.Errorf("the end of the backup cannot be read: %w", err)
	}
	if got := hex.EncodeToString(r.sum.Sum(nil)); r.bytes != end.Bytes || got != end.SHA256 {
		return fmt.Errorf("the backup did not arrive as it was sent: %d bytes with SHA-256 %s, sent were %d with %s", r.bytes, got, end.Bytes, end.SHA256)
	}
	return errWhole
}
