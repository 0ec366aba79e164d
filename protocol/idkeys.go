// SPDX-License-Identifier: Apache-2.0

package protocol

// IDKeys are the forms by which an external id is compared. They are made
// where Unicode tables are, at the front door, and stored with the id: members
// of different versions must not come to different forms of one id. The id
// itself keeps its bytes.
type IDKeys struct {
	// Match is the same for ids of one person. "" stands for FoldExternalID.
	Match string `json:"match,omitempty"`
	// Near is the same for ids that differ by case or accents at most, which
	// may be one person's. "" stands for the match key.
	Near string `json:"near,omitempty"`
}

// IDFacts are part of whatever brings an external id.
type IDFacts struct {
	Keys IDKeys `json:"keys,omitzero"`
}

// PersonFacts are part of the requests that look for a person's external id.
type PersonFacts struct {
	Keys IDKeys `json:"keys,omitzero"`
	// Forms are further ways in which the same id may have been written down,
	// folded: events keep ids as they came.
	Forms []string `json:"forms,omitempty"`
}

// MatchOf is the match key of an id with these keys.
func (k IDKeys) MatchOf(id string) string {
	if k.Match != "" {
		return k.Match
	}
	return FoldExternalID(id)
}

// NearOf is the near key of an id with these keys.
func (k IDKeys) NearOf(id string) string {
	if k.Near != "" {
		return k.Near
	}
	return k.MatchOf(id)
}

// Lossy is a key as a program writes it that has only ASCII: with a question
// mark for every other character.
func Lossy(key string) string {
	b := make([]byte, 0, len(key))
	for i := 0; i < len(key); i++ {
		switch c := key[i]; {
		case c < 0x80:
			b = append(b, c)
		case c >= 0xc0: // the first byte of a character
			b = append(b, '?')
		}
	}
	return string(b)
}

// IDBody is a request that names external ids.
type IDBody interface {
	Body
	// EachID visits them with the keys to be filled in.
	EachID(visit func(id string, keys *IDKeys))
}

// EachID visits the person asked about.
func (r *PersonRequest) EachID(visit func(string, *IDKeys)) { visit(r.ExternalID, &r.Keys) }

// FormsBody is a request that looks for an id in what was written down before.
type FormsBody interface {
	Body
	// SetForms takes the ways in which the id may have been written.
	SetForms(forms func(id string) []string)
}

// SetForms fills in Forms.
func (r *PersonRequest) SetForms(forms func(string) []string) { r.Forms = forms(r.ExternalID) }
