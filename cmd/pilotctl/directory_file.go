// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// listing is a directory listing as people and directories export it.
type listing struct {
	NetworkID      uint16         `json:"network_id,omitempty"`
	RemoveUnlisted bool           `json:"remove_unlisted,omitempty"`
	Entries        []listingEntry `json:"entries"`

	columns *columns
}

type listingEntry struct {
	ExternalID  string   `json:"external_id"`
	Role        string   `json:"role,omitempty"`
	Disabled    bool     `json:"disabled,omitempty"`
	DisplayName string   `json:"display_name,omitempty"`
	Email       string   `json:"email,omitempty"`
	Groups      []string `json:"groups,omitempty"`
}

// readListing reads a listing: CSV with a line of column names, or JSON or
// YAML, an object or only its entries. What it is, its contents say; asked says
// what its columns are, as far as their names do not.
func readListing(path string, asked map[string]string) (*listing, *document, error) {
	data, err := readDocument(path)
	if err != nil {
		return nil, nil, err
	}
	d := &document{file: path}
	l := &listing{columns: &columns{of: ownColumns}}
	text, ok := d.decode(data)
	if !ok {
		return l, d, nil
	}
	t, isTable := findTable(text, asked)
	switch {
	case len(strings.TrimSpace(string(text))) == 0:
		d.bad(nil, "", "the file is empty")
	case isTable, namedTable(path), t.plausible():
		d.readCSV(t, l, asked)
	default:
		if root := d.parse(text); root != nil {
			d.readListing(root, l, asked)
		}
	}
	if len(l.Entries) == 0 && len(d.problems) == 0 {
		d.bad(nil, "entries", "there are none; a listing without entries changes nothing")
	}
	return l, d, nil
}

// namedTable reports whether the name of a file says that it is CSV.
func namedTable(path string) bool {
	ending := strings.ToLower(filepath.Ext(path))
	return ending == ".csv" || ending == ".tsv"
}

func (d *document) readListing(root *yaml.Node, l *listing, asked map[string]string) {
	first := map[string]string{}
	entries := func(n *yaml.Node, path string) {
		if !d.chooseKeys(n, path, l, asked) {
			return
		}
		d.list(n, path, func(n *yaml.Node, path string) { d.readEntry(n, path, l, first) })
	}
	if root = resolved(root); root.Kind == yaml.SequenceNode {
		entries(root, "entries")
		return
	}
	if d.readPage(root, entries) {
		return
	}
	d.object(root, "", map[string]field{
		"entries": entries, "remove_unlisted": d.flag(&l.RemoveUnlisted),
		"network_id": d.whole(1, 65535, func(v int64) { l.NetworkID = uint16(v) }),
	})
}

// readEntry reads an entry, whose keys may be in any letter case.
func (d *document) readEntry(n *yaml.Node, path string, l *listing, first map[string]string) {
	var e listingEntry
	var s entryState
	ignored := func(*yaml.Node, string) {}
	fields := map[string]field{
		"external_id": d.externalID(&e.ExternalID), "role": d.role(&e.Role), "display_name": d.text(&e.DisplayName),
		"disabled": d.state(&s, "disabled"), "enabled": d.state(&s, "enabled"), "status": d.state(&s, "status"),
		"active": d.state(&s, "enabled"), "accountenabled": d.state(&s, "enabled"),
		"email": d.text(&e.Email), "node_id": ignored, "tags": ignored,
		"groups": func(n *yaml.Node, path string) {
			d.list(n, path, func(n *yaml.Node, path string) {
				e.Groups = append(e.Groups, "")
				d.text(&e.Groups[len(e.Groups)-1])(n, path)
			})
		},
	}
	if l.columns.exported {
		d.readExported(n, path, l.columns, fields)
	} else {
		d.objectInAnyCase(n, path, fields)
	}
	e.Disabled = d.settle(&s, n, path)
	d.addEntry(n, path, e, l, first)
}

func (d *document) addEntry(n *yaml.Node, path string, e listingEntry, l *listing, first map[string]string) {
	if name := l.columns.from["external_id"]; name != "" && n.Kind == yaml.MappingNode && strings.TrimSpace(e.ExternalID) == "" {
		d.badOnce(n, path+"."+name, "is empty, so that this names nobody: leave such accounts out of the export")
	} else {
		d.need(n, path, "external_id", strings.TrimSpace(e.ExternalID))
	}
	d.once(n, path, e.ExternalID, first)
	d.plain(n, path+".external_id", e.ExternalID)
	d.plain(n, path+".display_name", e.DisplayName)
	l.Entries = append(l.Entries, e)
}

// plain refuses control characters, a line break within quotes for example.
func (d *document) plain(n *yaml.Node, path, text string) {
	if protocol.HasControl(text) {
		d.bad(n, path, "holds a line break, a tab or another control character")
	}
}

// role reads a role, in any letter case.
func (d *document) role(to *string) field {
	return func(n *yaml.Node, path string) {
		if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
			lower := *n
			lower.Value = strings.ToLower(strings.TrimSpace(n.Value))
			if lower.Value == "" {
				return
			}
			n = &lower
		}
		d.oneOf(roleNames, to)(n, path)
	}
}
