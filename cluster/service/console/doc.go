// SPDX-License-Identifier: Apache-2.0

// Package console is the registry's web page: counts for everybody, and for
// administrators what the cluster, its nodes, networks, events and sinks are
// doing, read through the same commands that clients send.
//
// Promise: every page is whole without JavaScript, loads nothing from
// elsewhere, shows no secret and changes nothing. Pages read through the wire
// commands and their checks, as the administrator who has logged in.
//
// Non-goals: it keeps no state but sessions in memory, which end with the
// member, and has no accounts; whoever brings the admin token is the
// administrator.
package console
