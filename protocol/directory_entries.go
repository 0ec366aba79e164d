// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"fmt"
	"strings"
)

// Entries of a directory listing are written by programs that export
// directories, so their keys may be in any letter case, and whether a person
// is in is read as directories write it. Anything that is not understood
// refuses the whole listing: an entry that is left out, or a leaver that is
// read as staying, would be a member too few or too many.

// maxEntries is more than fits a request.
const maxEntries = 1 << 20

// entryFields are the keys of an entry; those that are false are accepted and
// not used.
var entryFields = map[string]bool{
	"external_id": true, "role": true, "display_name": true, "disabled": true, "enabled": true, "active": true, "accountenabled": true,
	"email": false, "groups": false, "node_id": false, "tags": false,
}

// stateFields are the keys that say whether a person is in, and what they say
// when they are true.
var stateFields = map[string]bool{"disabled": true, "enabled": false, "active": false, "accountenabled": false}

func entryKeys() []string {
	return []string{"external_id", "role", "disabled", "enabled", "active", "accountEnabled", "display_name", "email", "groups", "node_id", "tags"}
}

// readEntry reads an entry, or says what is wrong with it.
func readEntry(raw any) (e DirectoryEntry, problem string) {
	object, ok := raw.(map[string]any)
	if !ok {
		return e, "want an object with external_id, got " + (&reader{}).got(raw)
	}
	fields, problem := foldKeys(object)
	if problem != "" {
		return e, problem
	}
	in := &reader{}
	e.ExternalID = in.text("external_id", fields["external_id"])
	e.Role = lower(trim(in.text("role", fields["role"])))
	e.DisplayName = in.text("display_name", fields["display_name"])
	if in.unread != nil {
		return e, in.unread.Err.Text
	}
	if e.Disabled, problem = readState(fields); problem != "" {
		return e, problem
	}
	return e, e.problem()
}

// foldKeys has the keys in lower case.
func foldKeys(object map[string]any) (fields map[string]any, problem string) {
	fields = make(map[string]any, len(object))
	for key, value := range object {
		name := lower(key)
		if _, known := entryFields[name]; !known {
			return nil, oddEntryKeys(object)
		}
		if _, twice := fields[name]; twice {
			return nil, name + " is given twice, in different letter case"
		}
		fields[name] = value
	}
	return fields, ""
}

// oddEntryKeys names the first unknown key in alphabetical order, so that the
// same listing gets the same refusal each time.
func oddEntryKeys(object map[string]any) string {
	odd := ""
	for key := range object {
		if _, known := entryFields[lower(key)]; !known && (odd == "" || key < odd) {
			odd = key
		}
	}
	if len(odd) > maxShown {
		odd = odd[:maxShown]
	}
	return "unknown field " + Quote(odd) + suggestion(odd, entryKeys())
}

// readState reads whether the person is disabled. Directories say it in
// several ways; two that contradict each other say nothing.
func readState(fields map[string]any) (disabled bool, problem string) {
	said := ""
	for _, name := range []string{"disabled", "enabled", "active", "accountenabled"} {
		raw, given := fields[name]
		if !given {
			continue
		}
		yes, ok := ReadYesNo(raw)
		if !ok {
			return false, fmt.Sprintf("invalid %s: want true or false, got %s", name, (&reader{}).got(raw))
		}
		now := yes == stateFields[name]
		if said != "" && now != disabled {
			return false, said + " and " + name + " contradict each other"
		}
		said, disabled = name, now
	}
	return disabled, ""
}

// ReadYesNo reads a boolean as directories export it: true or false, or the
// same as a text in any letter case.
func ReadYesNo(raw any) (yes, ok bool) {
	switch v := raw.(type) {
	case bool:
		return v, true
	case string:
		switch lower(trim(v)) {
		case "true":
			return true, true
		case "false":
			return false, true
		}
	}
	return false, false
}

// notUTF8 says what garbled found.
const notUTF8 = "holds U+FFFD, which stands for bytes that were not UTF-8: export it again as UTF-8"

// garbled reports whether a text holds the replacement character for bytes
// that could not be read: it no longer names the person it was meant for.
func garbled(s string) bool { return strings.Contains(s, "\uFFFD") }
