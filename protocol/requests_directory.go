// SPDX-License-Identifier: Apache-2.0

package protocol

// Bounds of requests that come in parts.
const (
	// MaxUploadIDBytes bounds the name of an upload, MaxUploadParts their number of parts.
	MaxUploadIDBytes = 64
	MaxUploadParts   = 1024
	// MaxUploadBytes is what all uploads that wait for parts may take together.
	MaxUploadBytes = 16 << 20
	// UploadMinutes is how long an upload waits for its next part.
	UploadMinutes = 10
	// PartBytes is what a part, or a page of a long reply, should not exceed.
	PartBytes = 48 << 10
)

// DirectoryEntry is a person in a directory listing. The keys email, groups,
// node_id and tags of an entry are accepted and not used.
type DirectoryEntry struct {
	ExternalID  string `json:"external_id"`
	Role        string `json:"role,omitempty"`
	Disabled    bool   `json:"disabled,omitempty"`
	DisplayName string `json:"display_name,omitempty"`
	Keys        IDKeys `json:"keys,omitzero" wire:"-"`
}

// DirectorySync applies a directory listing to a network. A long listing
// comes in parts, each with some of the entries and all other fields.
type DirectorySync struct {
	NetworkID      uint16           `json:"network_id" read:"deferred"`
	Entries        []DirectoryEntry `json:"entries,omitempty" read:"deferred"`
	RemoveUnlisted bool             `json:"remove_unlisted,omitempty"`
	// ConfirmRemovals agrees that so many members are removed.
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

// UploadPart is a part of a request that is too long for one frame: part
// Part of Parts, counted from 1, of the upload ID. The zero value is a request
// that came whole.
type UploadPart struct {
	ID          string
	Part, Parts uint32
}

func (u UploadPart) check() *Error {
	switch {
	case u == (UploadPart{}):
	case u.ID == "":
		return Errorf(CodeInvalid, "upload_id required with part and parts")
	case len(u.ID) > MaxUploadIDBytes:
		return Errorf(CodeInvalid, "invalid upload_id: too long (max %d bytes)", MaxUploadIDBytes)
	case u.Parts == 0 || u.Parts > MaxUploadParts:
		return Errorf(CodeInvalid, "invalid parts: want 1 to %d", MaxUploadParts)
	case u.Part == 0 || u.Part > u.Parts:
		return Errorf(CodeInvalid, "invalid part: want 1 to %d, the number of parts", u.Parts)
	}
	return nil
}
