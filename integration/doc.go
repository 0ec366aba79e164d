// SPDX-License-Identifier: Apache-2.0

// Package integration tests the programs from outside: real processes, the
// wire protocol, and what an operator would do with a shell.
package integration
