// SPDX-License-Identifier: Apache-2.0

package protocol

import "fmt"

// Outcome says what is known about a write that was answered with an error.
type Outcome string

const (
	// OutcomeRejected: the registry decided against the request. Nothing changed;
	// sending the same request again gets the same answer until something else changes.
	OutcomeRejected Outcome = "rejected"
	// OutcomeNotApplied: the request was not decided and will not take effect. It is safe to send it again.
	OutcomeNotApplied Outcome = "not_applied"
	// OutcomeUnknown: the request may or may not have taken effect. Sending it
	// again with the same request id answers which.
	OutcomeUnknown Outcome = "unknown"
)

// Error codes. They are stable: scripts compare them, texts may be reworded.
const (
	CodeInvalid            = "invalid_argument"
	CodeUnknownCommand     = "unknown_command"
	CodeNotImplemented     = "not_implemented"
	CodeNotFound           = "not_found"
	CodeAlreadyExists      = "already_exists"
	CodeConflict           = "conflict"
	CodePermissionDenied   = "permission_denied"
	CodeSignatureRequired  = "signature_required"
	CodeSignatureInvalid   = "signature_invalid"
	CodeAdminDisabled      = "admin_disabled"
	CodeAdminToken         = "admin_token_invalid"
	CodeTokenInvalid       = "token_invalid"
	CodeKeyExpired         = "key_expired"
	CodeEnterpriseRequired = "enterprise_required"
	CodeRateLimited        = "rate_limited"
	CodeLimitReached       = "limit_reached"
	CodeTooLarge           = "too_large"
	CodeOverloaded         = "overloaded"
	CodeNoLeader           = "no_leader"
	CodeTimeout            = "timeout"
	CodeTimeoutRead        = "timeout_read"
	CodeOutcomeUnknown     = "outcome_unknown"
	CodeRequestIDReused    = "request_id_reused"
	CodeFeatureNotActive   = "feature_not_active"
	CodeQuarantined        = "quarantined"
	CodeShuttingDown       = "shutting_down"
	CodeStaleTerm          = "stale_term"
	CodeInternal           = "internal"
	// CodeSignatureExpired: the request was signed too long ago. It never counts again.
	CodeSignatureExpired = "signature_expired"
	// CodeSignatureEarly: the request was signed in the future, and counts when that has come.
	CodeSignatureEarly = "signature_early"
	// CodeLegacySignature: the cluster wants signed requests (v2) and got an older signature.
	CodeLegacySignature = "legacy_signature"
	// CodeURLRefused: the registry must not call this URL.
	CodeURLRefused = "url_refused"
	// CodeIDPNotConfigured: the command needs an identity provider.
	CodeIDPNotConfigured = "idp_not_configured"
	// CodeAlgorithm: the token, or its key, uses an algorithm that is not accepted here.
	CodeAlgorithm = "algorithm_not_allowed"
	// CodeJWKSKey: the provider's key set has no such key.
	CodeJWKSKey = "jwks_key_not_found"
	// CodeJWKS: the provider's key set cannot be had or used.
	CodeJWKS = "jwks_unavailable"
	// CodeIdentityRejected: the service that verifies identity tokens rejected this one.
	CodeIdentityRejected = "identity_rejected"
	// CodeIdentityFailed: the service that verifies identity tokens cannot be reached.
	CodeIdentityFailed   = "identity_unavailable"
	CodeAuditBehind      = "audit_behind"
	CodeIdentityRequired = "identity_required"
	// CodeUnknownField: the command has no such field, so the request may mean something else.
	CodeUnknownField = "unknown_field"
)

// Error is what the registry answers when it does not do what was asked.
type Error struct {
	// Code is one of the Code constants.
	Code string `json:"code"`
	// Text is written for the person who reads it.
	Text string `json:"error"`
	// Outcome is empty for plain rejections, which is what most errors are.
	Outcome Outcome `json:"outcome,omitempty"`
	// RetryAfterMS is set when it is known after how many milliseconds the same
	// request is heard again.
	RetryAfterMS int64 `json:"retry_after_ms,omitempty"`
	// Stateful is true when the refusal depends on replicated state, so that
	// a member that lags might refuse what another has already made true.
	// It does not travel on the wire.
	Stateful bool `json:"-"`
}

// Error returns the text.
func (e *Error) Error() string { return e.Text }

// AsError is the refusal as an error, nil when there is none: a nil *Error that
// is assigned to an error makes one that is not nil (docs/adr/0016-refusals-are-a-type.md).
func (e *Error) AsError() error {
	if e != nil {
		return e
	}
	return nil
}

// Retryable reports whether the same request may be sent again without the
// risk of a second effect, and might then succeed.
func (e *Error) Retryable() bool { return e.Outcome == OutcomeNotApplied }

// Errorf makes a rejection that does not depend on state: bad input.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// Refusef makes a rejection that depends on replicated state.
func Refusef(code, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...), Stateful: true}
}

// NotAppliedf makes an error for a request that was not decided and never will be.
func NotAppliedf(code, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...), Outcome: OutcomeNotApplied}
}

// Unknownf makes an error for a write whose outcome is not known.
func Unknownf(code, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...), Outcome: OutcomeUnknown}
}
