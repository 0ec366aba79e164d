// SPDX-License-Identifier: Apache-2.0

// Package server is the front door of a member: it listens for clients, reads
// frames, bounds what a client may cost, and hands typed requests to a Backend.
//
// Promise: whatever bytes arrive, the process stays up, memory per connection
// and per source is bounded, requests of one connection are answered strictly
// in order, and malformed input is treated as the protocol says (a close
// without a reply, or an error reply on a connection that stays open).
//
// Non-goals: it authenticates nobody, holds no registry state, knows nothing
// of consensus and of the other members. It imports the protocol package only.
package server
