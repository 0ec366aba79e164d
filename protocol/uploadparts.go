// SPDX-License-Identifier: Apache-2.0

package protocol

import "encoding/json"

// InParts cuts a request whose JSON is longer than limit into parts of about
// that size, for an upload of this name. It is nil when there is nothing to cut.
func (r *DirectorySync) InParts(uploadID string, limit int) []Body {
	if r.UploadID != "" {
		return nil
	}
	rest := *r
	rest.Entries = nil
	cuts := cut(r.Entries, limit-encodedSize(&rest))
	var parts []Body
	for i, entries := range cuts {
		p := rest
		p.Entries, p.UploadID, p.Part, p.Parts = entries, uploadID, uint32(i+1), uint32(len(cuts))
		parts = append(parts, &p)
	}
	return parts
}

// InParts cuts a blueprint with many roles, see [DirectorySync.InParts].
func (r *ProvisionNetwork) InParts(uploadID string, limit int) []Body {
	if r.UploadID != "" || r.Blueprint == nil {
		return nil
	}
	rest := *r.Blueprint
	rest.Roles = nil
	cuts := cut(r.Blueprint.Roles, limit-encodedSize(&rest))
	var parts []Body
	for i, roles := range cuts {
		p, b := *r, rest
		b.Roles = roles
		p.Blueprint, p.UploadID, p.Part, p.Parts = &b, uploadID, uint32(i+1), uint32(len(cuts))
		parts = append(parts, &p)
	}
	return parts
}

// cut cuts a list into runs whose JSON takes at most room bytes, but has one
// element at least. It is nil when the whole fits.
func cut[T any](list []T, room int) (cuts [][]T) {
	from, size := 0, 0
	for i := range list {
		n := encodedSize(&list[i]) + 1
		if size+n > room && i > from {
			cuts = append(cuts, list[from:i])
			from, size = i, 0
		}
		size += n
	}
	if from == 0 {
		return nil
	}
	return append(cuts, list[from:])
}

func encodedSize(v any) int {
	encoded, err := json.Marshal(v)
	if err != nil { // strings, numbers and lists of them always encode
		panic(err)
	}
	return len(encoded)
}
