// SPDX-License-Identifier: Apache-2.0

// Package gateway is the request pipeline of a member, after its front door:
// it authenticates a request once, dry-runs it on the same immutable state,
// proposes what would succeed, and answers reads at the level asked for.
//
// Promise: a refusal that depends on state is confirmed with the cluster
// before it is given, so that a member that lags never refuses what another
// has already made true; an acknowledged write is committed and applied; an
// unknown outcome is never reported as a failure; credentials end here.
//
// Non-goals: it knows no sockets (protocol/server does) and no Raft (package
// cluster does).
package gateway
