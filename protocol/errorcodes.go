// SPDX-License-Identifier: Apache-2.0

package protocol

// ErrorCode is a row of the table of error codes.
type ErrorCode struct {
	Code    string
	Meaning string
}

// ErrorCodes lists every code that a reply can carry, for the reference.
var ErrorCodes = []ErrorCode{
	{CodeInvalid, "a value cannot be read, or is not allowed; the text names it"},
	{CodeUnknownField, "the command has no such field, so the request may mean something else"},
	{CodeUnknownCommand, "there is no such command"},
	{CodeNotImplemented, "this version does not have it; upgrade, or ask another member"},
	{CodeNotFound, "what the request names does not exist"},
	{CodeAlreadyExists, "what the request would make exists"},
	{CodeConflict, "the state does not allow it, or has changed since it was looked at"},
	{CodePermissionDenied, "the caller may not do this"},
	{CodeSignatureRequired, "the request must be signed"},
	{CodeSignatureInvalid, "the signature does not verify"},
	{CodeSignatureExpired, "the request was signed too long ago; it never counts again"},
	{CodeSignatureEarly, "the request was signed in the future, and counts when that has come"},
	{CodeLegacySignature, "the cluster wants signed requests and got a signature over a challenge"},
	{CodeKeyExpired, "the node's key has expired"},
	{CodeAdminDisabled, "the cluster has no admin token"},
	{CodeAdminToken, "the admin token is missing or wrong"},
	{CodeTokenInvalid, "the network's, replication or join token is missing, wrong, used or expired"},
	{CodeEnterpriseRequired, "the command works in enterprise networks only"},
	{CodeIdentityRequired, "the registry registers nobody without a verified identity"},
	{CodeIdentityRejected, "the service that verifies identity tokens rejected this one"},
	{CodeIdentityFailed, "the service that verifies identity tokens cannot be reached"},
	{CodeIDPNotConfigured, "the command needs an identity provider"},
	{CodeAlgorithm, "the token, or its key, uses an algorithm that is not accepted"},
	{CodeJWKSKey, "the provider's key set has no such key"},
	{CodeJWKS, "the provider's key set cannot be had or used"},
	{CodeURLRefused, "the registry must not call this address"},
	{CodeRateLimited, "the caller has sent too much; see `retry_after_ms`"},
	{CodeLimitReached, "a bound on what is stored is reached"},
	{CodeTooLarge, "the request or its reply is too large"},
	{CodeOverloaded, "the registry has more to do than it can; send it again later"},
	{CodeAuditBehind, "a required sink of the audit log is too far behind"},
	{CodeNoLeader, "no leader took the request in time; there may be no quorum"},
	{CodeTimeout, "the leader did not get to the request in time"},
	{CodeTimeoutRead, "the read was not confirmed in time"},
	{CodeOutcomeUnknown, "the write may or may not have been applied; send it again with the same `request_id`"},
	{CodeRequestIDReused, "the request id was used for another request"},
	{CodeFeatureNotActive, "not all members of the cluster have the feature yet"},
	{CodeQuarantined, "this member is out of service; ask another one"},
	{CodeShuttingDown, "this member is stopping; ask another one"},
	{CodeStaleTerm, "the leader that took the request has been replaced"},
	{CodeInternal, "a defect of the registry; report it"},
}
