// SPDX-License-Identifier: Apache-2.0

// Package console is the registry's web page: counts for everybody, and for
// administrators what the cluster, its nodes, networks, events and sinks are
// doing, and actions that change them, through the same commands that clients
// send.
//
// Promise: every page is whole without JavaScript, loads nothing from
// elsewhere and shows no secret. Pages read and write through the wire
// commands and their checks, as the administrator who has logged in. What no
// command tells comes from the member's state and configuration, after a
// command has checked who asks. A page that is opened changes nothing. An
// action shows its plan first, and a form that is sent twice has one effect.
//
// Non-goals: it keeps no state but sessions and the plans that wait for a
// confirmation, in memory, which end with the member. It has no accounts:
// whoever brings the admin token is the administrator.
package console
