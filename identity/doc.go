// SPDX-License-Identifier: Apache-2.0

// Package identity answers who is calling: it verifies Ed25519 signatures
// over the protocol's challenges, and identity tokens by the keys of a
// provider or by asking the operator's webhook.
//
// Promise: a signature is verified with the standard library's rule, and only
// with it, wherever it is verified; a token's algorithm, its key's type and
// its key's name agree before its signature is looked at; every outbound
// connection passes a guard that knows where it really leads; a refusal has a
// stable code and never quotes a signature or a token. Verification happens at
// the front door, once, and never inside the state machine.
//
// Non-goals: it does not know what the caller may do; that is decided by the
// state machine from the principal this package establishes. It stores
// nothing: keys are fetched here and kept by the cluster.
package identity
