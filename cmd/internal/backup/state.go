// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/pilotregistry/pilotregistry/fsm"
)

// Summary says what is in a backup.
type Summary struct {
	ClusterID    string        `json:"cluster_id"`
	FeatureLevel uint32        `json:"feature_level"`
	Index        uint64        `json:"index"`
	Term         uint64        `json:"term"`
	LogTime      string        `json:"log_time"`
	Digest       string        `json:"digest"`
	Nodes        int           `json:"nodes"`
	Networks     int           `json:"networks"`
	Members      []string      `json:"members"`
	LastEvent    uint64        `json:"last_event"`
	Holdings     []fsm.Holding `json:"holdings"`
}

// Load reads a backup and verifies all of it: its checksums, every record,
// and the digest computed again from the records.
func Load(path string, in io.Reader, keys *Keys) (*fsm.Root, error) {
	r, err := Open(path, in, keys)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	m := fsm.New()
	if err := m.Restore(r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m.Root(), nil
}

// Summarize says what a state holds.
func Summarize(root *fsm.Root) Summary {
	digest := root.Digest()
	s := Summary{ClusterID: root.ClusterID(), FeatureLevel: root.Level(), Index: root.Index(), Term: root.Term(), LogTime: Time(root).Format(time.RFC3339),
		Digest: hex.EncodeToString(digest[:]), Nodes: root.NodeCount(), Members: []string{}, LastEvent: root.EventSeq(), Holdings: root.Inventory()}
	for _, h := range s.Holdings {
		if h.Name == "networks" {
			s.Networks = h.Records
		}
	}
	for _, m := range root.Members() {
		s.Members = append(s.Members, m.Peer)
	}
	return s
}

// Time is the log time of a state: what was acknowledged up to then is in it.
func Time(root *fsm.Root) time.Time { return time.UnixMilli(root.Now()).UTC() }
