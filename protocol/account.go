// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"strconv"
	"strings"
)

// accountCommands are the rows of commands.go about this subject.
var accountCommands = []Command{
	{Code: 134, Name: "submit_badge", Group: GroupIdentity, Auth: AuthSignature, Mode: ModeWrite,
		Challenge: "submit_badge:{node_id}:{badge}", Signer: "node_id", Events: []string{EventBadgeSubmitted},
		newBody: body[SubmitBadge](), newReply: reply[SubmitBadgeReply](), Doc: "attach the badge of a verified account to a node"},
	{Code: 135, Name: "enroll_recovery", Group: GroupIdentity, Auth: AuthSignature, Mode: ModeWrite,
		Challenge: "enroll_recovery:{node_id}:{commitment}", Signer: "node_id", Events: []string{EventRecoveryEnrolled},
		newBody: body[EnrollRecovery](), newReply: reply[EnrollRecoveryReply](), Doc: "say whose account may give a node another key"},
	{Code: 136, Name: "recover_identity", Group: GroupIdentity, Auth: AuthOpen, Mode: ModeWrite,
		Events: []string{EventNodeRecovered}, newBody: body[RecoverIdentity](), newReply: reply[RotateKeyReply](),
		Doc: "give a node that has lost its key another one, by the word of its verifier"},
}

// statement reads fields in turn and remembers whether all were right.
type statement struct {
	fields []string
	bad    bool
}

func (s *statement) text(empty bool) string {
	if s.bad {
		return ""
	}
	v := s.fields[0]
	s.fields = s.fields[1:]
	if v == "" && !empty || hasControl(v, false) {
		s.bad = true
	}
	return v
}

func (s *statement) number(limit uint64) uint64 {
	v := s.text(false)
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil || n > limit || strconv.FormatUint(n, 10) != v {
		s.bad = true
	}
	return n
}

func readStatement(text, kind string, fields int) *statement {
	s := &statement{fields: strings.Split(text, ":")}
	if len(text) > MaxStatementBytes || len(s.fields) != fields || s.fields[0] != kind || s.fields[1] != "v1" {
		return &statement{bad: true}
	}
	s.fields = s.fields[2:]
	return s
}

// BadgeStatement says that a person's account vouches for a node:
// pilotbadge:v1:<node_id>:<provider>:<verified_at>:<exp>:<kid>:<subject>.
// Times are in Unix seconds; Exp 0 is never.
type BadgeStatement struct {
	NodeID          uint32
	Provider        string
	VerifiedAt, Exp int64
	KID             string
	Subject         string
}

// EnrollmentStatement says whose account may give a node another key:
// pilotenroll:v1:<node_id>:<provider>:<commitment>:<issued_at>:<kid>.
type EnrollmentStatement struct {
	NodeID     uint32
	Provider   string
	Commitment string
	IssuedAt   int64
	KID        string
}

// RecoveryStatement lets a node have another key:
// pilotrecover:v1:<node_id>:<new_public_key>:<commitment>:<exp>:<nonce>:<kid>.
type RecoveryStatement struct {
	NodeID     uint32
	NewKey     string
	Commitment string
	Exp        int64
	Nonce      string
	KID        string
}

// ParseBadge reads a badge; ok is false when it is malformed.
func ParseBadge(text string) (b BadgeStatement, ok bool) {
	s := readStatement(text, "pilotbadge", 8)
	b = BadgeStatement{NodeID: uint32(s.number(1<<32 - 1)), Provider: s.text(false), VerifiedAt: int64(s.number(lastSecond)),
		Exp: int64(s.number(lastSecond)), KID: s.text(false), Subject: s.text(true)}
	return b, !s.bad
}

// ParseEnrollment reads an enrollment; ok is false when it is malformed.
func ParseEnrollment(text string) (e EnrollmentStatement, ok bool) {
	s := readStatement(text, "pilotenroll", 7)
	e = EnrollmentStatement{NodeID: uint32(s.number(1<<32 - 1)), Provider: s.text(false), Commitment: s.text(false),
		IssuedAt: int64(s.number(lastSecond)), KID: s.text(false)}
	return e, !s.bad
}

// ParseRecovery reads a recovery; ok is false when it is malformed.
func ParseRecovery(text string) (r RecoveryStatement, ok bool) {
	s := readStatement(text, "pilotrecover", 8)
	r = RecoveryStatement{NodeID: uint32(s.number(1<<32 - 1)), NewKey: s.text(false), Commitment: s.text(false),
		Exp: int64(s.number(lastSecond)), Nonce: s.text(false), KID: s.text(false)}
	return r, !s.bad && r.Exp > 0
}

// checkStatement looks at a statement and its signature as far as every
// command wants it.
func checkStatement(text, signature, missing string) *Error {
	switch {
	case text == "" || signature == "":
		return Errorf(CodeInvalid, "%s", missing)
	case len(text) > MaxStatementBytes || len(signature) > MaxStatementBytes:
		return Errorf(CodeTooLarge, "statement too long (max %d bytes)", MaxStatementBytes)
	}
	return nil
}

// SubmitBadge gives a node the badge that a verifier has signed for it.
type SubmitBadge struct {
	DoorProblem
	NodeID   uint32 `json:"node_id"`
	Badge    string `json:"badge"`
	BadgeSig string `json:"badge_sig"`
}

// Validate wants both.
func (r *SubmitBadge) Validate() *Error {
	return checkStatement(r.Badge, r.BadgeSig, "submit_badge requires badge and badge_sig")
}

// EnrollRecovery notes whose account may give the node another key.
type EnrollRecovery struct {
	DoorProblem
	NodeID        uint32 `json:"node_id"`
	Enrollment    string `json:"enrollment"`
	EnrollmentSig string `json:"enrollment_sig"`
}

// Validate wants both.
func (r *EnrollRecovery) Validate() *Error {
	return checkStatement(r.Enrollment, r.EnrollmentSig, "enroll_recovery requires enrollment and enrollment_sig")
}

// ChallengeField reads the commitment, which the node signs, out of the statement.
func (r *EnrollRecovery) ChallengeField(name string) (string, bool) {
	s, _ := ParseEnrollment(r.Enrollment)
	return s.Commitment, name == "commitment"
}

// RecoverIdentity gives a node another key by the word of the verifier alone.
type RecoverIdentity struct {
	DoorProblem
	NodeID       uint32 `json:"node_id"`
	Recovery     string `json:"recovery"`
	RecoverySig  string `json:"recovery_sig"`
	NewPublicKey string `json:"new_public_key" text:"-"`
}

// Validate wants all three.
func (r *RecoverIdentity) Validate() *Error {
	const missing = "recover_identity requires recovery, recovery_sig, new_public_key"
	if r.NewPublicKey == "" {
		return Errorf(CodeInvalid, missing)
	}
	if e := checkStatement(r.Recovery, r.RecoverySig, missing); e != nil {
		return e
	}
	if _, err := ParsePublicKey(r.NewPublicKey); err != nil {
		return Errorf(CodeInvalid, "invalid new_public_key: %v", err)
	}
	return nil
}

// SubmitBadgeReply answers submit_badge.
type SubmitBadgeReply struct {
	NodeID   uint32 `json:"node_id"`
	Provider string `json:"provider"`
	Type     string `json:"type"`
}

// EnrollRecoveryReply answers enroll_recovery.
type EnrollRecoveryReply struct {
	NodeID uint32 `json:"node_id"`
	Type   string `json:"type"`
}

// ShownBadge is a badge as replies show it.
type ShownBadge struct{ Badge, BadgeSig, Provider, At string }
