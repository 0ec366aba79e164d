// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// saysState reports whether a key says if a person is in.
func saysState(lower string) bool {
	switch ownColumns[lower] {
	case "disabled", "enabled", "status":
		return true
	}
	return false
}

// entryState is what an entry says about whether its person is in, by the
// names of those columns.
type entryState struct{ in, out []string }

// state reads one of the ways in which directories say whether a person is
// in: disabled, the opposite, or a status in words.
func (d *document) state(s *entryState, role string) field {
	return func(n *yaml.Node, path string) {
		in, known := d.isIn(n, path, role)
		name := strings.ToLower(path[strings.LastIndex(path, ".")+1:])
		switch {
		case !known:
		case in:
			s.in = append(s.in, name)
		default:
			s.out = append(s.out, name)
		}
	}
}

func (d *document) isIn(n *yaml.Node, path, role string) (in, known bool) {
	if role == "status" {
		if in, known = readStatus(n); !known {
			d.bad(n, path, "want a status that is known here, not %s: in are %s; out are %s; --column status= leaves the column aside",
				kindOf(n), strings.Join(statusIn, ", "), strings.Join(statusOut, ", "))
		}
		return in, known
	}
	yes, known := yesNo(n)
	if !known {
		d.bad(n, path, "want true or false, not %s", kindOf(n))
	}
	return yes == (role == "enabled"), known
}

// statusIn and statusOut are the words in which directories say whether a
// person is in. A person who has not begun, or is locked out for a while, is.
var (
	statusIn  = []string{"active", "enabled", "locked_out", "password_expired", "provisioned", "recovery", "staged"}
	statusOut = []string{"archived", "deactivated", "deprovisioned", "disabled", "inactive", "suspended"}
)

// readStatus reads a status, whatever its letter case and spaces.
func readStatus(n *yaml.Node) (in, known bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		return false, false
	}
	word := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(n.Value)))
	in = slices.Contains(statusIn, word)
	return in, in || slices.Contains(statusOut, word)
}

// yesNo reads a boolean as directories write it, and spreadsheets in the
// languages of their users.
func yesNo(n *yaml.Node) (yes, ok bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" && n.Tag != "!!str" {
		return false, false
	}
	switch text := strings.ToLower(strings.TrimSpace(n.Value)); text {
	case "yes", "1", "wahr", "vrai", "verdadero", "vero", "verdadeiro", "waar":
		return true, true
	case "no", "0", "falsch", "faux", "falso", "onwaar":
		return false, true
	default:
		return protocol.ReadYesNo(text)
	}
}

// settle says whether the person is disabled.
func (d *document) settle(s *entryState, n *yaml.Node, path string) bool {
	if len(s.in) > 0 && len(s.out) > 0 {
		d.bad(n, path, "%s and %s contradict each other", s.out[0], s.in[0])
	}
	return len(s.out) > 0
}
