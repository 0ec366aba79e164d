// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"reflect"
	"strings"
	"testing"
)

// fillAny sets v, and everything in it, to something.
func fillAny(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(7)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillAny(v.Index(0))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillAny(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Field(i).CanSet() {
				fillAny(v.Field(i))
			}
		}
	}
}

// fillFacts sets what no client can set, at any depth.
func fillFacts(v reflect.Value) {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			fillFacts(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			switch {
			case !f.IsExported():
			case f.Anonymous:
				fillAny(v.Field(i))
			default:
				fillFacts(v.Field(i))
			}
		}
	}
}

// forgetMACs clears what stands for secrets.
func forgetMACs(facts reflect.Value) {
	for i := range facts.NumField() {
		if facts.Field(i).Type() == reflect.TypeFor[MAC]() {
			facts.Field(i).SetZero()
		}
	}
}

// Facts stand beside the fields that clients send, as embedded values: a fact
// among those fields could be set by a client and would be part of the hash.
func TestFactsStandBesideTheFieldsOfClients(t *testing.T) {
	var look func(where string, of reflect.Type)
	look = func(where string, of reflect.Type) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct {
			return
		}
		for i := range of.NumField() {
			f := of.Field(i)
			name := f.Type.Name()
			switch {
			case !f.IsExported():
			case f.Anonymous && !strings.HasSuffix(name, "Facts") && name != "DoorProblem":
				t.Errorf("%s embeds %s, which does not say that it holds facts", where, name)
			case f.Anonymous:
			case wireName(f) == "":
				t.Errorf("%s.%s is not a field of the wire: it belongs into an embedded type for facts", where, f.Name)
			case f.Type == reflect.TypeFor[MAC]() || f.Type == reflect.TypeFor[Sealed]():
				t.Errorf("%s.%s stands for a secret among the fields of clients", where, f.Name)
			default:
				look(where+"."+f.Name, f.Type)
			}
		}
	}
	eachBody(t, func(_ *testing.T, row *Command, fresh func() *Request) { look(row.Name, reflect.TypeOf(fresh().Body)) })
}

func eachBody(t *testing.T, visit func(t *testing.T, row *Command, fresh func() *Request)) {
	for i := range Commands {
		row := &Commands[i]
		t.Run(row.Name, func(t *testing.T) {
			visit(t, row, func() *Request { return &Request{Type: row.Name, Command: row, Body: row.New()} })
		})
	}
}

// Whoever sends a request again gets its first answer, whatever a member has
// found out about it meanwhile.
func TestARequestSentAgainIsKnownWhateverAMemberAddsToIt(t *testing.T) {
	eachBody(t, func(t *testing.T, row *Command, fresh func() *Request) {
		r := fresh()
		if len(row.plan.fields) == 0 {
			return
		}
		v := reflect.ValueOf(r.Body).Elem()
		for _, f := range row.plan.fields {
			fillAny(v.Field(f.index))
		}
		before := r.Hash()
		fillFacts(v)
		b, has := r.Body.(MACBody)
		if has && r.Hash() == before {
			t.Error("another secret is the same request")
		}
		if has {
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.Anonymous {
					forgetMACs(v.Field(i))
				}
			}
			for _, m := range b.SecretMACs() {
				if !m.IsZero() {
					t.Fatal("SecretMACs is not of this request")
				}
			}
		}
		if r.Hash() != before {
			t.Error("a fact is part of the hash")
		}
	})
}

// An id that was used for one request does not answer another.
func TestEveryFieldTellsRequestsApart(t *testing.T) {
	eachBody(t, func(t *testing.T, row *Command, fresh func() *Request) {
		seen := map[[32]byte]string{fresh().Hash(): "no field"}
		signed := fresh()
		signed.Signature = "s"
		seen[signed.Hash()] = "the signature"
		for _, f := range row.plan.fields {
			r := fresh()
			fillAny(reflect.ValueOf(r.Body).Elem().Field(f.index))
			other, known := seen[r.Hash()]
			if known != f.secret {
				t.Errorf("%s: secret %v, and the same as with %q: %v", f.name, f.secret, other, known)
			}
			seen[r.Hash()] = f.name
		}
	})
}
