// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"errors"
	"testing"
	"testing/iotest"
)

// A file that cannot be read is not called something else than a snapshot.
func TestRestoreTellsWhatReadingFailedWith(t *testing.T) {
	failed := errors.New("is a directory")
	if err := New().Restore(iotest.ErrReader(failed)); !errors.Is(err, failed) {
		t.Error(err)
	}
}
