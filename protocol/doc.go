// SPDX-License-Identifier: Apache-2.0

// Package protocol is the wire contract of the Pilot registry: one table of
// commands, the request and reply types, framing, error codes, challenges,
// event names and virtual addresses.
//
// Promise: everything another package, client or document needs to know about
// a command is derived from [Commands]; nothing about a command is written
// down a second time. Rows and codes are append-only, because codes are kept
// in the replicated log.
//
// Non-goals: it opens no sockets, holds no state and decides nothing that
// depends on state. It imports only the standard library and nothing of this
// module, so anybody may import it.
package protocol
