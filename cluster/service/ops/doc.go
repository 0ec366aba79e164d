// SPDX-License-Identifier: Apache-2.0

// Package ops is the operator's HTTP listener of a member: health, counts and
// badges for everybody; metrics, status, profiles and a snapshot on request for
// callers on the member's machine and for the admin token. Every other path is
// the console's, which the program puts in.
//
// Promise: it answers without a quorum, changes nothing in the registry, and
// shows no secret.
//
// Non-goals: it serves no registry clients; those use the wire listener.
package ops
