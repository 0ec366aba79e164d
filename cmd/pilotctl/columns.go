// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// columnRoles are what --column can say that a column is.
var columnRoles = []string{"external_id", "role", "disabled", "enabled", "status", "display_name"}

// ownColumns are the names that listings of the registry have.
var ownColumns = map[string]string{
	"external_id": "external_id", "role": "role", "display_name": "display_name", "email": "email", "groups": "groups",
	"disabled": "disabled", "enabled": "enabled", "active": "enabled", "accountenabled": "enabled", "status": "status",
}

// exportedColumns are names in the exports of directories, in lower case.
var exportedColumns = map[string]string{
	"id": "external_id", "object id": "external_id", "userprincipalname": "external_id", "user principal name": "external_id", "block credential": "disabled", // Entra ID
	"samaccountname":           "external_id",                                 // Active Directory, with userPrincipalName
	"email address [required]": "external_id", "status [read only]": "status", // Google Workspace
	"primaryemail": "external_id", "suspended": "disabled", // its programming interface
	"login": "external_id", "profile.login": "external_id", "profile.displayname": "display_name", // Okta
	"externalid": "external_id", "username": "external_id", // SCIM, Keycloak
	"displayname": "display_name", "display name": "display_name",
}

// columns say what the columns of a table, or the keys of entries, are.
type columns struct {
	// of is what a column is, by its name in lower case.
	of map[string]string
	// exported is set for a file with the names of a directory, which has
	// columns that are nobody's business here.
	exported bool
	// from are the names in the file, by what they are.
	from   map[string]string
	unused []string
}

// chooseColumns finds out what columns are: what was asked for (role to name),
// else the names of listings, else those of a well-known export.
func chooseColumns(names []string, asked map[string]string) (c *columns, problems []string) {
	byName := map[string]string{}
	for _, name := range names {
		byName[strings.ToLower(name)] = name
	}
	own := columns{of: ownColumns}
	if _, is := byName["external_id"]; is && len(asked) == 0 {
		return &own, nil
	}
	c = &columns{of: map[string]string{}, exported: true, from: map[string]string{}}
	for _, role := range slices.Sorted(maps.Keys(asked)) {
		name := asked[role]
		switch _, is := byName[strings.ToLower(name)]; {
		case name == "": // left aside
		case !is:
			problems = append(problems, fmt.Sprintf("--column %s=%s: there is no such column; there are %s", role, name, listed(names)))
		case c.of[strings.ToLower(name)] != "":
			problems = append(problems, fmt.Sprintf("--column %s=%s: it is the %s already", role, name, c.of[strings.ToLower(name)]))
		default:
			c.take(role, byName[strings.ToLower(name)])
		}
	}
	problems = append(problems, c.recognise(byName, asked)...)
	if len(problems) == 0 && c.from["external_id"] == "" && len(asked) == 0 {
		return &own, nil
	}
	return c, problems
}

func (c *columns) take(role, name string) { c.of[strings.ToLower(name)], c.from[role] = role, name }

// recognise takes the columns with well-known names for what was not asked for.
func (c *columns) recognise(byName, asked map[string]string) (problems []string) {
	candidates := map[string][]string{}
	for _, lower := range slices.Sorted(maps.Keys(byName)) {
		if role := knownColumn(lower); role != "" && c.of[lower] == "" && !isAsked(asked, role) {
			candidates[role] = append(candidates[role], byName[lower])
		}
	}
	if ids := candidates["external_id"]; len(ids) == 1 && strings.EqualFold(ids[0], "id") && len(candidates) == 1 {
		delete(candidates, "external_id") // many files that are not directories have one
	}
	for _, role := range columnRoles {
		switch names := candidates[role]; {
		case len(names) == 1 || len(names) > 1 && role == "enabled": // several of these have to agree
			for _, name := range names {
				c.take(role, name)
			}
		case len(names) > 1:
			flags := make([]string, len(names))
			for i, name := range names {
				flags[i] = "--column '" + role + "=" + name + "'"
			}
			problems = append(problems, fmt.Sprintf("%s could each be the %s: say which one with %s", strings.Join(names, " and "), role, strings.Join(flags, " or ")))
		}
	}
	for _, lower := range slices.Sorted(maps.Keys(byName)) {
		if c.of[lower] != "" || lower == "" {
			continue
		}
		c.unused = append(c.unused, byName[lower])
		if role := meantFor(lower); role != "" && !isAsked(asked, role) && c.from["external_id"] != "" {
			problems = append(problems, fmt.Sprintf("%[1]s: unknown column; did you mean %[2]s? --column '%[2]s=%[1]s' takes it for that, --column %[2]s= leaves it aside", byName[lower], role))
		}
	}
	return problems
}

// knownColumn is what a column with a well-known name is, "" otherwise.
func knownColumn(lower string) string {
	role := ownColumns[lower]
	if role == "" {
		role = exportedColumns[lower]
	}
	if !slices.Contains(columnRoles, role) {
		return ""
	}
	return role
}

// isAsked reports whether it was said which column has a role, or that none
// has. A caller that names one column for the state of people names all of them.
func isAsked(asked map[string]string, role string) bool {
	states := []string{"disabled", "enabled", "status"}
	if slices.Contains(states, role) {
		return slices.ContainsFunc(states, func(s string) bool { _, is := asked[s]; return is })
	}
	_, is := asked[role]
	return is
}

// meantFor is what a misspelt column was probably meant to be.
func meantFor(lower string) string {
	if lower == "state" { // of a country
		return ""
	}
	role := protocol.Nearest(lower, columnRoles)
	if d := len(role) - len(lower); d < -2 || d > 2 {
		return ""
	}
	return role
}

// unusedHere reports whether an export's column says nothing to a listing.
func (c *columns) unusedHere(lower string) bool { return c.exported && c.of[lower] == "" }

// summary tells how a file with other names was understood.
func (c *columns) summary() string {
	var parts []string
	for _, role := range columnRoles {
		if name := c.from[role]; name != "" {
			parts = append(parts, role+" is "+clean(name))
		}
	}
	text := strings.Join(parts, ", ")
	if len(c.unused) > 0 {
		text += "; not used: " + listed(c.unused)
	}
	return text
}

// listed are names for a person, not too many.
func listed(names []string) string {
	const most = 20
	more := ""
	if len(names) > most {
		more = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	return clean(strings.Join(names, ", ")) + more
}

// addColumns adds the flag that says what columns are.
func addColumns(cmd *cobra.Command) func() (map[string]string, error) {
	flags := cmd.Flags().StringArray("column", nil, "`what=name`: take this column or key for external_id, role, disabled, enabled, status or display_name;\nwithout a name none is it; repeatable")
	must(cmd.RegisterFlagCompletionFunc("column", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var all []cobra.Completion
		for _, role := range columnRoles {
			all = append(all, role+"=")
		}
		return all, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	}))
	return func() (map[string]string, error) {
		asked := map[string]string{}
		for _, flag := range *flags {
			role, name, ok := strings.Cut(flag, "=")
			switch _, again := asked[role]; {
			case !ok, !slices.Contains(columnRoles, role):
				return nil, usagef(cmd, "--column %q: want what=name, where what is one of %s", flag, strings.Join(columnRoles, ", "))
			case again:
				return nil, usagef(cmd, "--column %s: given twice", role)
			}
			asked[role] = strings.TrimSpace(name)
		}
		return asked, nil
	}
}
