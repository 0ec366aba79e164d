// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// separators are what spreadsheets put between columns.
var separators = []rune{',', ';', '\t'}

// table is CSV as spreadsheets and directories write it.
type table struct {
	header []string // in lower case
	comma  rune
	// skipped is how many lines stand before the header.
	skipped int
	body    []byte
}

// findTable recognises CSV by its line of column names, with or without the
// lines that some programs write before it.
func findTable(text []byte) (t table, ok bool) {
	t.body = text
	for {
		line, rest, more := bytes.Cut(t.body, []byte("\n"))
		trimmed := strings.TrimSpace(string(line))
		sep, isSep := strings.CutPrefix(strings.ToLower(trimmed), "sep=")
		switch {
		case isSep && len(sep) == 1: // for Excel
			t.comma = rune(sep[0])
		case trimmed == "", strings.HasPrefix(trimmed, "#TYPE "): // of PowerShell
		default:
			return t, t.findHeader(strings.TrimRight(string(line), "\r"))
		}
		if !more {
			return t, false
		}
		t.skipped++
		t.body = rest
	}
}

func (t *table) findHeader(line string) bool {
	if t.comma != 0 {
		t.header = columnsOf(line, t.comma)
		return true
	}
	for _, comma := range separators {
		columns := columnsOf(line, comma)
		if slices.Contains(columns, "external_id") {
			t.comma, t.header = comma, columns
			return true
		}
		if len(columns) > len(t.header) {
			t.comma, t.header = comma, columns
		}
	}
	return false
}

// plausible reports whether the first line looks like column names, although
// the one that is needed is not among them.
func (t *table) plausible() bool {
	if len(t.header) < 2 {
		return false
	}
	first := t.header[0]
	return first != "" && first[0] >= 'a' && first[0] <= 'z' && !strings.Contains(first, ":")
}

// columnsOf are the names in a header.
func columnsOf(line string, comma rune) []string {
	in := csv.NewReader(strings.NewReader(line))
	in.Comma, in.TrimLeadingSpace = comma, comma != '\t'
	columns, err := in.Read()
	if err != nil {
		return nil
	}
	for i := range columns {
		columns[i] = strings.ToLower(strings.TrimSpace(columns[i]))
	}
	return columns
}

// listingColumns are those that listings have; false are not used.
var listingColumns = map[string]bool{"external_id": true, "role": true, "disabled": true, "enabled": true, "active": true, "accountenabled": true,
	"display_name": true, "email": true, "groups": true}

// readCSV reads rows through the same checks as entries of the other forms.
func (d *document) readCSV(t table, l *listing) {
	if !d.checkColumns(t) {
		return
	}
	in := csv.NewReader(bytes.NewReader(t.body))
	in.Comma, in.TrimLeadingSpace, in.FieldsPerRecord = t.comma, t.comma != '\t', -1
	if _, err := in.Read(); err != nil {
		d.badCSV(err, t.skipped)
		return
	}
	first := map[string]string{}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			d.badCSV(err, t.skipped)
			return
		}
		line, _ := in.FieldPos(0)
		at := &yaml.Node{Kind: yaml.MappingNode, Line: line + t.skipped}
		switch {
		case !slices.ContainsFunc(row, func(cell string) bool { return strings.TrimSpace(cell) != "" }):
		case len(row) != len(t.header):
			d.bad(at, "", "has %s, but there are %s: a field that holds the separator is put in quotes; or the file was cut off", plural(len(row), "field"), plural(len(t.header), "column"))
		default:
			d.readRow(t, row, at, l, first)
		}
	}
}

// checkColumns reports whether rows can be understood. Where a column is not
// known, what its cells say is no news.
func (d *document) checkColumns(t table) bool {
	at, seen, good := &yaml.Node{Line: t.skipped + 1}, map[string]bool{}, true
	misspelt := false // external_id
	for _, column := range t.header {
		switch {
		case column == "": // behind the last one; its cells have to be empty
		case !listingColumns[column]:
			meant := nearest(column, listingColumns)
			misspelt = misspelt || strings.Contains(meant, "did you mean external_id?")
			d.bad(at, column, "unknown column%s", meant)
			good = false
		case seen[column]:
			d.bad(at, column, "is there twice")
			good = false
		}
		seen[column] = true
	}
	if !seen["external_id"] && !misspelt {
		d.bad(at, "external_id", "there is no such column; columns are separated by commas, semicolons or tabs")
		return false
	}
	return good
}

func (d *document) readRow(t table, row []string, at *yaml.Node, l *listing, first map[string]string) {
	var e listingEntry
	var s entryState
	path := "row " + strconv.Itoa(len(l.Entries)+1)
	for i, column := range t.header {
		cell := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.TrimSpace(row[i]), Line: at.Line}
		d.readCell(&e, &s, cell, path, column)
	}
	e.Disabled = d.settle(&s, at, path)
	d.addEntry(at, path, e, l, first)
}

func (d *document) readCell(e *listingEntry, s *entryState, n *yaml.Node, path, column string) {
	path += "." + column
	switch column {
	case "":
		if n.Value != "" {
			d.bad(n, path, "%s stands under no column", kindOf(n))
		}
	case "external_id":
		d.externalID(&e.ExternalID)(n, path)
	case "role":
		d.role(&e.Role)(n, path)
	case "display_name":
		e.DisplayName = n.Value
	case "email":
		e.Email = n.Value
	case "groups":
		if n.Value != "" {
			e.Groups = strings.FieldsFunc(n.Value, func(r rune) bool { return r == ';' || r == '|' })
		}
	default: // of an unknown column that is all there is to say
		if n.Value != "" && listingColumns[column] {
			d.state(s, column)(n, path)
		}
	}
}

func (d *document) badCSV(err error, skipped int) {
	parse, ok := errors.AsType[*csv.ParseError](err)
	if !ok {
		d.bad(nil, "", "%v", err)
		return
	}
	text := fmt.Sprint(parse.Err)
	switch {
	case errors.Is(parse.Err, csv.ErrQuote):
		text = `a field in quotes does not end before the next separator: the file was cut off, or a quote within a field is not doubled`
	case errors.Is(parse.Err, csv.ErrBareQuote):
		text = `a quote within a field that does not begin with one: put the field in quotes and double the quotes in it`
	}
	d.bad(&yaml.Node{Line: parse.StartLine + skipped}, "", "%s", text)
}
