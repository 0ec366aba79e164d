// SPDX-License-Identifier: Apache-2.0

//go:build unix

package contexts

import (
	"os"
	"syscall"
)

// lock waits until nobody else changes the contexts.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}
