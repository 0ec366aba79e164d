// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// write makes a file and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// complaints are the problems found in a file, one a line, without its path.
func complaints(d *document) string {
	var out []string
	for _, p := range d.problems {
		out = append(out, strings.TrimPrefix(p.in(""), ":"))
	}
	return strings.Join(out, "\n")
}

const wholeBlueprint = `name: prod-fleet
join_rule: invite
enterprise: true
policy: {max_members: 100, allowed_ports: [7, 80, 443, 80], description: Production}
roles:
  - &alice {external_id: alice@example.org, role: owner}
  - {external_id: bob@example.org, role: member}
identity_provider: {type: oidc, url: "https://login.example.org/jwks", issuer: i, client_id: c}
webhooks: {audit_url: "https://siem.example.org/pilot"}
audit_export: {format: splunk_hec, endpoint: "https://splunk.example.org:8088/", token: t}
network_admin_token: null
`

func TestBlueprintFormsAreEqual(t *testing.T) {
	t.Parallel()
	fromYAML, d, err := readBlueprint(write(t, "b.yaml", wholeBlueprint))
	if err != nil || d.err() != nil {
		t.Fatal(err, d.err())
	}
	asJSON, err := json.MarshalIndent(fromYAML, "", "\t") // tabs are not YAML
	if err != nil {
		t.Fatal(err)
	}
	fromJSON, d, err := readBlueprint(write(t, "b.json", string(asJSON)))
	if err != nil || d.err() != nil {
		t.Fatal(err, d.err())
	}
	if !reflect.DeepEqual(fromYAML, fromJSON) {
		t.Errorf("YAML %+v\nJSON %+v", fromYAML, fromJSON)
	}
	if p := fromYAML.Policy; *p.MaxMembers != 100 || !reflect.DeepEqual(p.AllowedPorts, []uint16{7, 80, 443}) {
		t.Errorf("policy: %+v", p)
	}
}

func TestBlueprintProblems(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"everything at once": {`name: Bad_Name
join_rule: weird
enterprise: "yes"
polcy: {}
policy:
  max_members: -1
  allowed_ports: [80, 0, x]
roles:
  - external_id: a@x
    role: king
  - {role: owner}
  - {external_id: A@X, role: member}
identity_provider: {type: magic}
audit_export: {format: json}
webhooks: {audit_url: "ftp://x"}
name: twice
`, `2: join_rule: "weird" is not one of open, token, invite
3: enterprise: want true or false, not the text "yes"
4: polcy: unknown key; did you mean policy?
6: policy.max_members: want a whole number from 0 to 10000, not -1
7: policy.allowed_ports[1]: want a whole number from 1 to 65535, not 0
7: policy.allowed_ports[2]: want a whole number from 1 to 65535, not the text "x"
10: roles[0].role: "king" is not one of owner, admin, member
11: roles[1].external_id: is required
12: roles[2]: A@X is listed at roles[0] already (case does not matter)
13: identity_provider.type: "magic" is not one of oidc, saml, webhook, entra_id, ldap
13: identity_provider.url: is required
14: audit_export.endpoint: is required
15: webhooks.audit_url: "ftp://x" is not an http or https URL
16: name: given twice
1: name: network name must be lowercase alphanumeric with hyphens, start/end with alphanumeric`},
		"JSON has lines too": {"{\n \"name\": \"lab\",\n \"policy\": {\n  \"max_members\": 1.5, \"allowed_ports\": 80}}",
			"4: policy.max_members: want a whole number from 0 to 10000, not 1.5\n4: policy.allowed_ports: want a list, not 80"},
		"broken JSON":    {"{\"name\": \"lab\"\n\"join_rule\": 1}", `2: it is not JSON: line 2, column 1 has "\"" where that cannot be`},
		"tab":            {"name: lab\n\tjoin_rule: open\n", "2: a tab in front of a key: YAML wants spaces there"},
		"no name":        {"enterprise: true\n", "1: name: is required"},
		"no token":       {"name: lab\njoin_rule: token\n", "2: join_token: is required when join_rule is token"},
		"plain invite":   {"name: lab\njoin_rule: invite\n", "2: join_rule: invite needs enterprise: true"},
		"reserved":       {"name: backbone\n", `1: name: network name "backbone" is reserved`},
		"a list":         {"- name\n", "1: want an object, not a list"},
		"number as text": {"name: 123\n", "1: name: want text, not 123; put it in quotes"},
		"two documents":  {"name: a\n---\nname: b\n", "3: more than one document in the file"},
		"empty":          {"", " the file is empty"},
		"merge circle":   {"name: a\nroles:\n- &a {<<: *a}\n", "3: roles[0]: merge keys (<<) lead to each other in a circle, or too often\n3: roles[0].external_id: is required\n3: roles[0].role: is required"},
		"comment only":   {"# later\n", " the file is empty"},
		"many ports":     {"name: a\npolicy: {allowed_ports: [" + strings.Repeat("1,", 101) + "]}\n", "2: policy.allowed_ports: too many: 101 (max 100)"},
		"long text":      {"name: a\npolicy: {description: " + strings.Repeat("x", 257) + "}\n", "2: policy.description: too long: 257 bytes (max 256)"},
	} {
		_, d, err := readBlueprint(write(t, "b", test.text))
		if err != nil {
			t.Fatal(err)
		}
		if got := complaints(d); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, test.want)
		}
	}
}

func TestListingFormsAreEqual(t *testing.T) {
	t.Parallel()
	want := []listingEntry{
		{ExternalID: "alice@example.org", Role: "admin", DisplayName: "Alice, A.", Groups: []string{"ops", "dev"}},
		{ExternalID: "bob@example.org", Disabled: true},
	}
	csvText := "\ufeffexternal_id, Role,disabled,display_name,groups\r\nalice@example.org,Admin,,\"Alice, A.\",ops;dev\r\nbob@example.org,,yes,,\r\n"
	yamlText := "- {external_id: alice@example.org, role: admin, display_name: 'Alice, A.', groups: [ops, dev]}\n- {external_id: bob@example.org, disabled: true}\n"
	asJSON, err := json.Marshal(listing{NetworkID: 3, RemoveUnlisted: true, Entries: want})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"l.csv": csvText, "l.yaml": yamlText, "l.json": string(asJSON), "stdin": csvText} {
		l, d, err := readListing(write(t, name, text), nil)
		if err != nil || d.err() != nil {
			t.Fatal(name, err, d.err())
		}
		if !reflect.DeepEqual(l.Entries, want) {
			t.Errorf("%s: %+v", name, l.Entries)
		}
		if name == "l.json" && (l.NetworkID != 3 || !l.RemoveUnlisted) {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

func TestListingProblems(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"yaml.yaml": {"network_id: 0\nentries:\n- {external_id: a, role: boss}\n- {role: admin}\n- {external_id: A}\n- text\nremove-unlisted: true\n",
			`1: network_id: want a whole number from 1 to 65535, not 0
3: entries[0].role: "boss" is not one of owner, admin, member
4: entries[1].external_id: is required
5: entries[2]: A is listed at entries[0] already (case does not matter)
6: entries[3]: want an object, not the text "text"
7: remove-unlisted: unknown key; did you mean remove_unlisted?`},
		"column.csv":  {"external_id,rol,disabeld\na,boss,x\n", "1: rol: unknown column; did you mean role?\n1: disabeld: unknown column; did you mean disabled?"},
		"person.csv":  {"External-ID,role\na,admin\n", "1: External-ID: unknown column; did you mean external_id?"},
		"nobody.csv":  {"role,email\nadmin,a\n", "1: external_id: there is no such column; columns are separated by commas, semicolons or tabs; --column external_id=NAME says that another one is it"},
		"numbers.csv": {"id,name\n1001,Alice\n", "1: id: unknown column; known are accountenabled, active, disabled, display_name, email, enabled, external_id, groups, role, status\n1: name: unknown column; known are accountenabled, active, disabled, display_name, email, enabled, external_id, groups, role, status\n1: external_id: there is no such column; columns are separated by commas, semicolons or tabs; --column external_id=NAME says that another one is it"},
		"number.json": {`[{"login":1}]`, "1: entries[0].login: want text, not 1; put it in quotes"},
		"rows.csv": {"external_id,role,email\na,boss,\n,admin,\nA,,\n",
			`2: row 1.role: "boss" is not one of owner, admin, member
3: row 2.external_id: is required
4: row 3: A is listed at row 1 already (case does not matter)`},
		"other.csv":    {"external_id,SamAccountName\na,x\nb,y\n", "1: SamAccountName: unknown column; known are accountenabled, active, disabled, display_name, email, enabled, external_id, groups, role, status"},
		"breaks.csv":   {"external_id,display_name\na,x\nb,\"B\n(night)\"\n", "3: row 2.display_name: holds a line break, a tab or another control character"},
		"sheet.csv":    {"PK\x03\x04\x14\x00\x06\x00\xff\xfe", "1: this is a workbook or another archive, not text: save the sheet as \"CSV UTF-8\""},
		"disabled.csv": {"external_id,disabled\na,maybe\n", `2: row 1.disabled: want true or false, not the text "maybe"`},
		"ragged.csv":   {"external_id,role\na\n", "2: has 1 field, but there are 2 columns: a field that holds the separator is put in quotes; or the file was cut off"},
		"empty.csv":    {"", " the file is empty"},
		"header.csv":   {"external_id\n", " entries: there are none; a listing without entries changes nothing"},
	} {
		_, d, err := readListing(write(t, name, test.text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := complaints(d); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, test.want)
		}
	}
}

// An export is read as the reader says, where its names leave a doubt or say
// nothing.
func TestColumnsAreWhatTheReaderSays(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file  string
		asked map[string]string
		want  string
	}{
		"the id of Entra ID":   {"entra-portal.csv", map[string]string{"external_id": "ID"}, "0b1e5a52-3f0c-4c1d-9c3e-0d6f6f0f2a11 in, 6f9619ff-8b86-d011-b42d-00c04fc964ff out"},
		"its name":             {"entra-portal.csv", map[string]string{"external_id": "userPrincipalName"}, "alice@example.org in, carl@example.org out"},
		"Active Directory":     {"get-aduser.csv", map[string]string{"external_id": "SamAccountName"}, "alice in, carl out"},
		"a key within another": {"okta-api-users.json", map[string]string{"external_id": "profile.login"}, "alice@example.org in, carl@example.org out"},
		"names of one's own":   {"personnel.csv", map[string]string{"external_id": "Personalnummer", "disabled": "gesperrt"}, "1001 in, 1002 out"},
		"no column is it":      {"okta-unknown-status.csv", map[string]string{"status": ""}, "alice@example.org in, bob@example.org in"},
		"a misspelt one":       {"misspelt-state.csv", map[string]string{"disabled": "disabeld"}, "alice@example.org in, carl@example.org out"},
		"no such column":       {"okta-users.csv", map[string]string{"external_id": "upn"}, "1: --column external_id=upn: there is no such column; there are login, firstName, lastName, email, status, created, statusChanged"},
		"no such key":          {"graph-users.json", map[string]string{"role": "title"}, "3: value: --column role=title: there is no such column; there are userPrincipalName, displayName, accountEnabled"},
		"unreadable state":     {"okta-users.csv", map[string]string{"enabled": "firstName"}, `2: row 1.firstName: want true or false, not the text "Alice"`},
		"one column for two":   {"okta-users.csv", map[string]string{"external_id": "login", "display_name": "login"}, "1: --column external_id=login: it is the display_name already"},
		"no id":                {"okta-users.csv", map[string]string{"external_id": ""}, "1: external_id: there is no such column; columns are separated by commas, semicolons or tabs; --column external_id=NAME says that another one is it"},
	} {
		l, d, err := readListing(filepath.Join(corpusDir, test.file), test.asked)
		if err != nil {
			t.Fatal(err)
		}
		got, _, _ := strings.Cut(complaints(d), "\n")
		if len(d.problems) == 0 {
			var people []string
			for _, e := range l.Entries {
				people = append(people, e.ExternalID+map[bool]string{false: " in", true: " out"}[e.Disabled])
			}
			got = strings.Join(people, ", ")
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// What of an export is not used is named.
func TestUnusedColumnsAreNamed(t *testing.T) {
	t.Parallel()
	l, d, err := readListing(filepath.Join(corpusDir, "entra-columns.csv"), nil)
	if err != nil || d.err() != nil {
		t.Fatal(err, d.err())
	}
	if got, want := l.columns.summary(), "external_id is userPrincipalName, enabled is accountEnabled, display_name is displayName; not used: state, userType"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A file of a few lines cannot keep the tool busy.
func TestMergeKeysThatMultiplyAreRefused(t *testing.T) {
	t.Parallel()
	_, d, err := readListing(write(t, "bomb.yaml", "- &a {<<: [*a, *a, *a, *a, *a, *a, *a, *a], external_id: x}\n"), nil)
	if err != nil || complaints(d) != "1: entries[0]: merge keys (<<) lead to each other in a circle, or too often" {
		t.Errorf("%v, %s", err, complaints(d))
	}
}

// Problems come in the order of the lines, whenever they were found.
func TestProblemsComeInTheOrderOfTheFile(t *testing.T) {
	t.Parallel()
	_, d, err := readBlueprint(write(t, "b.yaml", "join_rule: token\nname: no good\nenterprise: perhaps\n"))
	if err != nil {
		t.Fatal(err)
	}
	d.file = ""
	lines := strings.Split(d.err().Error(), "\n")
	for i, begins := range []string{":1: join_token: ", ":2: name: ", ":3: enterprise: "} {
		if i >= len(lines) || !strings.HasPrefix(strings.TrimSpace(lines[i]), begins) {
			t.Errorf("problem %d is not %s: %q", i+1, begins, lines)
		}
	}
}
