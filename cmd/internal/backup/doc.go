// SPDX-License-Identifier: Apache-2.0

// Package backup reads and writes backup files: the state of a registry as a
// snapshot, encrypted with age when that is asked for. Both programs use it.
package backup
