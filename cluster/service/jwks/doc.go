// SPDX-License-Identifier: Apache-2.0

// Package jwks keeps the keys of the identity provider in the replicated
// state: the leader fetches them, every member validates tokens with them.
//
// Promise: members judge a token by the same keys; keys that were good stay in
// use while the provider is down, up to MaxAge; a shared secret never enters
// the log in the clear.
//
// Non-goals: it does not judge tokens (package identity does).
package jwks
