// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func parse(t testing.TB, body string) *protocol.Request {
	t.Helper()
	req, err := protocol.ParseRequest([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return req
}

func TestCommonFieldsAreRead(t *testing.T) {
	t.Parallel()
	r := parse(t, `{"type":"lookup","signature":"sig","admin_token":"tok","request_id":"r","consistency":"bounded","max_staleness_ms":250,
		"min_index":9007199254740992,"limit":10,"cursor":"c","dry_run":true}`)
	want := protocol.Options{RequestID: "r", Consistency: protocol.Bounded, MaxStalenessMS: 250, MinIndex: 1 << 53, Limit: 10, Cursor: "c", DryRun: true}
	if r.Options != want || r.Signature != "sig" || r.AdminToken != "tok" || r.Command.Name != "lookup" || r.Unread != nil {
		t.Errorf("%+v", r)
	}
	for body, typ := range map[string]string{"null": "", "{}": "", `{"type":1}`: "", `{"type":"fly"}`: "fly", `{"Type":"lookup"}`: ""} {
		if r := parse(t, body); r.Type != typ || r.Command != nil || r.Body != nil {
			t.Errorf("%s: %+v", body, r)
		}
	}
}

func TestMalformedBodies(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", " ", "{", "[]", `"x"`, "1", "true", `{"type":"lookup"} {}`, `{"a":1e400}`, `{"a":[{"b":-1e400}]}`, "{'a':1}", "\xff"} {
		if _, err := protocol.ParseRequest([]byte(body)); !errors.Is(err, protocol.ErrMalformed) {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// Facts that members add to a request cannot come from a client.
func TestFactsCannotBeSet(t *testing.T) {
	t.Parallel()
	facts := `"endpoint":"6.6.6.6:6","proven":true,"owner_reclaim":true,"external_id":"root","Endpoint":"x","up_to_request":5,"up_to_response":5,` +
		`"token_mac":{"k":1,"m":"AAAA"},"join_token_mac":{"k":1,"m":"AAAA"},"export_token":{"key":1,"ciphertext":"AAAA"},"export_token_mac":{"k":1,"m":"AAAA"},"unreadable":"x","network_admin_token_mac":{"k":1,"m":"AAAA"},"TokenMAC":1,` +
		`"network_token":{"k":1,"m":"AAAA"},"unsigned":true,"token_sealed":{"key":1,"ciphertext":"AAAA"},"secret_sealed":{"key":1,"ciphertext":"AAAA"},"policy_sha256":"00"`
	for i := range protocol.Commands {
		c := &protocol.Commands[i]
		asked := map[string]bool{"set_external_id": true, "set_audit_export": true, "audit_sink_put": true, "get_audit_log": true, "person_export": true, "person_forget": true}
		if asked[c.Name] {
			continue // one of them is what is asked for there
		}
		with, without := parse(t, `{"type":"`+c.Name+`",`+facts+`}`), parse(t, `{"type":"`+c.Name+`"}`)
		if !reflect.DeepEqual(with.Body, without.Body) {
			t.Errorf("%s: %+v", c.Name, with.Body)
		}
	}
}

func TestOptionsValidate(t *testing.T) {
	t.Parallel()
	row := protocol.Must("lookup")
	for want, o := range map[string]protocol.Options{
		"":                    {},
		"invalid consistency": {Consistency: "eventual"},
		"invalid request_id":  {RequestID: strings.Repeat("x", 65)},
		"max_staleness_ms required with consistency bounded": {Consistency: protocol.Bounded},
		"invalid max_staleness_ms: it goes with":             {Consistency: protocol.Stale, MaxStalenessMS: 5},
		"invalid max_staleness_ms":                           {MaxStalenessMS: 5},
		"invalid dry_run: lookup does not support it":        {DryRun: true},
	} {
		e := o.Validate(row)
		if (e == nil) != (want == "") || e != nil && (!strings.HasPrefix(e.Text, want) || e.Code != protocol.CodeInvalid) {
			t.Errorf("%+v: %v", o, e)
		}
	}
	good := protocol.Options{Consistency: protocol.Bounded, MaxStalenessMS: 1, RequestID: strings.Repeat("x", 64)}
	if e := good.Validate(row); e != nil {
		t.Error(e)
	}
	if e := (&protocol.Options{DryRun: true}).Validate(protocol.Must("directory_sync")); e != nil {
		t.Error(e)
	}
}

// fill gives every field of a request that a client may set a value of its own.
func fill(b protocol.Body, serial *int) {
	for _, sf := range wireFields(b) {
		f := reflect.ValueOf(b).Elem().FieldByIndex(sf.Index)
		*serial++
		switch f.Kind() {
		case reflect.String:
			f.SetString(fmt.Sprintf("text-%d-é<&>", *serial))
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Uint16, reflect.Uint32:
			f.SetUint(uint64(*serial))
		case reflect.Slice:
			if f.Type() == reflect.TypeFor[[]protocol.DirectoryEntry]() {
				f.Set(reflect.ValueOf([]protocol.DirectoryEntry{{ExternalID: "a"}, {ExternalID: "é<&>", Role: "owner", Disabled: true, DisplayName: "É"}}))
				continue
			}
			if f.Type() == reflect.TypeFor[[]protocol.RoleMapping]() {
				f.Set(reflect.ValueOf([]protocol.RoleMapping{{Value: "é<&>", NetworkID: 65535, Role: "admin"}, {Value: "b", NetworkID: 1, Role: "member"}}))
				continue
			}
			f.Set(reflect.ValueOf([]string{fmt.Sprint("a", *serial), fmt.Sprint("b", *serial)}))
		case reflect.Pointer:
			n, text := float64(*serial)+0.5, fmt.Sprintf("text-%d-é<&>", *serial)
			list, whole := []float64{n, 7}, uint64(*serial)
			for _, v := range []any{&n, &text, &list, &whole, fullBlueprint()} {
				if reflect.TypeOf(v) == f.Type() {
					f.Set(reflect.ValueOf(v))
				}
			}
		}
	}
}

// fullBlueprint has everything a blueprint can have.
func fullBlueprint() *protocol.Blueprint {
	return &protocol.Blueprint{Name: "a", JoinRule: "token", JoinToken: "hush-a", Enterprise: true, NetworkAdminToken: "hush-b",
		Policy: &protocol.BlueprintPolicy{MaxMembers: 5, AllowedPorts: []uint16{80, 65535}, Description: "é<&>"}, Roles: []protocol.BlueprintRole{{ExternalID: "x", Role: "owner"}},
		IdentityProvider: &protocol.BlueprintIdentityProvider{Type: "oidc", URL: "https://x", Issuer: "i", ClientID: "c", TenantID: "t", Domain: "d"},
		Webhooks:         &protocol.BlueprintWebhooks{AuditURL: "https://a", IdentityURL: "https://b"},
		AuditExport:      &protocol.BlueprintAuditExport{Format: "json", Endpoint: "https://c", Token: "hush-c", Index: "i", Source: "s"}}
}

// emptyRequests are those that say what they are about also when it is nothing.
var emptyRequests = map[string]string{
	"set_signed_register":    `{"require_signed_register":false,"type":"set_signed_register"}`,
	"set_network_enterprise": `{"enterprise":false,"type":"set_network_enterprise"}`,
	"set_webhook":            `{"type":"set_webhook","url":""}`,
	"set_identity_webhook":   `{"type":"set_identity_webhook","url":""}`,
	"set_audit_export":       `{"endpoint":"","format":"","type":"set_audit_export"}`,
	"set_idp_config":         `{"idp_type":"","type":"set_idp_config","url":""}`,
}

func TestEncodeAndParse(t *testing.T) {
	t.Parallel()
	serial := 0
	cred := protocol.Credentials{Signature: "c2ln", AdminToken: "tok"}
	opts := protocol.Options{RequestID: "r", Consistency: protocol.Bounded, MaxStalenessMS: 5, MinIndex: 1 << 52, Limit: 7, Cursor: "c", DryRun: true}
	for i := range protocol.Commands {
		c := &protocol.Commands[i]
		body := c.New()
		fill(body, &serial)
		encoded, err := protocol.EncodeRequest(c, body, cred, opts)
		if err != nil {
			t.Fatal(err)
		}
		got := parse(t, string(encoded))
		if got.Command != c || !reflect.DeepEqual(got.Body, body) || got.Credentials != cred || got.Options != opts {
			t.Errorf("%s: sent %+v, got %+v", c.Name, body, got)
		}
		encoded, err = protocol.EncodeRequest(c, c.New(), protocol.Credentials{}, protocol.Options{})
		if want, odd := emptyRequests[c.Name]; err != nil || string(encoded) != want && (odd || string(encoded) != `{"type":"`+c.Name+`"}`) {
			t.Errorf("%s: an empty request is %s, %v", c.Name, encoded, err)
		}
	}
}

// A request goes through the replicated log as JSON: everything but the
// credentials comes back, facts included.
func TestLogRoundTrip(t *testing.T) {
	t.Parallel()
	serial := 0
	for i := range protocol.Commands {
		c := &protocol.Commands[i]
		body := c.New()
		fill(body, &serial)
		secrets := setSecrets(body)
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range secrets {
			if strings.Contains(string(encoded), s) {
				t.Errorf("%s: the log would hold a secret: %s", c.Name, encoded)
			}
		}
		back := c.New()
		if err := json.Unmarshal(encoded, back); err != nil {
			t.Fatal(err)
		}
		clearSecrets(body)
		if !reflect.DeepEqual(back, body) {
			t.Errorf("%s: %+v came back as %+v", c.Name, body, back)
		}
	}
}

func eachSecret(b protocol.Body, do func(f reflect.Value)) {
	v := reflect.ValueOf(b).Elem()
	for i := range v.NumField() {
		if !v.Type().Field(i).IsExported() {
			continue
		}
		if v.Field(i).Type() == reflect.TypeFor[protocol.Secret]() {
			do(v.Field(i))
		}
		if b, ok := v.Field(i).Interface().(*protocol.Blueprint); ok && b != nil {
			for _, s := range []*protocol.Secret{&b.JoinToken, &b.NetworkAdminToken, &b.AuditExport.Token} {
				do(reflect.ValueOf(s).Elem())
			}
		}
	}
}

func setSecrets(b protocol.Body) (list []string) {
	eachSecret(b, func(f reflect.Value) {
		s := fmt.Sprintf("hush-%d", len(list))
		f.SetString(s)
		list = append(list, s)
	})
	return list
}

func clearSecrets(b protocol.Body) { eachSecret(b, func(f reflect.Value) { f.SetString("") }) }

func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	const hidden = "hush-hush"
	req := &protocol.Request{Type: "create_network", Command: protocol.Must("create_network"), Body: &protocol.CreateNetwork{Token: hidden, NetworkAdminToken: hidden},
		Credentials: protocol.Credentials{Signature: hidden, AdminToken: hidden}}
	encoded, err := json.Marshal(map[string]any{"credentials": req.Credentials, "body": req.Body, "secret": protocol.Secret(hidden)})
	if err != nil {
		t.Fatal(err)
	}
	s := protocol.Secret(hidden)
	for _, text := range []string{
		string(encoded), s.String(), fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), fmt.Sprintf("%v %+v %#v", req.Body, req.Body, req.Body),
		fmt.Sprintf("%v %+v %#v", req.Credentials, req.Credentials, req.Credentials),
	} {
		if strings.Contains(text, "hush") {
			t.Errorf("shown in %s", text)
		}
	}
	// The one place where secrets are written out is a client's request.
	wire, err := protocol.EncodeRequest(req.Command, req.Body, req.Credentials, protocol.Options{})
	if err != nil || strings.Count(string(wire), hidden) != 4 {
		t.Errorf("%s, %v", wire, err)
	}
}

func TestEncodeError(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]*protocol.Error{
		`{"code":"not_found","error":"node 9: node not found","type":"error"}`:       protocol.Refusef(protocol.CodeNotFound, "node %d: node not found", 9),
		`{"code":"no_leader","error":"x","outcome":"not_applied","type":"error"}`:    protocol.NotAppliedf(protocol.CodeNoLeader, "x"),
		`{"code":"internal","error":"a\"\u003c","outcome":"unknown","type":"error"}`: protocol.Unknownf(protocol.CodeInternal, "a\"<"),
		`{"code":"invalid_argument","error":"hostname required","type":"error"}`:     protocol.Errorf(protocol.CodeInvalid, "hostname required"),
	} {
		if got := string(protocol.EncodeError(e)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if protocol.NotAppliedf("x", "y").Retryable() != true || protocol.Unknownf("x", "y").Retryable() || protocol.Errorf("x", "y").Retryable() ||
		!protocol.Refusef("x", "y").Stateful || protocol.Errorf("x", "y").Error() != "y" {
		t.Error("kinds of errors")
	}
}
