// SPDX-License-Identifier: Apache-2.0

package protocol

// Statements are what a verifier of accounts has signed about a node: texts of
// fixed fields with colons in between. Each has one form only, so that what was
// read is what was signed.

// MaxStatementBytes bounds a statement, and its signature.
const MaxStatementBytes = 2048

// lastSecond is the last second that any time can have.
const lastSecond = 253402300799
