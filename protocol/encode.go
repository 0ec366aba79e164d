// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"encoding/json"
	"fmt"
	"net"
	"reflect"
	"strings"
)

// EncodeRequest renders a request for the wire, secrets included: for clients only.
func EncodeRequest(c *Command, b Body, cred Credentials, o Options) ([]byte, error) {
	m := map[string]any{"type": c.Name}
	if len(c.plan.fields) > 0 {
		own, _ := b.(fieldEncoder)
		v := reflect.ValueOf(b).Elem()
		for _, pf := range c.plan.fields {
			f := v.Field(pf.index)
			if own != nil {
				if value, is := own.encodeField(pf.name); is {
					m[pf.name] = value
					continue
				}
			}
			switch {
			case f.IsZero() && (pf.rule != "main" || f.Kind() == reflect.Pointer):
			case f.Type() == reflect.TypeFor[Secret]():
				m[pf.name] = f.String()
			default:
				m[pf.name] = f.Interface()
			}
		}
	}
	put := func(name string, v any, set bool) {
		if set {
			m[name] = v
		}
	}
	put("signature", string(cred.Signature), cred.Signature != "")
	put("admin_token", string(cred.AdminToken), cred.AdminToken != "")
	put("request_id", o.RequestID, o.RequestID != "")
	put("consistency", o.Consistency, o.Consistency != "")
	put("max_staleness_ms", o.MaxStalenessMS, o.MaxStalenessMS != 0)
	put("min_index", o.MinIndex, o.MinIndex != 0)
	put("limit", o.Limit, o.Limit != 0)
	put("cursor", o.Cursor, o.Cursor != "")
	put("dry_run", o.DryRun, o.DryRun)
	return json.Marshal(m)
}

// Rendered is a reply that is JSON already: it was remembered, is shared by all
// who ask, or was made by another member. It is an object with at least one
// member, and is never changed.
type Rendered []byte

// MarshalJSON returns the reply as it is.
func (r Rendered) MarshalJSON() ([]byte, error) { return r, nil }

// ReplyAs gives a reply as its type T. Only a [Rendered] one is decoded: it comes
// from the store or from another member, and has no typed form here.
func ReplyAs[T any](reply any) (*T, error) {
	switch r := reply.(type) {
	case *T:
		return r, nil
	case T:
		return &r, nil
	case Rendered:
		typed := new(T)
		return typed, json.Unmarshal(r, typed)
	}
	return nil, fmt.Errorf("%T is not a %T", reply, *new(T))
}

// EncodeError renders an error reply.
func EncodeError(e *Error) []byte {
	b, err := json.Marshal(struct {
		Code    string  `json:"code"`
		Error   string  `json:"error"`
		Outcome Outcome `json:"outcome,omitempty"`
		Retry   int64   `json:"retry_after_ms,omitempty"`
		Type    string  `json:"type"`
	}{e.Code, e.Text, e.Outcome, e.RetryAfterMS, "error"})
	if err != nil { // strings always encode
		panic(err)
	}
	return b
}

// SanitizeEndpoint is the endpoint the registry records for a node: the IP of
// the TCP source with the port text of listen; the source unchanged when
// listen is empty or cannot be split (docs/protocol/nodes.md#register).
func SanitizeEndpoint(source, listen string) string {
	host, _, ok := splitHostPort(source)
	if !ok {
		return source
	}
	_, port, ok := splitHostPort(listen)
	if !ok {
		return source
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

func splitHostPort(s string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(s)
	return host, port, err == nil
}
