// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// ErrMalformed says that a body is not one JSON object. The connection ends.
var ErrMalformed = errors.New("malformed request: not a JSON object")

// Credentials are the parts of a request that prove who sends it. They are
// used once, at the front door, and never enter the replicated log.
type Credentials struct {
	Signature  Secret
	AdminToken Secret
}

// Options are the fields that any request may carry besides its own.
type Options struct {
	RequestID      string
	Consistency    Level
	MaxStalenessMS uint64
	MinIndex       uint64
	Limit          int
	Cursor         string
	DryRun         bool
}

// Request is a decoded request. Command is nil when the type is unknown.
type Request struct {
	Type    string
	Command *Command
	Body    Body
	Credentials
	Options
	// Signed is the signed request that this one came in, nil when it came as it
	// is. The request id is then the nonce, unless the request has its own.
	Signed *Signed
	// Malformed says what is wrong with the signed request; Command is nil then.
	Malformed *Error
	// Unread is a value in the request that cannot be read, nil when all can.
	Unread *Unread
}

// ParseRequest decodes the body of a request frame. Values of a wrong type
// are in the request's Unread, unknown fields too where the command refuses
// them; of duplicate keys the last wins. The error is [ErrMalformed] (wrapped)
// when the connection has to be closed.
func ParseRequest(body []byte) (*Request, error) {
	var fields map[string]any
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if text(fields["type"]) == TypeSigned {
		return parseSigned(fields), nil
	}
	return parseFields(fields), nil
}

// text is v when it is a text, else "".
func text(v any) string {
	s, _ := v.(string)
	return s
}

func parseFields(fields map[string]any) *Request {
	r := &Request{Type: text(fields["type"])}
	in := &reader{}
	r.Signature = in.credential("signature", fields["signature"])
	r.AdminToken = in.credential("admin_token", fields["admin_token"])
	r.Options = in.options(fields)
	if r.Command = ByName(r.Type); r.Command == nil {
		return r
	}
	if r.Command.RefusesUnknown {
		in.unknownFields(r.Command, fields)
	}
	r.Body = r.Command.New()
	r.Command.plan.decode(in, reflect.ValueOf(r.Body), fields)
	r.Unread = in.unread
	return r
}

func (r *reader) options(f map[string]any) Options {
	o := Options{
		RequestID:      r.text("request_id", f["request_id"]),
		Consistency:    Level(r.text("consistency", f["consistency"])),
		MaxStalenessMS: r.whole("max_staleness_ms", f["max_staleness_ms"], maxExact),
		MinIndex:       r.whole("min_index", f["min_index"], maxExact),
		Limit:          int(r.whole("limit", f["limit"], maxLimit)),
		Cursor:         r.text("cursor", f["cursor"]),
	}
	if raw, given := f["dry_run"]; given {
		o.DryRun = r.flag("dry_run", raw)
	}
	return o
}

// maxLimit is more than any list has.
const maxLimit = 1 << 20

// Validate checks the options against the row.
func (o *Options) Validate(c *Command) *Error {
	switch o.Consistency {
	case "", Linearizable, Bounded, Stale:
	default:
		return Errorf(CodeInvalid, "invalid consistency: want linearizable, bounded or stale")
	}
	if len(o.RequestID) > MaxRequestIDBytes {
		return Errorf(CodeInvalid, "invalid request_id: too long (max %d bytes)", MaxRequestIDBytes)
	}
	if strings.HasPrefix(o.RequestID, SignedIDPrefix) {
		return Errorf(CodeInvalid, "invalid request_id: ids that begin with %q are reserved", SignedIDPrefix)
	}
	if o.Consistency == Bounded && o.MaxStalenessMS == 0 {
		return Errorf(CodeInvalid, "max_staleness_ms required with consistency bounded")
	}
	if o.Consistency != Bounded && o.MaxStalenessMS != 0 {
		return Errorf(CodeInvalid, "invalid max_staleness_ms: it goes with consistency bounded alone; other reads are not held to it")
	}
	if o.DryRun && !c.Plans {
		return Errorf(CodeInvalid, "invalid dry_run: %s does not support it", c.Name)
	}
	return nil
}

// plan is the decoding plan of a request type: which wire field goes where.
type plan struct {
	fields []planField
	byName map[string]int
	// custom is true when the type decodes some of its fields itself.
	custom bool
	// texts is true when the type can hold texts, see [Check].
	texts bool
}

// fieldDecoder is a request that decodes some of its fields by a rule of its
// own. It reports false for the others.
type fieldDecoder interface {
	decodeField(r *reader, name string, raw any) bool
}

// fieldEncoder is the same for requests on their way to the wire.
type fieldEncoder interface {
	encodeField(name string) (any, bool)
}

type planField struct {
	name  string
	index int
	// rule is the tag read, secret marks credentials.
	rule   string
	secret bool
}

func planFor(t reflect.Type) *plan {
	p := &plan{byName: map[string]int{}, custom: t.Implements(reflect.TypeFor[fieldDecoder]())}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	p.texts = hasTexts(t)
	if t.Kind() != reflect.Struct {
		return p
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name := wireName(f)
		if name == "" {
			continue
		}
		p.byName[name] = len(p.fields)
		p.fields = append(p.fields, planField{name: name, index: i, rule: f.Tag.Get("read"), secret: f.Type == secretType})
	}
	return p
}

// wireName is the name of a field that clients send, "" for every other field.
func wireName(f reflect.StructField) string {
	if f.Anonymous || !f.IsExported() {
		return ""
	}
	name, wire := f.Tag.Lookup("wire")
	if !wire {
		name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	}
	if name == "-" {
		return ""
	}
	return name
}

func (p *plan) decode(r *reader, v reflect.Value, fields map[string]any) {
	if len(p.fields) == 0 {
		return
	}
	var own fieldDecoder
	if p.custom {
		own = v.Interface().(fieldDecoder)
	}
	v = v.Elem()
	for _, pf := range p.fields {
		raw, ok := fields[pf.name]
		if !ok {
			continue
		}
		r.rule, r.secret = pf.rule, pf.secret
		if own == nil || !own.decodeField(r, pf.name, raw) {
			r.set(v.Field(pf.index), pf.name, raw)
		}
	}
	r.rule, r.secret = "", false
	p.wantMain(r, fields)
}

// wantMain refuses a request that has none of the fields it is about.
func (p *plan) wantMain(r *reader, fields map[string]any) {
	var names []string
	for _, pf := range p.fields {
		if pf.rule != "main" && pf.rule != "alias" {
			continue
		}
		if fields[pf.name] != nil {
			return
		}
		if pf.rule == "main" {
			names = append(names, pf.name)
		}
	}
	if len(names) > 0 {
		r.refuse(Errorf(CodeInvalid, "%s is required: what is to change has to be said; without it nothing changes", either(names)))
	}
}

// either joins names with commas and or.
func either(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// Body is a typed request: the fields of one command without those that any request may have.
//
// Field tags: `json` names the field in the replicated log and, unless a
// `wire` tag says otherwise, on the wire. Credentials carry `json:"-"`, so they
// cannot enter the log.
//
// What a member finds out before it proposes is in an embedded type whose name
// ends in Facts: no client can set it, and it is not part of the request's hash.
// It is embedded, not named, because the log has facts among the fields.
type Body interface {
	// Validate checks what can be checked without state, in the protocol's
	// order, and normalises the fields in place. It must be idempotent: it
	// runs at the front door and again in Apply.
	Validate() *Error
}

type noFields struct{}

func (noFields) Validate() *Error { return nil }
