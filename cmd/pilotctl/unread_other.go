// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package main

import "os"

// awaitUnread waits for good: here a writer learns only when it writes that
// nobody reads.
func awaitUnread(*os.File) { select {} }
