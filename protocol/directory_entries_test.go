// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func entries(t *testing.T, list string) ([]protocol.DirectoryEntry, string) {
	t.Helper()
	r := parse(t, `{"type":"directory_sync","network_id":1,"entries":`+list+`}`)
	if r.Unread != nil {
		return nil, r.Unread.Err.Text
	}
	return r.Body.(*protocol.DirectorySync).Entries, ""
}

// Who left is written in several ways: all of them take the leaver out.
func TestLeaversAreReadAsDirectoriesWriteThem(t *testing.T) {
	t.Parallel()
	for state, disabled := range map[string]bool{
		`"disabled":true`: true, `"disabled":"True"`: true, `"disabled":"TRUE"`: true, `"Disabled":"true"`: true, `"disabled":false`: false, `"disabled":"False"`: false,
		`"Enabled":false`: true, `"enabled":"FALSE"`: true, `"Enabled":"True"`: false, `"active":false`: true, `"active":"false"`: true, `"active":true`: false,
		`"accountEnabled":false`: true, `"AccountEnabled":"False"`: true, `"accountEnabled":true`: false, `"active":false,"disabled":true`: true, `"role":"admin"`: false,
	} {
		got, problem := entries(t, `[{"external_id":"a",`+state+`}]`)
		if problem != "" || got[0].Disabled != disabled {
			t.Errorf("%s: %+v %s, want disabled %v", state, got, problem, disabled)
		}
	}
}

// An admin listed as "Admin" stays one.
func TestRolesInAnyCaseAreRoles(t *testing.T) {
	t.Parallel()
	got, problem := entries(t, `[{"external_id":"a","role":"Admin"},{"external_id":"b","role":" OWNER "},{"external_id":"c","role":""},{"External_ID":"d","Role":"member"}]`)
	want := []protocol.DirectoryEntry{{ExternalID: "a", Role: "admin"}, {ExternalID: "b", Role: "owner"}, {ExternalID: "c"}, {ExternalID: "d", Role: "member"}}
	if problem != "" || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %s", got, problem)
	}
	blueprint := parse(t, `{"type":"provision_network","blueprint":{"name":"n","roles":[{"external_id":"a","role":"Admin"}]}}`).Body.(*protocol.ProvisionNetwork)
	if e := blueprint.Check(); e != nil || blueprint.Blueprint.Roles[0].Role != "admin" {
		t.Errorf("%+v, %v", blueprint.Blueprint, e)
	}
}

// A listing with an entry that nobody understood is not applied in part: the
// people behind those entries would count as unlisted.
func TestEntriesNobodyUnderstoodRefuseTheListing(t *testing.T) {
	t.Parallel()
	const start = "entry 2 cannot be read, so nothing of the listing was applied: "
	for entry, want := range map[string]string{
		`{"externalId":"x"}`:                                  `unknown field "externalId"; did you mean external_id?`,
		`{"userName":"x"}`:                                    `unknown field "userName"; its fields are accountEnabled, active, disabled, `,
		`5`:                                                   "want an object with external_id, got the number 5",
		`null`:                                                "want an object with external_id, got null",
		`["x"]`:                                               "want an object with external_id, got a list",
		`{"external_id":1001}`:                                "invalid external_id: want a text, got the number 1001",
		`{"role":"admin"}`:                                    "external_id is required",
		`{"external_id":" "}`:                                 "external_id is required",
		`{"external_id":"x","disabled":1}`:                    "invalid disabled: want true or false, got the number 1",
		`{"external_id":"x","disabled":"ja"}`:                 `invalid disabled: want true or false, got the text "ja"`,
		`{"external_id":"x","disabled":null}`:                 "invalid disabled: want true or false, got null",
		`{"external_id":"x","active":"","x":1}`:               `unknown field "x"`,
		`{"external_id":"x","role":"boss"}`:                   `invalid role "boss": want owner, admin or member`,
		`{"external_id":"x\u0000"}`:                           "external_id holds a control character",
		`{"external_id":"x","display_name":"A\nB"}`:           "display_name holds a control character",
		`{"external_id":"x","role":["admin"]}`:                "invalid role: want a text, got a list",
		`{"external_id":"x","active":true,"disabled":true}`:   "disabled and active contradict each other",
		`{"external_id":"x","External_ID":"y"}`:               "external_id is given twice, in different letter case",
		`{"external_id":"` + strings.Repeat("x", 1025) + `"}`: "external_id too long (max 1024 bytes)",
	} {
		got, problem := entries(t, `[{"external_id":"a","email":"a@x","groups":["g"],"node_id":7,"tags":null},`+entry+`]`)
		if !strings.HasPrefix(problem, start+want) {
			t.Errorf("%s: %+v %q, want %q", entry, got, problem, start+want)
		}
	}
}
