package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
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
	// Signed is the envelope that the request came in, nil when it came in
	// none. The request id is then its nonce, unless the request has its own.
	Signed *Signed
	// Malformed says what is wrong with the envelope; Command is nil then.
	Malformed *Error
}

// ParseRequest decodes the body of a request frame by the protocol's lenient
// rules (core.md 1.3 and 1.7): wrong types become zero values, unknown fields
// are ignored, the last of duplicate keys wins. The error is [ErrMalformed]
// (wrapped) when the connection has to be closed.
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

func parseFields(fields map[string]any) *Request {
	r := &Request{Type: text(fields["type"])}
	r.Signature = Secret(text(fields["signature"]))
	r.AdminToken = Secret(text(fields["admin_token"]))
	r.Options = parseOptions(fields)
	r.Command = ByName(r.Type)
	if r.Command == nil {
		return r
	}
	r.Body = r.Command.New()
	r.Command.plan.decode(reflect.ValueOf(r.Body), fields)
	return r
}

func parseOptions(f map[string]any) Options {
	return Options{
		RequestID:      text(f["request_id"]),
		Consistency:    Level(text(f["consistency"])),
		MaxStalenessMS: uint64(number(f["max_staleness_ms"], 1<<53)),
		MinIndex:       uint64(number(f["min_index"], 1<<53)),
		Limit:          int(number(f["limit"], 1<<20)),
		Cursor:         text(f["cursor"]),
		DryRun:         f["dry_run"] == true,
	}
}

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
	if o.DryRun && !c.Plans {
		return Errorf(CodeInvalid, "invalid dry_run: %s does not support it", c.Name)
	}
	return nil
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// number truncates a JSON number in [0, limit]; everything else is 0.
func number(v any, limit float64) float64 {
	f, ok := v.(float64)
	if !ok || f < 0 || f > limit {
		return 0
	}
	return math.Trunc(f)
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
	decodeField(name string, raw any) bool
}

// fieldEncoder is the same for requests on their way to the wire.
type fieldEncoder interface {
	encodeField(name string) (any, bool)
}

type planField struct {
	name  string
	index int
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
		if f.Anonymous || !f.IsExported() {
			continue
		}
		name, wire := f.Tag.Lookup("wire")
		if !wire {
			name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
		}
		if name == "-" || name == "" {
			continue
		}
		p.byName[name] = len(p.fields)
		p.fields = append(p.fields, planField{name: name, index: i})
	}
	return p
}

func (p *plan) decode(v reflect.Value, fields map[string]any) {
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
		if !ok || own != nil && own.decodeField(pf.name, raw) {
			continue
		}
		setField(v.Field(pf.index), pf.name, raw)
	}
}

func setField(f reflect.Value, name string, raw any) {
	switch f.Kind() {
	case reflect.String:
		f.SetString(text(raw))
	case reflect.Bool:
		f.SetBool(raw == true)
	case reflect.Uint16:
		f.SetUint(uint64(number(raw, math.MaxUint16)))
	case reflect.Uint32:
		f.SetUint(uint64(number(raw, math.MaxUint32)))
	case reflect.Uint64: // as far as JSON numbers are exact
		f.SetUint(uint64(number(raw, 1<<53)))
	case reflect.Pointer: // presence matters
		setPresent(f, raw)
	case reflect.Slice:
		setList(f, raw)
	default:
		panic("protocol: field " + name + " has a type without a decoding rule")
	}
}

// setList sets a list of texts, from which elements of other types are left
// out, or of objects, of which elements of other types become empty ones.
func setList(f reflect.Value, raw any) {
	list, _ := raw.([]any)
	if f.Type().Elem().Kind() == reflect.Struct {
		if len(list) == 0 {
			return
		}
		p := planFor(f.Type().Elem())
		out := reflect.MakeSlice(f.Type(), len(list), len(list))
		for i, e := range list {
			if object, is := e.(map[string]any); is {
				p.decode(out.Index(i).Addr(), object)
			}
		}
		f.Set(out)
		return
	}
	var out []string
	for _, e := range list {
		if s, isText := e.(string); isText {
			out = append(out, s)
		}
	}
	f.Set(reflect.ValueOf(out))
}

// setPresent sets a field whose absence means something. A value of another
// type counts as absent; an element of a list of numbers that is none becomes
// -1, which no list allows. A condition that cannot be read must not count as
// absent: it becomes a number that nothing has.
func setPresent(f reflect.Value, raw any) {
	if f.Type() == reflect.TypeFor[*uint64]() {
		if raw != nil {
			n := uint64(math.MaxUint64)
			if v, isNumber := raw.(float64); isNumber && v >= 0 && v <= 1<<53 {
				n = uint64(v)
			}
			f.Set(reflect.ValueOf(&n))
		}
		return
	}
	switch v := raw.(type) {
	case float64:
		if f.Type() == reflect.TypeFor[*float64]() {
			f.Set(reflect.ValueOf(&v))
		}
	case string:
		if f.Type() == reflect.TypeFor[*string]() {
			f.Set(reflect.ValueOf(&v))
		}
	case []any:
		if f.Type() == reflect.TypeFor[*[]float64]() {
			list := make([]float64, len(v))
			for i := range v {
				n, isNumber := v[i].(float64)
				if !isNumber {
					n = -1
				}
				list[i] = n
			}
			f.Set(reflect.ValueOf(&list))
		}
	}
}

// Challenger is a request with challenge fields that are computed.
type Challenger interface {
	ChallengeField(name string) (value string, ok bool)
}

// field renders a request field as challenges do: decimal numbers, strings verbatim.
func (p *plan) field(b Body, name string) (string, bool) {
	i, ok := p.byName[name]
	if !ok {
		return "", false
	}
	f := reflect.ValueOf(b).Elem().Field(p.fields[i].index)
	switch f.Kind() {
	case reflect.Uint16, reflect.Uint32:
		return strconv.FormatUint(f.Uint(), 10), true
	case reflect.String:
		return f.String(), true
	}
	return "", false
}

// ChallengeText is the text that the signer of this request signs, or "" when
// it is not signed.
func ChallengeText(c *Command, b Body) string { return fillChallenge(c, c.Challenge, b) }

// NewerChallengeText is what newer clients sign, or "" when that is the same.
func NewerChallengeText(c *Command, b Body) string { return fillChallenge(c, c.NewerChallenge, b) }

func fillChallenge(c *Command, challenge string, b Body) string {
	if !c.Signs(b) {
		return ""
	}
	var out strings.Builder
	rest := challenge
	for {
		before, after, ok := strings.Cut(rest, "{")
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		name, tail, _ := strings.Cut(after, "}")
		value, ok := c.plan.field(b, name)
		if computed, is := b.(Challenger); is && !ok {
			value, _ = computed.ChallengeField(name)
		}
		out.WriteString(value)
		rest = tail
	}
}

// SignerID is the node that signs this request, 0 when no field names one.
func SignerID(c *Command, b Body) uint32 {
	s, _ := c.plan.field(b, c.Signer)
	n, _ := strconv.ParseUint(s, 10, 32)
	return uint32(n)
}

// NetworkID is the network this request is about, 0 when no field names one.
func NetworkID(c *Command, b Body) uint16 {
	s, _ := c.plan.field(b, "network_id")
	n, _ := strconv.ParseUint(s, 10, 16)
	return uint16(n)
}

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
			case f.IsZero():
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
// listen is empty or cannot be split (core.md 5.1).
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
