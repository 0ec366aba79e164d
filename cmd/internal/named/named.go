// SPDX-License-Identifier: Apache-2.0

// Package named finds what a person means by a name, an id or the beginning of
// one. What could be several things is none of them.
package named

import (
	"fmt"
	"strings"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Candidate is one of the things that a text may mean.
type Candidate struct {
	ID string
	// Names mean it as well: each alone, or its unique beginning.
	Names []string
}

// Find is the id of the candidate that text means: one with that id or name,
// else the only one that has an id or a name with that beginning.
func Find(kind, text, list string, all []Candidate) (string, error) {
	var exact, begin []Candidate
	for _, c := range all {
		names := append([]string{c.ID}, c.Names...)
		is, starts := false, false
		for _, name := range names {
			is = is || name == text
			starts = starts || text != "" && strings.HasPrefix(name, text)
		}
		if is {
			exact = append(exact, c)
		}
		if starts {
			begin = append(begin, c)
		}
	}
	for _, found := range [][]Candidate{exact, begin} {
		switch len(found) {
		case 0:
			continue
		case 1:
			return found[0].ID, nil
		}
		return "", &failure.Error{Err: fmt.Errorf("%s %q could be each of:%s", kind, text, lines(found)), Code: protocol.CodeInvalid, Exit: failure.Usage,
			Hint: "give more of the name or id; nothing was changed"}
	}
	return "", &failure.Error{Err: fmt.Errorf("no %s %q", kind, text), Code: protocol.CodeNotFound, Exit: failure.NotFound, Hint: "see which there are: " + list}
}

// most is how many candidates a message names.
const most = 20

func lines(found []Candidate) string {
	var b strings.Builder
	for i, c := range found {
		if i == most {
			fmt.Fprintf(&b, "\n         and %d more", len(found)-most)
			break
		}
		fmt.Fprintf(&b, "\n         %s  %s", c.ID, strings.Join(c.Names, " "))
	}
	return b.String()
}

// Member is the id of the member that text means: its id, the unique beginning
// of one, or an address.
func Member(members []protocol.ClusterMember, text, list string) (string, error) {
	all := make([]Candidate, len(members))
	for i, m := range members {
		all[i] = Candidate{ID: m.ID, Names: []string{m.Address}}
		if m.Wire != "" && m.Wire != m.Address {
			all[i].Names = append(all[i].Names, m.Wire)
		}
	}
	return Find("member", text, list, all)
}
