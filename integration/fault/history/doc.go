// SPDX-License-Identifier: Apache-2.0

// Package history records what clients of a cluster under test asked and what
// they learnt, on one clock.
//
// Promise: every operation is stamped before its first byte is sent and after
// its last byte is read, with the same monotonic clock; its outcome is ok,
// fail (it certainly had no effect) or unknown, and when in doubt unknown; a
// history that was written can be read back unchanged.
//
// Non-goals: it sends nothing and judges nothing. Whether a history is right is
// for package check to say.
package history
