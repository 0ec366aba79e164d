// SPDX-License-Identifier: Apache-2.0

package main

// validated is what a check of a file found out.
type validated struct {
	File     string    `json:"file"`
	Name     string    `json:"name,omitempty"`
	Entries  int       `json:"entries,omitempty"`
	Roles    int       `json:"roles,omitempty"`
	Valid    bool      `json:"valid"`
	Problems []problem `json:"problems,omitempty"`

	// Columns are those of an export, by what they are taken for.
	Columns map[string]string `json:"columns,omitempty"`
	Unused  []string          `json:"unused_columns,omitempty"`
}

// reportValid prints what was found; problems are an error, and with -o json
// or yaml also data.
func (a *app) reportValid(d *document, v validated) error {
	v.Valid, v.Problems = len(d.problems) == 0, d.inOrder()
	if !v.Valid && (a.printer().ForPeople() || a.flags.json) {
		return d.err()
	}
	if err := a.printValue(v, &validated{}); err != nil {
		return err
	}
	return d.err()
}
