// SPDX-License-Identifier: Apache-2.0

// Package nemesis makes a cluster fail according to a plan.
//
// A plan is made from a seed, printed as JSON and can be played again. It is a
// list of periods: some calm time, in which the load must flow, then up to
// three faults at once, or none in a quarter of the periods, then everything
// is healed and the cluster must converge: every member ready, a write through
// each of them, one digest.
//
// Promise: the same seed gives the same plan; every fault is taken back; the
// faults of one period together stay within what a cluster must survive, so
// that not to converge is the cluster's fault and not the plan's; a kind that
// cannot be used here says why.
//
// Non-goals: playing a plan again repeats the faults, not the interleaving.
// Whether the answers were right is for package check to say.
package nemesis
