// SPDX-License-Identifier: Apache-2.0

package protocol

import "fmt"

// DirectorySyncReply answers directory_sync. Mapped counts the entries that
// are enabled and match a member, Unmapped those that match none, Updated the
// roles that changed and Disabled the members that were removed. PreAssigned
// counts the waiting roles, Hostnames the hostnames that changed, NearMisses the
// members that stay because an entry is nearly theirs.
type DirectorySyncReply struct {
	Actions     []string `json:"actions"`
	Disabled    uint32   `json:"disabled"`
	DryRun      bool     `json:"dry_run,omitempty"`
	Hostnames   uint32   `json:"hostnames"`
	Mapped      uint32   `json:"mapped"`
	NearMisses  uint32   `json:"near_misses,omitempty"`
	NetworkID   uint16   `json:"network_id"`
	NextCursor  string   `json:"next_cursor,omitempty"`
	PreAssigned uint32   `json:"pre_assigned"`
	Revision    uint64   `json:"revision"`
	Type        string   `json:"type"`
	Unmapped    uint32   `json:"unmapped"`
	Updated     uint32   `json:"updated"`
	Warnings    []string `json:"warnings,omitempty"`
}

// UploadReply answers a part of a request when others are still missing.
type UploadReply struct {
	Part     uint32 `json:"part"`
	Parts    uint32 `json:"parts"`
	Pending  bool   `json:"pending"`
	Received uint32 `json:"received"`
	Type     string `json:"type"`
	UploadID string `json:"upload_id"`
}

// DirectoryCounts are the counts of a sync.
type DirectoryCounts struct {
	Disabled uint32 `json:"disabled"`
	Mapped   uint32 `json:"mapped"`
	Unmapped uint32 `json:"unmapped"`
	Updated  uint32 `json:"updated"`
}

// DirectoryStatusReply answers directory_status. Mapped members have an
// external id. Actions, Warnings and NextCursor continue the reply of the
// last sync when the request brought its cursor.
type DirectoryStatusReply struct {
	Actions        []string         `json:"actions,omitempty"`
	Enterprise     bool             `json:"enterprise"`
	LastResult     *DirectoryCounts `json:"last_result,omitempty"`
	LastSync       string           `json:"last_sync,omitempty"`
	Mapped         uint32           `json:"mapped"`
	NetworkID      uint16           `json:"network_id"`
	NextCursor     string           `json:"next_cursor,omitempty"`
	PreAssignments uint32           `json:"pre_assignments,omitempty"`
	Revision       uint64           `json:"revision"`
	Total          uint32           `json:"total"`
	Type           string           `json:"type"`
	Unmapped       uint32           `json:"unmapped"`
	Warnings       []string         `json:"warnings,omitempty"`
}

// String is how people read the counts.
func (c DirectoryCounts) String() string {
	return fmt.Sprintf("%d mapped, %d unmapped, %d updated, %d disabled", c.Mapped, c.Unmapped, c.Updated, c.Disabled)
}
