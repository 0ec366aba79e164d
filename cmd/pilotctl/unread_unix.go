// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// awaitUnread returns when nobody reads f any more, as a pipe into head that
// has seen enough. A writer only learns of that when it writes again.
func awaitUnread(f *os.File) {
	fds := []unix.PollFd{{Fd: int32(f.Fd())}} // that it cannot be written is always told
	for {
		n, err := unix.Poll(fds, -1)
		if !errors.Is(err, unix.EINTR) && (err != nil || n > 0) {
			return
		}
	}
}
