// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"encoding/json"
	"errors"
	"reflect"
)

// decodeField reads the blueprint, which is strict about types and lenient
// about the case of keys.
func (r *ProvisionNetwork) decodeField(in *reader, name string, raw any) bool {
	if name != "blueprint" {
		return false
	}
	object, is := raw.(map[string]any)
	if !is {
		if raw != nil {
			in.complain(name, "an object", raw)
		}
		return true
	}
	in.rule = ""
	in.knownMembers("provision_network", name, reflect.TypeFor[Blueprint](), object)
	encoded, err := json.Marshal(object)
	b := &Blueprint{}
	if err == nil {
		err = json.Unmarshal(encoded, b)
	}
	if err != nil {
		r.unreadable = "parse blueprint: it cannot be read"
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			r.unreadable = "parse blueprint: " + wrong.Field + " cannot be a " + wrong.Value
		}
		return true
	}
	for i := range b.Roles {
		b.Roles[i].Role, b.Roles[i].Keys = lower(b.Roles[i].Role), IDKeys{}
	}
	// An empty list says as little as none, and the log has no form for it.
	if len(b.Roles) == 0 {
		b.Roles = nil
	}
	if b.Policy != nil && len(b.Policy.AllowedPorts) == 0 {
		b.Policy.AllowedPorts = nil
	}
	r.Blueprint = b
	return true
}

// encodeField writes the blueprint for the wire, secrets included.
func (r *ProvisionNetwork) encodeField(name string) (any, bool) {
	if name != "blueprint" || r.Blueprint == nil {
		return nil, false
	}
	object := map[string]any{}
	encoded, err := json.Marshal(r.Blueprint)
	if err == nil {
		err = json.Unmarshal(encoded, &object)
	}
	if err != nil { // strings, numbers and lists of them always encode
		panic(err)
	}
	put := func(object map[string]any, key string, s Secret) {
		if s != "" {
			object[key] = string(s)
		}
	}
	put(object, "join_token", r.Blueprint.JoinToken)
	put(object, "network_admin_token", r.Blueprint.NetworkAdminToken)
	if x := r.Blueprint.AuditExport; x != nil {
		put(object["audit_export"].(map[string]any), "token", x.Token)
	}
	return object, true
}

// MarshalJSON leaves the secrets out: this is how a blueprint enters the log.
func (b Blueprint) MarshalJSON() ([]byte, error) {
	type plain Blueprint
	b.JoinToken, b.NetworkAdminToken = "", ""
	if b.AuditExport != nil {
		export := *b.AuditExport
		export.Token = ""
		b.AuditExport = &export
	}
	return json.Marshal(plain(b))
}
