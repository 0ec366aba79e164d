// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// WriteProgram puts a program at path, in one step: whoever starts path runs
// the program that was there before, or the new one.
//
// Between fork and exec a child holds a copy of every file that was open in
// this process. One forked by another test at the wrong moment would keep the
// program open for writing, and starting the program would fail with "text
// file busy". So nothing is forked while the file is open (syscall.ForkLock).
func WriteProgram(path string, from io.Reader) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	out, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, from)
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
