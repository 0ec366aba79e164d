// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// fill makes a value with one of everything and calls visit for each text.
func fill(t *testing.T, v reflect.Value, tag string, visit func(v reflect.Value, tag string)) {
	switch v.Kind() {
	case reflect.String:
		visit(v, tag)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), tag, visit)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0), tag, visit)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				fill(t, v.Field(i), f.Tag.Get("text"), visit)
			}
		}
	case reflect.Map, reflect.Interface:
		t.Errorf("%s: texts in it are not looked at", v.Type())
	}
}

// Whatever text of a client reaches the state, a terminal that shows it obeys
// none of it. Every text of every command that writes is tried.
func TestNoStoredTextHoldsAControlCharacter(t *testing.T) {
	tried := 0
	for i := range Commands {
		row := &Commands[i]
		if !row.Writes() {
			continue
		}
		count := 0
		fill(t, reflect.ValueOf(row.New()).Elem(), "", func(reflect.Value, string) { count++ })
		for n := range count {
			for _, bad := range []string{"\x00", "\n", "\x1b[2J", "\x7f", "\u0085", "\u009b"} {
				body, at, tag, secret := row.New(), 0, "", false
				fill(t, reflect.ValueOf(body).Elem(), "", func(v reflect.Value, rule string) {
					if at == n {
						v.SetString("a" + bad + "z")
						tag, secret = rule, v.Type() == reflect.TypeFor[Secret]()
					}
					at++
				})
				if secret || tag == "-" || tag == "lines" && bad == "\n" {
					continue
				}
				tried++
				if e := Check(row, body); e == nil || e.Code != CodeInvalid {
					shown, _ := json.Marshal(body)
					t.Errorf("%s: %s with %q: %v", row.Name, shown, bad, e)
				}
			}
		}
	}
	if tried < 100 {
		t.Errorf("only %d texts were tried", tried)
	}
}

func TestOrdinaryTextsArePassed(t *testing.T) {
	key := "M" + strings.Repeat("A", 42) + "="
	for _, x := range []struct {
		name string
		body Body
	}{
		{"register", &Register{PublicKey: key[:20] + "\r\n" + key[20:], ListenAddr: "10.0.0.1:4000", Owner: "Zoë Ünal <zoe@example.org>", Hostname: "not\nstored", LANAddrs: []string{"10.0.0.1:1"}}},
		{"request_handshake", &RequestHandshake{Justification: "two\nlines,\ta tab and ümläute \u00a0 日本語"}},
	} {
		if e := Check(Must(x.name), x.body); e != nil {
			t.Errorf("%s: %v", x.name, e)
		}
	}
	e := Check(Must("register"), &Register{PublicKey: (PublicKey{9, 9}).String(), LANAddrs: []string{"ok", "a\x00b"}})
	if e == nil || e.Text != "invalid lan_addrs: it holds a control character; send it without" {
		t.Error(e)
	}
}

// Two ids that look alike in a warning can be told apart.
func TestQuoteShowsWhatNobodySees(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"bob\u200b@x":      `"bob\u200b@x"`,
		"\ufeffbob\u00a0":  `"\ufeffbob\u00a0"`,
		"a\u202eb\u00ad":   `"a\u202eb\u00ad"`,
		"j\u00f6rg \u20ac": "\"j\u00f6rg \u20ac\"",
		"\xe2\x80":         "\"\xe2\x80\"",
	} {
		if got := Quote(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// A blank external id would count as one where the network asks for one.
func TestBlankExternalIDBindsNobody(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{"": true, " \t": false, "a": true} {
		if e := (&SetExternalID{NodeID: 1, ExternalID: id}).Validate(); (e == nil) != want {
			t.Errorf("%q: %v", id, e)
		}
	}
}
