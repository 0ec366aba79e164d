// SPDX-License-Identifier: Apache-2.0

// Package harness starts real clusters for black-box tests and benchmarks:
// `pilot-registry dev` with its member processes, on free loopback ports.
//
// Promise: whatever a cluster started is ended by its process id, also when a
// test fails; a failed test keeps the members' logs and says where.
//
// Non-goals: it knows nothing of what is tested.
package harness
