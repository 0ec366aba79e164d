// SPDX-License-Identifier: Apache-2.0

// Package ops is the operator's HTTP listener of a member: liveness,
// readiness, metrics and, when switched on, profiles.
//
// Promise: it answers without a quorum, changes nothing, and shows no secret.
//
// Non-goals: it serves no registry clients; those use the wire listener.
package ops
