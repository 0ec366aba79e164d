// SPDX-License-Identifier: Apache-2.0

package protocol

// ClusterSnapshot asks for the whole state as a backup. The reply is a stream:
// a [ClusterSnapshotReply], [SnapshotChunk] frames in order, and a
// [SnapshotEnd], after which the connection ends. The bytes of the chunks, one
// after the other, are the backup.
type ClusterSnapshot struct {
	// Stale takes the state of the member that is asked without a confirm
	// round, also without a quorum.
	Stale bool `json:"stale,omitempty"`
}

// Validate accepts everything.
func (*ClusterSnapshot) Validate() *Error { return nil }

// ClusterSnapshotReply is the first frame of a backup: what is in it.
type ClusterSnapshotReply struct {
	ClusterID    string `json:"cluster_id"`
	Digest       string `json:"digest"`
	FeatureLevel uint32 `json:"feature_level"`
	Index        uint64 `json:"index"`
	LogTime      string `json:"log_time"`
	MemberID     string `json:"member_id"`
	Nodes        int    `json:"nodes"`
	Stale        bool   `json:"stale,omitempty"`
	Term         uint64 `json:"term"`
	Type         string `json:"type"`
}

// Types of the frames that follow.
const (
	TypeSnapshotChunk = "cluster_snapshot_chunk"
	TypeSnapshotEnd   = "cluster_snapshot_end"
)

// SnapshotChunk is a part of a backup.
type SnapshotChunk struct {
	Data []byte `json:"data"`
	Type string `json:"type"`
}

// SnapshotEnd says how long a backup is and what its SHA-256 is, in
// hexadecimal. A backup without it is not whole.
type SnapshotEnd struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	Type   string `json:"type"`
}
