// SPDX-License-Identifier: Apache-2.0

// Package hostile attacks a running cluster with everything that a stranger or
// a node with a key can flood, all at once, while a client that behaves keeps
// writing.
//
// Every flood has its own address on this machine, and bounds: the number
// of its connections, of its requests, and the time that it is given.
package hostile
