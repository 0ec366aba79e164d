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
	header []string
	comma  rune
	// asked says what columns are, as far as their names do not.
	asked map[string]string
	// skipped is how many lines stand before the header.
	skipped int
	body    []byte
}

// findTable recognises CSV by its line of column names, with or without the
// lines that some programs write before it.
func findTable(text []byte, asked map[string]string) (t table, ok bool) {
	t.body, t.asked = text, asked
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
		if slices.ContainsFunc(columns, t.namesPerson) {
			t.comma, t.header = comma, columns
			return true
		}
		if len(columns) > len(t.header) {
			t.comma, t.header = comma, columns
		}
	}
	return false
}

// namesPerson reports whether a column is one that listings need.
func (t *table) namesPerson(column string) bool {
	return knownColumn(strings.ToLower(column)) == "external_id" || column != "" && strings.EqualFold(column, t.asked["external_id"])
}

// plausible reports whether the first line looks like column names, although
// the one that is needed is not among them.
func (t *table) plausible() bool {
	if len(t.header) < 2 {
		return false
	}
	first := strings.ToLower(t.header[0])
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
		columns[i] = strings.TrimSpace(columns[i])
	}
	return columns
}

// readCSV reads rows through the same checks as entries of the other forms.
func (d *document) readCSV(t table, l *listing, asked map[string]string) {
	if !d.checkColumns(t, l, asked) {
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
// known, what its cells say adds nothing.
func (d *document) checkColumns(t table, l *listing, asked map[string]string) bool {
	at, before := &yaml.Node{Line: t.skipped + 1}, len(d.problems)
	chosen, problems := chooseColumns(t.header, asked)
	for _, text := range problems {
		d.bad(at, "", "%s", text)
	}
	l.columns = chosen
	seen := map[string]bool{}
	misspelt := false // external_id
	for _, column := range t.header {
		lower := strings.ToLower(column)
		switch {
		case column == "", chosen.unusedHere(lower): // of one without a name, the cells have to be empty
		case chosen.of[lower] == "":
			meant := nearest(column, chosen.of)
			misspelt = misspelt || strings.Contains(meant, "did you mean external_id?")
			d.bad(at, column, "unknown column%s", meant)
		case seen[lower]:
			d.bad(at, column, "is there twice")
		}
		seen[lower] = true
	}
	if !slices.ContainsFunc(t.header, func(column string) bool { return chosen.of[strings.ToLower(column)] == "external_id" }) && !misspelt && len(problems) == 0 {
		d.bad(at, "external_id", "there is no such column; columns are separated by commas, semicolons or tabs; --column external_id=NAME says that another one is it")
	}
	return len(d.problems) == before
}

func (d *document) readRow(t table, row []string, at *yaml.Node, l *listing, first map[string]string) {
	var e listingEntry
	var s entryState
	path := "row " + strconv.Itoa(len(l.Entries)+1)
	for i, column := range t.header {
		cell := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.TrimSpace(row[i]), Line: at.Line}
		switch lower := strings.ToLower(column); {
		case cell.Value == "":
		case column == "":
			d.bad(cell, path+".", "%s stands under no column", kindOf(cell))
		default:
			d.readCell(&e, &s, cell, path+"."+column, l.columns.of[lower])
		}
	}
	e.Disabled = d.settle(&s, at, path)
	d.addEntry(at, path, e, l, first)
}

// readCell reads a cell that is not empty.
func (d *document) readCell(e *listingEntry, s *entryState, n *yaml.Node, path, role string) {
	switch role {
	case "external_id":
		d.externalID(&e.ExternalID)(n, path)
	case "role":
		d.role(&e.Role)(n, path)
	case "disabled", "enabled", "status":
		d.state(s, role)(n, path)
	case "display_name":
		e.DisplayName = n.Value
	case "email":
		e.Email = n.Value
	case "groups":
		e.Groups = strings.FieldsFunc(n.Value, func(r rune) bool { return r == ';' || r == '|' })
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
