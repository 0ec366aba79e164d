// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// exprPolicyCommands are the rows of commands.go about this subject.
var exprPolicyCommands = []Command{
	{Code: 132, Name: "set_expr_policy", Group: GroupPolicy, Auth: AuthRole, Roles: rolesAdmin, Mode: ModeWrite,
		Challenge: "set_expr_policy:{node_id}:{network_id}:{policy_sha256}", Signer: "node_id", Events: []string{EventExprPolicySet, EventExprPolicyCleared},
		newBody: body[SetExprPolicy](), newReply: reply[SetExprPolicyReply](), Doc: "set or clear a network's expression policy"},
	{Code: 133, Name: "get_expr_policy", Group: GroupPolicy, Auth: AuthOpen, Mode: ModeRead,
		newBody: body[NetworkRequest](), newReply: reply[GetExprPolicyReply](), Doc: "show a network's expression policy"},
}

// MaxExprPolicyBytes bounds an expression policy, so that a reply with it fits
// a frame of any client.
const MaxExprPolicyBytes = 60 << 10

// exprPolicyVersion is the version of the documents that daemons evaluate.
const exprPolicyVersion = 1

// ExprPolicy is an expression policy as far as the registry looks into it. It
// is daemons that evaluate it; keys that are not here are theirs.
type ExprPolicy struct {
	Version        int64      `json:"version"`
	DefaultVerdict string     `json:"default_verdict"`
	Rules          []ExprRule `json:"rules"`
}

// ExprRule is a rule of an expression policy.
type ExprRule struct {
	Name    string            `json:"name"`
	On      string            `json:"on"`
	Match   string            `json:"match"`
	Actions []json.RawMessage `json:"actions"`
}

// exprEvents are what a rule can be about.
var exprEvents = []string{"connect", "dial", "datagram", "cycle", "join", "leave"}

// ParseExprPolicy reads an expression policy and refuses what daemons would
// not load, but for its expressions, which it leaves to the caller.
func ParseExprPolicy(text string) (*ExprPolicy, *Error) {
	bad := func(format string, args ...any) (*ExprPolicy, *Error) {
		return nil, Errorf(CodeInvalid, "expr_policy: "+format, args...)
	}
	if rendered := ExprPolicyJSON(text); max(len(text), len(rendered)) > MaxExprPolicyBytes {
		return nil, Errorf(CodeTooLarge, "expr_policy: too long: %d bytes as replies write it (max %d)", max(len(text), len(rendered)), MaxExprPolicyBytes)
	}
	p := &ExprPolicy{}
	if err := json.Unmarshal([]byte(text), p); err != nil {
		return bad("invalid JSON: %s", JSONProblem(err, []byte(text)))
	}
	switch {
	case p.Version != exprPolicyVersion:
		return bad("unsupported version %d (want %d)", p.Version, exprPolicyVersion)
	case len(p.Rules) == 0:
		return bad("at least one rule is required")
	case !slices.Contains([]string{"", "allow", "deny"}, p.DefaultVerdict):
		return bad("invalid default_verdict %s: want allow or deny", Quote(p.DefaultVerdict))
	}
	names := map[string]bool{}
	for i, r := range p.Rules {
		switch {
		case r.Name == "":
			return bad("rule %d has no name", i+1)
		case names[r.Name]:
			return bad("two rules have the name %s", Quote(r.Name))
		case !slices.Contains(exprEvents, r.On):
			return bad("rule %s: invalid on %s: want one of %s", Quote(r.Name), Quote(r.On), strings.Join(exprEvents, ", "))
		case r.Match == "":
			return bad("rule %s has no match", Quote(r.Name))
		case len(r.Actions) == 0:
			return bad("rule %s has no actions", Quote(r.Name))
		}
		names[r.Name] = true
	}
	return p, nil
}

// ExprPolicyJSON is a document as replies carry it, nil for none.
func ExprPolicyJSON(text string) json.RawMessage {
	if text == "" || !json.Valid([]byte(text)) {
		return nil
	}
	var compact, out bytes.Buffer
	_ = json.Compact(&compact, []byte(text)) // it is valid
	json.HTMLEscape(&out, compact.Bytes())
	return out.Bytes()
}

// documentText is a document as clients send it, as text or as an object. It
// is nil for anything else, and empty when the text says that there is none.
func documentText(raw any) *string {
	var text string
	switch v := raw.(type) {
	case string:
		if v != "null" {
			text = v
		}
	case map[string]any:
		encoded, err := json.Marshal(v)
		if err != nil { // what came from JSON goes back to it
			return nil
		}
		text = string(encoded)
	default:
		return nil
	}
	return &text
}

// PolicyDocument is an expression policy in a blueprint: an object, or its text.
type PolicyDocument string

// UnmarshalJSON reads both forms.
func (d *PolicyDocument) UnmarshalJSON(b []byte) error {
	var raw any
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	text := documentText(raw)
	if text == nil && raw != nil {
		return &json.UnmarshalTypeError{Value: "document", Field: "expr_policy"}
	}
	*d = ""
	if text != nil {
		*d = PolicyDocument(*text)
	}
	return nil
}

// MarshalJSON writes an object, or the text when it is none.
func (d PolicyDocument) MarshalJSON() ([]byte, error) {
	if object := ExprPolicyJSON(string(d)); len(object) > 0 && object[0] == '{' {
		return object, nil
	}
	return json.Marshal(string(d))
}

// DoorProblem is part of requests that only the front door can look into: what
// is wrong with an expression policy, or with what a verifier has signed. It is
// not in the log.
type DoorProblem struct{ problem *Error }

// SetProblem notes what is wrong, nil for nothing.
func (p *DoorProblem) SetProblem(e *Error) { p.problem = e }

// Problem is what is wrong, nil for nothing.
func (p *DoorProblem) Problem() *Error { return p.problem }

// SetExprPolicy gives a network an expression policy, or takes it away.
type SetExprPolicy struct {
	RoleFacts
	DoorProblem
	NodeID    uint32 `json:"node_id,omitempty"`
	NetworkID uint16 `json:"network_id"`
	// ExprPolicy is the document as text, empty to have none; nil is not allowed.
	ExprPolicy *string `json:"expr_policy,omitempty" text:"-"`
}

func (r *SetExprPolicy) decodeField(_ *reader, name string, raw any) bool {
	if name == "expr_policy" {
		r.ExprPolicy = documentText(raw)
	}
	return name == "expr_policy"
}

// ChallengeField computes policy_sha256, what the signature covers of the
// document: the hexadecimal SHA-256 of its text.
func (r *SetExprPolicy) ChallengeField(name string) (string, bool) {
	if name != "policy_sha256" {
		return "", false
	}
	text := ""
	if r.ExprPolicy != nil {
		text = *r.ExprPolicy
	}
	return hexSHA256([]byte(text)), true
}

// Validate accepts everything: the document is looked at after the caller's
// role, see Check.
func (*SetExprPolicy) Validate() *Error { return nil }

// Check says what is wrong with the document.
func (r *SetExprPolicy) Check() *Error {
	switch {
	case r.ExprPolicy == nil:
		return Errorf(CodeInvalid, "expr_policy field is required: a document as text or object, or \"\" to have none")
	case r.problem != nil:
		return r.problem
	case len(*r.ExprPolicy) > MaxExprPolicyBytes:
		return Errorf(CodeTooLarge, "expr_policy: too long: %d bytes (max %d)", len(*r.ExprPolicy), MaxExprPolicyBytes)
	}
	return nil
}

// SetExprPolicyReply answers set_expr_policy.
type SetExprPolicyReply struct {
	Cleared   bool   `json:"cleared,omitempty"`
	NetworkID uint16 `json:"network_id"`
	Type      string `json:"type"`
}

// GetExprPolicyReply answers get_expr_policy; ExprPolicy is absent when the
// network has none.
type GetExprPolicyReply struct {
	ExprPolicy json.RawMessage `json:"expr_policy,omitempty"`
	NetworkID  uint16          `json:"network_id"`
	Type       string          `json:"type"`
}
