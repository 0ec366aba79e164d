// SPDX-License-Identifier: Apache-2.0

// Package fault holds the points at which tests make a member fail: crash,
// pause, an error of the disk, a wrong clock, another route to a peer.
//
// Promise: without the build tag `faults` every function here is empty and
// nothing can be injected. With it, a test controls the process over the unix
// socket named by PILOT_FAULT_SOCKET, learns which points were reached, and
// finds every entry the process was about to log in PILOT_FAULT_JOURNAL.
//
// Non-goals: it decides nothing about when to fail; a nemesis outside does.
package fault
