// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

func header(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// padded is a lookup whose body has exactly n bytes.
func padded(n int) string {
	const head, tail = `{"type":"lookup","node_id":7,"pad":"`, `"}`
	return head + strings.Repeat("x", n-len(head)-len(tail)) + tail
}

// TestMalformed goes through docs/protocol/README.md#frames row by row.
func TestMalformed(t *testing.T) {
	t.Parallel()
	_, addr := start(t, server.Config{})
	closes := map[string][]byte{
		"length 65537, body not sent": header(65537),
		"length 2^32-1":               header(1<<32 - 1),
		"length 0":                    header(0),
		"not JSON":                    frame(`{`),
		"text that is not JSON":       frame(`hello`),
		"trailing bytes":              frame(`{"type":"lookup"} x`),
		"two values":                  frame(`{"type":"lookup"}{}`),
		"array":                       frame(`["lookup"]`),
		"string":                      frame(`"lookup"`),
		"number":                      frame(`7`),
		"boolean":                     frame(`true`),
		"number beyond float64":       frame(`{"type":"lookup","node_id":1,"other":1e400}`),
		"nested number beyond":        frame(`{"type":"lookup","a":[{"b":-1e400}]}`),
		"http":                        []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
	}
	for name, input := range closes {
		t.Run("closed/"+name, func(t *testing.T) {
			t.Parallel()
			p := dial(t, addr)
			p.write(input)
			p.wantClosed()
		})
	}
	unknown := func(typ string) reply {
		return reply{Type: "error", Code: protocol.CodeUnknownCommand, Error: fmt.Sprintf("unknown message type: %q", typ)}
	}
	ok := func(id uint32) reply { return reply{Type: "lookup_ok", NodeID: id} }
	answers := map[string]struct {
		body string
		want reply
	}{
		"null":                  {`null`, unknown("")},
		"empty object":          {`{}`, unknown("")},
		"type missing":          {`{"node_id":1}`, unknown("")},
		"type not a string":     {`{"type":5}`, unknown("")},
		"unknown type":          {`{"type":"fly"}`, unknown("fly")},
		"unknown type, quoted":  {`{"type":"a\"b\n"}`, unknown("a\"b\n")},
		"type is case sensible": {`{"type":"Lookup"}`, unknown("Lookup")},
		"invalid UTF-8":         {"{\"type\":\"lookup\",\"node_id\":4,\"hostname\":\"\xff\xfe\"}", ok(4)},
		"invalid UTF-8 in type": {"{\"type\":\"\xff\"}", unknown("\uFFFD")},
		"duplicate keys":        {`{"type":"fly","node_id":1,"type":"lookup","node_id":9}`, ok(9)},
		"unknown fields":        {`{"type":"lookup","node_id":3,"colour":{"a":[1,null]}}`, ok(3)},
		"whitespace around":     {" \n{\"type\":\"lookup\",\"node_id\":3}\t", ok(3)},
		"length 65536":          {padded(65536), ok(7)},
		"id as text":            {`{"type":"lookup","node_id":"1"}`, ok(0)},
		"negative id":           {`{"type":"lookup","node_id":-1}`, ok(0)},
		"id too large":          {`{"type":"lookup","node_id":4294967296}`, ok(0)},
		"fraction":              {`{"type":"lookup","node_id":1.9}`, ok(0)},
		"fields case sensitive": {`{"type":"lookup","Node_ID":1}`, ok(0)},
	}
	for name, test := range answers {
		t.Run("answered/"+name, func(t *testing.T) {
			t.Parallel()
			p := dial(t, addr)
			if got := p.ask(test.body); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if got := p.ask(`{"type":"lookup","node_id":12}`); got != ok(12) {
				t.Errorf("the connection did not stay usable: %+v", got)
			}
		})
	}
}

// A reply that was earned before a bad frame must arrive although the
// connection is closed with unread input.
func TestReplyBeforeMalformedFrameArrives(t *testing.T) {
	t.Parallel()
	_, addr := start(t, server.Config{})
	for range 20 {
		p := dial(t, addr)
		input := append(frame(`{"type":"lookup","node_id":1}`), header(1<<30)...)
		p.write(append(input, bytes.Repeat([]byte("x"), 100_000)...))
		if got := p.recv(); got.NodeID != 1 {
			t.Fatalf("got %+v", got)
		}
		p.nc.(interface{ CloseWrite() error }).CloseWrite()
		p.wantClosed()
	}
}

func TestValidationBeforeBackend(t *testing.T) {
	t.Parallel()
	_, addr := start(t, server.Config{})
	p := dial(t, addr)
	for body, want := range map[string]reply{
		`{"type":"resolve_hostname"}`:                                      {Type: "error", Code: protocol.CodeInvalid, Error: "hostname required"},
		`{"type":"lookup","consistency":"eventual"}`:                       {Type: "error", Code: protocol.CodeInvalid, Error: "invalid consistency: want linearizable, bounded or stale"},
		`{"type":"register"}`:                                              {Type: "error", Code: protocol.CodeInvalid, Error: "registration requires public_key"},
		`{"type":"lookup","request_id":"` + strings.Repeat("r", 65) + `"}`: {Type: "error", Code: protocol.CodeInvalid, Error: "invalid request_id: too long (max 64 bytes)"},
	} {
		if got := p.ask(body); got != want {
			t.Errorf("%s: got %+v, want %+v", body, got, want)
		}
	}
}
