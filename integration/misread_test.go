// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// commandFields are the fields of a request that a client may set, by name.
func commandFields(c *protocol.Command) map[string]reflect.StructField {
	out := map[string]reflect.StructField{}
	t := reflect.TypeOf(c.New()).Elem()
	for i := range t.NumField() {
		f := t.Field(i)
		name, ok := f.Tag.Lookup("wire")
		if !ok {
			name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
		}
		if f.IsExported() && !f.Anonymous && name != "" && name != "-" {
			out[name] = f
		}
	}
	return out
}

// oddValues are values that no field of this type takes.
func oddValues(t reflect.Type) []any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool:
		return []any{"true", "yes", 1, 0, []any{true}, map[string]any{}, nil}
	case reflect.String:
		return []any{7, true, []any{"x"}, map[string]any{"x": 1}}
	case reflect.Float64:
		return []any{"5", true, []any{1}, map[string]any{}}
	case reflect.Slice:
		return []any{"x", 7, true, map[string]any{}}
	case reflect.Struct:
		return []any{"x", 7, true, []any{}}
	}
	return []any{"1", -1, 2.9, 1e300, true, []any{1}, map[string]any{}}
}

// A real registry refuses every value of the wrong kind in every field of
// every command, asked by whoever may do everything, and changes nothing.
func TestNoCommandActsOnAValueItCannotRead(t *testing.T) {
	c := sharedCluster(t)
	w, err := harness.Dial(c.Addrs()[1])
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	index := func() any {
		reply, err := w.Call(map[string]any{"type": "get_audit_log", "admin_token": c.AdminToken, "limit": 1})
		if err != nil {
			t.Fatal(err)
		}
		return reply["entries"].([]any)[0].(map[string]any)["seq"]
	}
	agent(t, w)
	before, fields, requests := index(), 0, 0
	for i := range protocol.Commands {
		row := &protocol.Commands[i]
		if row.Mode == protocol.ModeStream || row.Rate != protocol.RateNone && row.Name == "register" {
			continue // a stream takes the connection; register takes odd addresses
		}
		known := commandFields(row)
		for _, name := range slices.Sorted(maps.Keys(known)) {
			if row.Name == "create_network" && (name == "rules" || name == "expr_policy") {
				continue // objects and texts
			}
			fields++
			for _, v := range oddValues(known[name].Type) {
				requests++
				request := map[string]any{"type": row.Name, "admin_token": c.AdminToken, name: v}
				reply, err := w.Call(request)
				if err != nil {
					t.Fatalf("%v: %v", request, err)
				}
				if reply["type"] != "error" {
					shown, _ := json.Marshal(map[string]any{name: v})
					t.Errorf("%s %s: %v", row.Name, shown, reply)
				}
			}
		}
	}
	t.Logf("%d fields, %d requests refused", fields, requests)
	if after := index(); after != before {
		t.Errorf("the audit trail went from %v to %v: something was changed", before, after)
	}
}

// A misspelt or forgotten field leaves a configuration as it is; off is said.
func TestMisspeltFieldSwitchesNoConfigurationOff(t *testing.T) {
	c := harness.Start(t, harness.Options{Members: 1})
	w, err := harness.Dial(c.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	call := func(request string) map[string]any {
		t.Helper()
		fields := map[string]any{"admin_token": c.AdminToken}
		if err := json.Unmarshal([]byte(request), &fields); err != nil {
			t.Fatal(err)
		}
		reply, err := w.Call(fields)
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	for _, of := range []struct {
		on, get, shows string
		odd            []string
		off            string
	}{
		{`{"type":"set_idp_config","idp_type":"oidc","url":"https://id.example.org/keys","require_identity":true}`, `{"type":"get_idp_config"}`, "configured",
			[]string{`{"type":"set_idp_config","provider":"oidc","jwks":"x"}`, `{"type":"set_idp_config","provider_type":"oidc"}`, `{"type":"set_idp_config"}`, `{"type":"set_idp_config","url":null}`},
			`{"type":"set_idp_config","idp_type":"","url":""}`},
		{`{"type":"set_audit_export","format":"json","endpoint":"https://siem.example.org/"}`, `{"type":"get_audit_export"}`, "enabled",
			[]string{`{"type":"set_audit_export","format":"json"}`, `{"type":"set_audit_export","endpoint":"https://siem.example.org/"}`, `{"type":"set_audit_export"}`,
				`{"type":"set_audit_export","format":"json","endpiont":"https://siem.example.org/"}`},
			`{"type":"set_audit_export","format":"","endpoint":"","token":"","index":"","source":""}`},
		{`{"type":"set_webhook","url":"https://hook.example.org/"}`, `{"type":"get_webhook"}`, "enabled", []string{`{"type":"set_webhook"}`, `{"type":"set_webhook","uri":"https://hook.example.org/"}`},
			`{"type":"set_webhook","url":""}`},
	} {
		if r := call(of.on); r["type"] == "error" {
			t.Fatalf("%s: %v", of.on, r)
		}
		for _, odd := range of.odd {
			if r := call(odd); r["type"] != "error" {
				t.Errorf("%s: %v", odd, r)
			}
			if r := call(of.get); r[of.shows] != true {
				t.Errorf("%s switched it off: %v", odd, r)
			}
		}
		if r := call(of.off); r["status"] != "disabled" {
			t.Errorf("%s: %v", of.off, r)
		}
	}
}
