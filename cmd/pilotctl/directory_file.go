package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// listing is a directory listing as people and directories export it.
type listing struct {
	NetworkID      uint16         `json:"network_id,omitempty"`
	RemoveUnlisted bool           `json:"remove_unlisted,omitempty"`
	Entries        []listingEntry `json:"entries"`
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
// YAML, an object or only its entries.
func readListing(path string) (*listing, *document, error) {
	data, err := readDocument(path)
	if err != nil {
		return nil, nil, err
	}
	d := &document{file: path}
	l := &listing{}
	if strings.EqualFold(filepath.Ext(path), ".csv") || looksLikeCSV(data) {
		d.readCSV(data, l)
	} else if root := d.parse(data); root != nil {
		d.readListing(root, l)
	}
	if len(l.Entries) == 0 && len(d.problems) == 0 {
		d.bad(nil, "entries", "there are none; a listing without entries changes nothing")
	}
	return l, d, nil
}

// looksLikeCSV is for standard input, which has no name: the first line has
// the column that every listing has, among commas or alone.
func looksLikeCSV(data []byte) bool {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	for _, column := range strings.Split(strings.TrimPrefix(string(line), "\ufeff"), ",") {
		if strings.TrimSpace(column) == "external_id" {
			return true
		}
	}
	return false
}

func (d *document) readListing(root *yaml.Node, l *listing) {
	first := map[string]string{}
	entries := func(n *yaml.Node, path string) {
		d.list(n, path, func(n *yaml.Node, path string) {
			var e listingEntry
			d.object(n, path, map[string]field{
				"external_id": d.externalID(&e.ExternalID), "role": d.oneOf(roleNames, &e.Role), "disabled": d.flag(&e.Disabled),
				"display_name": d.text(&e.DisplayName), "email": d.text(&e.Email),
				"groups": func(n *yaml.Node, path string) {
					d.list(n, path, func(n *yaml.Node, path string) {
						e.Groups = append(e.Groups, "")
						d.text(&e.Groups[len(e.Groups)-1])(n, path)
					})
				},
			})
			d.addEntry(n, path, e, l, first)
		})
	}
	if root = resolved(root); root.Kind == yaml.SequenceNode {
		entries(root, "entries")
		return
	}
	d.object(root, "", map[string]field{
		"entries": entries, "remove_unlisted": d.flag(&l.RemoveUnlisted),
		"network_id": d.whole(1, 65535, func(v int64) { l.NetworkID = uint16(v) }),
	})
}

func (d *document) addEntry(n *yaml.Node, path string, e listingEntry, l *listing, first map[string]string) {
	d.need(n, path, "external_id", e.ExternalID)
	d.once(n, path, e.ExternalID, first)
	l.Entries = append(l.Entries, e)
}

var listingColumns = map[string]bool{"external_id": true, "role": true, "disabled": true, "display_name": true, "email": true, "groups": true}

// readCSV reads rows through the same checks as entries of the other forms.
func (d *document) readCSV(data []byte, l *listing) {
	in := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	in.TrimLeadingSpace = true
	header, err := in.Read()
	if err != nil {
		d.badCSV(err)
		return
	}
	for i, column := range header {
		header[i] = strings.ToLower(strings.TrimSpace(column))
		if !listingColumns[header[i]] {
			d.bad(&yaml.Node{Line: 1}, header[i], "unknown column%s", nearest(header[i], listingColumns))
		}
	}
	first := map[string]string{}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			d.badCSV(err)
			return
		}
		line, _ := in.FieldPos(0)
		var e listingEntry
		path := "row " + strconv.Itoa(len(l.Entries)+1)
		for i, column := range header {
			d.readCell(&e, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.TrimSpace(row[i]), Line: line}, path, column)
		}
		d.addEntry(&yaml.Node{Kind: yaml.MappingNode, Line: line}, path, e, l, first)
	}
}

func (d *document) readCell(e *listingEntry, n *yaml.Node, path, column string) {
	path += "." + column
	switch column {
	case "external_id":
		d.externalID(&e.ExternalID)(n, path)
	case "role":
		n.Value = strings.ToLower(n.Value)
		d.oneOf(roleNames, &e.Role)(n, path)
	case "display_name":
		e.DisplayName = n.Value
	case "email":
		e.Email = n.Value
	case "groups":
		if n.Value != "" {
			e.Groups = strings.FieldsFunc(n.Value, func(r rune) bool { return r == ';' || r == '|' })
		}
	case "disabled":
		switch strings.ToLower(n.Value) {
		case "true", "yes", "1":
			e.Disabled = true
		case "", "false", "no", "0":
		default:
			d.bad(n, path, "want true or false, not %s", kindOf(n))
		}
	}
}

func (d *document) badCSV(err error) {
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		d.bad(&yaml.Node{Line: parse.Line}, "", "%v", parse.Err)
		return
	}
	text := err.Error()
	if errors.Is(err, io.EOF) {
		text = "the file is empty"
	}
	d.bad(nil, "", "%s", text)
}
