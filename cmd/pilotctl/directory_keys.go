// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readPage reads what programming interfaces of directories answer: an object
// around the entries. It reports whether n is one.
func (d *document) readPage(n *yaml.Node, entries field) bool {
	if n.Kind != yaml.MappingNode {
		return false
	}
	members := map[string]*yaml.Node{}
	for _, p := range d.pairs(n, "", 0) {
		members[p.key.Value] = resolved(p.value)
	}
	const part = "this is one page of several: what is on the others would count as not listed; get all of them, and put the entries into one list"
	switch graph, scim := members["value"], members["Resources"]; {
	case members["entries"] != nil:
		return false
	case graph != nil && graph.Kind == yaml.SequenceNode:
		if next := members["@odata.nextLink"]; next != nil {
			d.bad(next, "@odata.nextLink", part)
		}
		entries(graph, "value")
	case scim != nil && scim.Kind == yaml.SequenceNode:
		if total := members["totalResults"]; total != nil && total.Value != strconv.Itoa(len(scim.Content)) {
			d.bad(total, "totalResults", part)
		}
		entries(scim, "Resources")
	default:
		return false
	}
	return true
}

// chooseKeys finds out what the keys of entries are.
func (d *document) chooseKeys(n *yaml.Node, path string, l *listing, asked map[string]string) bool {
	var names []string
	seen, before := map[string]bool{}, len(d.problems)
	if list := resolved(n); list.Kind == yaml.SequenceNode {
		for i, e := range list.Content {
			for _, p := range d.flat(resolved(e), fmt.Sprintf("%s[%d]", path, i)) {
				if lower := strings.ToLower(p.key.Value); !seen[lower] {
					seen[lower] = true
					names = append(names, p.key.Value)
				}
			}
		}
	}
	chosen, problems := chooseColumns(names, asked)
	for _, text := range problems {
		d.bad(n, path, "%s", text)
	}
	l.columns = chosen
	return len(d.problems) == before
}

// flat are the members of an entry, with those of objects in it under names
// with a dot: profile.login.
func (d *document) flat(n *yaml.Node, path string) (list []keyValue) {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for _, p := range d.pairs(n, path, 0) {
		list = append(list, p)
		inner := resolved(p.value)
		if inner.Kind != yaml.MappingNode {
			continue
		}
		for _, q := range d.pairs(inner, path, 0) {
			key := *q.key
			key.Value = p.key.Value + "." + key.Value
			list = append(list, keyValue{&key, q.value})
		}
	}
	return list
}

// readExported reads an entry of an export: the keys that say something here.
func (d *document) readExported(n *yaml.Node, path string, c *columns, fields map[string]field) {
	if n.Kind != yaml.MappingNode {
		d.bad(n, path, "want an object, not %s", kindOf(n))
		return
	}
	seen := map[string]bool{}
	for _, p := range d.flat(n, path) {
		name, value := strings.ToLower(p.key.Value), resolved(p.value)
		role, at := c.of[name], path+"."+p.key.Value
		switch {
		case role == "":
		case seen[name]:
			d.bad(p.key, at, "given twice")
		case value.Tag != "!!null" || saysState(role):
			fields[role](value, at)
		}
		seen[name] = true
	}
}
