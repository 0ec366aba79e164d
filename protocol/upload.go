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
