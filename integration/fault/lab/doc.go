// SPDX-License-Identifier: Apache-2.0

// Package lab runs a cluster in which everything can be made to fail: real
// member processes on loopback addresses of their own, and between any two of
// them, and between clients and members, a relay that loses, holds, delays and
// resets what passes.
//
// Promise: a lab touches nothing but its own processes, directories and
// loopback addresses, ends every process it started by its id, and notes how
// each of them ended, so that an end nobody ordered is found. Both directions
// of every link fail separately. It needs no privileges.
//
// Non-goals: it decides nothing about what fails when (package nemesis does)
// and nothing about whether the answers were right (package check does). It
// needs Linux: other systems have no free loopback addresses and no /proc.
package lab
