// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// shape is what values a field takes.
type shape struct {
	good []any
	bad  []any
	// nullRefused is true where absence is a decision.
	nullRefused bool
}

// everything is one value of each JSON kind, and numbers and texts that look
// like something else.
var everything = []any{true, false, "true", "yes", "", "1", 0.0, 1.0, -1.0, 2.9, 4294967296.0, 9007199254740994.0, 1e300, []any{}, []any{1.0}, []any{"a", nil}, map[string]any{}, map[string]any{"a": 1.0}}

// shapeOf says which of everything a field of this type takes.
func shapeOf(f reflect.StructField) shape {
	t := f.Type
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	limit := map[reflect.Kind]float64{reflect.Uint16: 65535, reflect.Uint32: 4294967295, reflect.Uint64: 1 << 53}[t.Kind()]
	s := shape{nullRefused: t.Kind() == reflect.Bool || f.Type == reflect.TypeFor[*uint64]()}
	for _, v := range everything {
		n, isNumber := v.(float64)
		_, isText := v.(string)
		_, isFlag := v.(bool)
		list, isList := v.([]any)
		ok := false
		switch {
		case limit > 0:
			ok = isNumber && n >= 0 && n <= limit && n == float64(int64(n))
		case t.Kind() == reflect.Float64:
			ok = isNumber
		case t.Kind() == reflect.String:
			ok = isText
		case t.Kind() == reflect.Bool:
			ok = isFlag
		case t == reflect.TypeFor[[]string](), t == reflect.TypeFor[[]protocol.DirectoryEntry](), t == reflect.TypeFor[[]protocol.RoleMapping]():
			ok = isList && len(list) == 0
		case t == reflect.TypeFor[[]float64]():
			ok = isList // what is wrong with elements is told with the policy's own words
		case t.Kind() == reflect.Struct:
			_, ok = v.(map[string]any)
			if m, _ := v.(map[string]any); len(m) > 0 {
				ok = false
			}
		}
		if ok {
			s.good = append(s.good, v)
		} else {
			s.bad = append(s.bad, v)
		}
	}
	return s
}

// ownReading are fields that are read by a rule of their own, with tests of their own.
var ownReading = []string{"create_network rules", "create_network expr_policy", "set_expr_policy expr_policy"}

// options are the fields that every request may have.
var options = struct {
	Signature      protocol.Secret `json:"signature"`
	AdminToken     protocol.Secret `json:"admin_token"`
	RequestID      string          `json:"request_id"`
	Consistency    string          `json:"consistency"`
	MaxStalenessMS uint64          `json:"max_staleness_ms"`
	MinIndex       uint64          `json:"min_index"`
	Limit          uint64          `json:"limit"`
	Cursor         string          `json:"cursor"`
	DryRun         bool            `json:"dry_run"`
}{}

func allFields(c *protocol.Command) map[string]reflect.StructField {
	fields := wireFields(c.New())
	t := reflect.TypeOf(options)
	for i := range t.NumField() {
		fields[t.Field(i).Tag.Get("json")] = t.Field(i)
	}
	return fields
}

func request(t *testing.T, command, field string, value any) string {
	t.Helper()
	fields := map[string]any{"type": command}
	switch command { // what a configuration command cannot do without
	case "set_idp_config", "set_webhook", "set_identity_webhook":
		fields["url"] = ""
	case "set_audit_export":
		fields["format"] = ""
	case "set_network_enterprise":
		fields["enterprise"] = false
	case "set_signed_register":
		fields["require_signed_register"] = false
	case "set_network_policy":
		fields["description"] = ""
	}
	fields[field] = value
	body, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// No value is taken for what it does not say, in any field of any command. A
// dry run asked for with the text "true" ran for real once.
func TestNoValueIsTakenForAnother(t *testing.T) {
	t.Parallel()
	fields, refused, taken := 0, 0, 0
	for i := range protocol.Commands {
		c := &protocol.Commands[i]
		for name, f := range allFields(c) {
			if slices.Contains(ownReading, c.Name+" "+name) {
				continue
			}
			fields++
			rule, s := f.Tag.Get("read"), shapeOf(f)
			for _, v := range s.bad {
				if v == 9007199254740994.0 && name == "limit" {
					continue // its own, lower limit is tested below
				}
				r := parse(t, request(t, c.Name, name, v))
				refused++
				checkRefused(t, c.Name, name, rule, v, r.Unread)
			}
			for _, v := range s.good {
				if n, _ := v.(float64); name == "limit" && n > 1<<20 {
					continue
				}
				taken++
				if r := parse(t, request(t, c.Name, name, v)); r.Unread != nil {
					t.Errorf("%s %s %v: %v", c.Name, name, v, r.Unread.Err)
				}
			}
			main := rule == "main" || rule == "alias"
			if r := parse(t, request(t, c.Name, name, nil)); (r.Unread != nil) != (s.nullRefused) && !main {
				t.Errorf("%s %s: null: %+v", c.Name, name, r.Unread)
			}
		}
	}
	t.Logf("%d fields of %d commands: %d values refused, %d taken", fields, len(protocol.Commands), refused, taken)
	if fields < 900 {
		t.Errorf("only %d fields were looked at", fields)
	}
}

func checkRefused(t *testing.T, command, name, rule string, v any, u *protocol.Unread) {
	t.Helper()
	if rule == "lenient" {
		if u != nil {
			t.Errorf("%s %s %v: %v, and a daemon cannot register", command, name, v, u.Err)
		}
		return
	}
	credential := name == "signature" || name == "admin_token"
	switch {
	case u == nil:
		t.Errorf("%s %s: %v was taken", command, name, v)
	case u.Deferred != (rule == "deferred" || credential) && name != "entries" && name != "blueprint":
		t.Errorf("%s %s %v: deferred %v", command, name, v, u.Deferred)
	case !strings.Contains(u.Err.Text, name) && name != "entries" && name != "blueprint",
		u.Err.Code != protocol.CodeInvalid && u.Err.Code != protocol.CodeUnknownField:
		t.Errorf("%s %s %v: %s: %s", command, name, v, u.Err.Code, u.Err.Text)
	}
}

// What a refusal says: the field, what is wanted, what came; never a secret.
func TestRefusalsOfValuesSayWhatCame(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"type":"directory_sync","dry_run":"true"}`:                                 `invalid dry_run: want true or false, got the text "true"`,
		`{"type":"provision_network","dry_run":1}`:                                   `invalid dry_run: want true or false, got the number 1`,
		`{"type":"set_key_expiry","expires_at":1830000000}`:                          `invalid expires_at: want a text, got the number 1830000000`,
		`{"type":"join_network","for_seconds":"60"}`:                                 `invalid for_seconds: want a whole number from 0 to 4294967295, got the text "60"`,
		`{"type":"join_network","for_seconds":-5}`:                                   `invalid for_seconds: want a whole number from 0 to 4294967295, got the number -5`,
		`{"type":"promote_member","for_seconds":0.5}`:                                `invalid for_seconds: want a whole number from 0 to 4294967295, got the number 0.5`,
		`{"type":"set_network_enterprise","enterprise":"true"}`:                      `invalid enterprise: want true or false, got the text "true"`,
		`{"type":"set_network_enterprise","enterprise":null}`:                        `invalid enterprise: want true or false, got null`,
		`{"type":"set_network_enterprise"}`:                                          `enterprise is required: what is to change has to be said; without it nothing changes`,
		`{"type":"set_network_policy","network_id":1}`:                               `max_members, allowed_ports or description is required: what is to change has to be said; without it nothing changes`,
		`{"type":"set_network_policy","max_members":"9"}`:                            `invalid max_members: want a number, got the text "9"`,
		`{"type":"set_network_policy","allowed_ports":"80"}`:                         `invalid allowed_ports: want a list of numbers, got the text "80"`,
		`{"type":"set_network_policy","policy":{"max_members":2}}`:                   `unknown field "policy" in set_network_policy, so nothing was changed; its fields are allowed_ports, description, max_members, network_id, node_id`,
		`{"type":"set_idp_config"}`:                                                  `idp_type or url is required: what is to change has to be said; without it nothing changes`,
		`{"type":"set_idp_config","provider":"oidc","url":"https://x"}`:              `unknown field "provider" in set_idp_config, so nothing was changed; did you mean provider_type?`,
		`{"type":"set_idp_config","idp_type":"oidc","require_idenity":1}`:            `unknown field "require_idenity" in set_idp_config, so nothing was changed; did you mean require_identity?`,
		`{"type":"set_audit_export","index":"x"}`:                                    `format or endpoint is required: what is to change has to be said; without it nothing changes`,
		`{"type":"set_external_id","node_id":1,"externalId":"x"}`:                    `unknown field "externalId" in set_external_id, so nothing was changed; did you mean external_id?`,
		`{"type":"audit_sink_put","requried":true}`:                                  `unknown field "requried" in audit_sink_put, so nothing was changed; did you mean required?`,
		`{"type":"directory_sync","removeUnlisted":true}`:                            `unknown field "removeUnlisted" in directory_sync, so nothing was changed; did you mean remove_unlisted?`,
		`{"type":"provision_network","dryrun":true}`:                                 `unknown field "dryrun" in provision_network, so nothing was changed; did you mean dry_run?`,
		`{"type":"provision_network","blueprint":{"enterprize":true}}`:               `unknown field "blueprint.enterprize" in provision_network, so nothing was changed; did you mean enterprise?`,
		`{"type":"provision_network","blueprint":{"roles":[{"role":"a","id":"x"}]}}`: `unknown field "blueprint.roles[0].id" in provision_network, so nothing was changed; its fields are external_id, role`,
		`{"type":"provision_network","blueprint":{"enterprise":null}}`:               `invalid blueprint.enterprise: want true or false, got null`,
		`{"type":"create_network","name":"a","join_tule":"token"}`:                   `unknown field "join_tule" in create_network, so nothing was changed; did you mean join_rule?`,
		`{"type":"directory_sync","if_revision":"3"}`:                                `invalid if_revision: want a whole number from 0 to 9007199254740992, got the text "3"`,
		`{"type":"directory_sync","confirm_removals":null}`:                          `invalid confirm_removals: want a whole number, got null`,
		`{"type":"audit_sink_put","required":"true"}`:                                `invalid required: want true or false, got the text "true"`,
		`{"type":"audit_sink_put","actions":["a",5]}`:                                `invalid actions[1]: want a text, got the number 5`,
		`{"type":"audit_sink_put","secret":["hush"]}`:                                `invalid secret: want a text, got a list`,
		`{"type":"set_webhook","url":"https://x","secret":12345}`:                    `invalid secret: want a text, got a number`,
		`{"type":"get_audit_log","limit":-1}`:                                        `invalid limit: want a whole number from 0 to 1048576, got the number -1`,
		`{"type":"get_audit_log","limit":1048577}`:                                   `invalid limit: want a whole number from 0 to 1048576, got the number 1048577`,
		`{"type":"set_visibility","public":"correct horse battery staple"}`:          `invalid public: want true or false, got a text`,
		`{"type":"join_network","node_id":"hunter2"}`:                                `invalid node_id: want a whole number from 0 to 4294967295, got the text "hunter2"`,
		`{"type":"set_visibility","colour":"red","public":true}`:                     "",
		`{"type":"set_tags","tags":null}`:                                            "",
		`{"type":"register","listen_addr":5,"lan_addrs":"10.0.0.1:1"}`:               "",
	} {
		got := ""
		if u := parse(t, body).Unread; u != nil {
			got = u.Err.Text
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", body, got, want)
		}
	}
}

// What registers is read in spite of odd addresses; what it has of good ones stays.
func TestOddAddressesKeepNoDaemonOut(t *testing.T) {
	t.Parallel()
	r := parse(t, `{"type":"register","listen_addr":5,"lan_addrs":["10.0.0.1:1",7,"",null,["x"],"10.0.0.2:2"],"protocol_version":"one"}`)
	b := r.Body.(*protocol.Register)
	if r.Unread != nil || b.ListenAddr != "" || !reflect.DeepEqual(b.LANAddrs, []string{"10.0.0.1:1", "", "10.0.0.2:2"}) {
		t.Errorf("%+v, %+v", r.Unread, b)
	}
}

// A clear complaint comes before one that gives way to other refusals.
func TestOfTwoValuesThatCannotBeReadTheClearerIsTold(t *testing.T) {
	t.Parallel()
	u := parse(t, `{"type":"beacon_register","beacon_id":"5","node_id":"x","addr":9}`).Unread
	if u.Deferred || !strings.Contains(u.Err.Text, "node_id") {
		t.Errorf("%+v", u.Err)
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"dry_run", "remove_unlisted", "url", "idp_type", "provider_type"}
	for name, want := range map[string]string{"dryRun": "dry_run", "remove-unlisted": "remove_unlisted", "provider": "provider_type", "uri": "url", "jwks": "", "": "", "x": ""} {
		if got := protocol.Nearest(name, known); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
