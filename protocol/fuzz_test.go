// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// FuzzFrameReader: any bytes are a frame within the limit or an error, and
// what was read encodes to the bytes it was read from.
func FuzzFrameReader(f *testing.F) {
	for _, seed := range []string{
		"", "\x00", "\x00\x00\x00\x00", "\x00\x00\x00\x01", "\x00\x00\x00\x02{}", "\x00\x00\x00\x02{}\x00\x00\x00\x01x", "\x00\x01\x00\x00", "\x00\x01\x00\x01",
		"\xff\xff\xff\xff", "PILT\x01", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00\x05hello",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		const limit = 1 << 10
		r := bytes.NewReader(input)
		var back []byte
		for {
			body, err := protocol.ReadFrame(r, limit, nil)
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) &&
					!errors.Is(err, protocol.ErrFrameEmpty) && !errors.Is(err, protocol.ErrFrameTooLarge) {
					t.Fatal(err)
				}
				break
			}
			if len(body) == 0 || len(body) > limit {
				t.Fatalf("a frame of %d bytes", len(body))
			}
			back = protocol.AppendFrame(back, body)
		}
		if !bytes.HasPrefix(input, back) {
			t.Fatalf("%q was read as %q", input, back)
		}
	})
}

// FuzzParseRequest: parsing never panics; a request that validates still
// validates, unchanged, the second time; and it survives being sent again.
func FuzzParseRequest(f *testing.F) {
	serial := 0
	for i := range protocol.Commands {
		c := &protocol.Commands[i]
		body := c.New()
		f.Add([]byte(`{"type":"` + c.Name + `"}`))
		fill(body, &serial)
		encoded, err := protocol.EncodeRequest(c, body, protocol.Credentials{Signature: "c2ln"}, protocol.Options{RequestID: "r", Limit: 3})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	for _, seed := range []string{
		"null", "{}", "[]", "{", `{"type":"set_tags","tags":["#a","a","##b",5]}`, `{"type":"lookup","node_id":1e308}`, `{"type":"lookup","node_id":1e400}`,
		`{"type":"register","public_key":"MAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","lan_addrs":["","a:1"]}`,
		`{"type":"directory_sync","network_id":1,"entries":[5,{"external_id":"a","disabled":1},null],"if_revision":"x","confirm_removals":2.5,"part":1}`,
		`{"type":"provision_network","blueprint":{"NAME":"a","policy":{"max_members":"x"}}}`, `{"type":"provision_network","blueprint":[],"if_revision":-1}`,
		`{"type":"provision_network","blueprint":{"name":"a","join_token":"t","audit_export":{"token":"u"},"webhooks":{"audit_url":"ftp://x"}}}`,
		`{"type":"provision_network","blueprint":{"join_token":"t","roles":[],"policy":{"Allowed_ports":[]}},"part":10,"parts":10,"upload_id":"0"}`,
		`{"type":"set_key_expiry","expires_at":"2030-01-01T00:00:00.999+01:00"}`, `{"type":"create_network","name":"a","join_rule":""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		req, err := protocol.ParseRequest(input)
		if err != nil {
			if !errors.Is(err, protocol.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if req.Command == nil || req.Unread != nil {
			return
		}
		protocol.ChallengeText(req.Command, req.Body)
		protocol.SignerID(req.Command, req.Body)
		req.Options.Validate(req.Command)
		if req.Body.Validate() != nil {
			return
		}
		resend, err := protocol.EncodeRequest(req.Command, req.Body, req.Credentials, req.Options)
		if err != nil {
			t.Fatal(err)
		}
		again, err := protocol.ParseRequest(resend)
		if err != nil {
			t.Fatal(err)
		}
		if e := again.Body.Validate(); e != nil {
			t.Fatalf("%s: validated once but not twice: %v", resend, e)
		}
		if e := req.Body.Validate(); e != nil || !equalBodies(req.Body, again.Body) {
			t.Fatalf("%s: Validate is not idempotent: %v\n%+v\n%+v", input, e, req.Body, again.Body)
		}
	})
}

// equalBodies compares requests; an empty list is as good as none.
func equalBodies(a, b protocol.Body) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, y := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for i := range x.NumField() {
		if !x.Type().Field(i).IsExported() {
			continue // what is wrong with what was sent is not sent on
		}
		if x.Field(i).Kind() == reflect.Slice && x.Field(i).Len() == 0 && y.Field(i).Len() == 0 {
			continue
		}
		if !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			return false
		}
	}
	return true
}
