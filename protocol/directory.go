// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"fmt"
	"strconv"
)

// directoryCommands are the rows of commands.go about this subject.
var directoryCommands = []Command{
	{Code: 16, Name: "directory_sync", Group: GroupDirectory, Page: PageAdmin, Auth: AuthAdmin, Enterprise: true, Mode: ModeWrite, Plans: true, RefusesUnknown: true,
		Events:  []string{EventDirectorySynced, EventMemberKicked, EventMemberPromoted, EventMemberDemoted, EventOwnershipTransferred, EventOwnerLost, EventHostnameChanged},
		newBody: body[DirectorySync](), newReply: reply[DirectorySyncReply](), Doc: "apply a directory listing to a network"},
	{Code: 17, Name: "directory_status", Group: GroupDirectory, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead,
		newBody: body[NetworkRequest](), newReply: reply[DirectoryStatusReply](), Doc: "show how a network relates to its directory"},
}

// decodeField reads the entries.
func (r *DirectorySync) decodeField(in *reader, name string, raw any) bool {
	if name != "entries" {
		return false
	}
	list, ok := raw.([]any)
	if !ok {
		if raw != nil {
			in.complain(name, "a list of entries", raw)
		}
		return true
	}
	in.rule = ""
	r.Entries = make([]DirectoryEntry, 0, min(len(list), maxEntries))
	for i := range list {
		e, problem := readEntry(list[i])
		if problem != "" {
			in.refuse(Errorf(CodeInvalid, "entry %d cannot be read, so nothing of the listing was applied: %s", i+1, problem))
			return true
		}
		r.Entries = append(r.Entries, e)
	}
	return true
}

// EachID visits the people listed.
func (r *DirectorySync) EachID(visit func(string, *IDKeys)) {
	for i := range r.Entries {
		visit(r.Entries[i].ExternalID, &r.Entries[i].Keys)
	}
}

// DirectorySync applies a directory listing to a network. A long listing
// comes in parts, each with some of the entries and all other fields.
type DirectorySync struct {
	NetworkID      uint16           `json:"network_id" read:"deferred"`
	Entries        []DirectoryEntry `json:"entries,omitempty" read:"deferred"`
	RemoveUnlisted bool             `json:"remove_unlisted,omitempty"`
	// ConfirmRemovals agrees to the removal of this many members.
	ConfirmRemovals *uint64 `json:"confirm_removals,omitempty"`
	// IfRevision refuses the request when the network's revision is another.
	IfRevision *uint64 `json:"if_revision,omitempty"`
	UploadID   string  `json:"upload_id,omitempty"`
	Part       uint32  `json:"part,omitempty"`
	Parts      uint32  `json:"parts,omitempty"`
}

// Validate bounds what is listed and which part it is.
func (r *DirectorySync) Validate() *Error {
	for i := range r.Entries {
		if problem := r.Entries[i].problem(); problem != "" {
			return Errorf(CodeInvalid, "entry %d cannot be read, so nothing of the listing was applied: %s", i+1, problem)
		}
	}
	return r.Upload().check()
}

// Upload says which part of an upload the request is.
func (r *DirectorySync) Upload() UploadPart { return UploadPart{r.UploadID, r.Part, r.Parts} }

// problem says what is wrong with an entry, "" when nothing is.
func (e *DirectoryEntry) problem() string {
	switch {
	case trim(e.ExternalID) == "":
		return "external_id is required"
	case garbled(e.ExternalID):
		return "external_id " + notUTF8
	case len(e.ExternalID) > MaxTextBytes:
		return "external_id too long (max " + strconv.Itoa(MaxTextBytes) + " bytes)"
	case hasControl(e.ExternalID, false):
		return "external_id " + controlInside
	case hasControl(e.DisplayName, false):
		return "display_name " + controlInside
	case e.Role != "" && e.Role != RoleOwner && e.Role != RoleAdmin && e.Role != RoleMember:
		return "invalid role " + Quote(e.Role) + ": want owner, admin or member"
	}
	return ""
}

// DirectoryEntry is a person in a directory listing. The keys email, groups,
// node_id and tags of an entry are accepted and not used.
type DirectoryEntry struct {
	ExternalID  string `json:"external_id"`
	Role        string `json:"role,omitempty"`
	Disabled    bool   `json:"disabled,omitempty"`
	DisplayName string `json:"display_name,omitempty"`
	IDFacts
}

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

// String is how people read the counts.
func (c DirectoryCounts) String() string {
	return fmt.Sprintf("%d mapped, %d unmapped, %d updated, %d disabled", c.Mapped, c.Unmapped, c.Updated, c.Disabled)
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
