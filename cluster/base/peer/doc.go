// SPDX-License-Identifier: Apache-2.0

// Package peer is the connection between the members of a cluster: one TCP
// listener per member, TLS 1.3 on every byte, and the application protocol
// (ALPN) deciding what a connection is for:
//
//   - pilot-raft/1 carries raft's own streams ([StreamLayer]),
//   - pilot-rpc/1 carries pipelined requests between members ([Client], [Server]),
//   - pilot-join/1 lets a machine in that has a join token but no certificate yet.
//
// Promise: the first two accept only a certificate issued by the cluster's own
// authority, for this cluster id, for a member that the caller of this package
// authorizes now; the dialling side checks that it reached the member it meant.
// A call that fails says whether its bytes may have reached the peer
// ([TransportError]), because only then is the outcome of a write unknown.
// Lengths are checked before memory is allocated.
//
// Non-goals: it does not know raft's configuration, the state machine or what
// a request means, and it never retries a request.
package peer
