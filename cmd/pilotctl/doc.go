// SPDX-License-Identifier: Apache-2.0

// Command pilotctl is the tool of operators and node owners: it talks to any
// member of a Pilot registry cluster.
//
// Promise: stdout carries data and nothing else, stderr prose; exit codes are
// documented and stable; every error ends with the next thing to do; a key is
// never lost, whatever fails in between; help texts come from the table of
// commands.
//
// Non-goals: it is not a daemon, holds no connection between runs and never
// touches a member's data directory.
package main
