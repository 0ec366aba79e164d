// Package identity answers who is calling: it verifies Ed25519 signatures
// over the protocol's challenges.
//
// Promise: a signature is verified with the standard library's rule, and only
// with it, wherever it is verified; a refusal has a stable code and never
// quotes the signature. Verification happens at the front door, once, and
// never inside the state machine.
//
// Non-goals: it does not know what the caller may do; that is decided by the
// state machine from the principal this package establishes.
package identity
