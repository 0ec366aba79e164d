// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"

	"github.com/hashicorp/raft"
)

// SaveSnapshot writes the member's state to its disk and returns when it is
// there, or when ctx ends; then the writing goes on. A state of which the
// newest snapshot is one already needs no other.
func (n *Member) SaveSnapshot(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- n.raft.Snapshot().Error() }()
	select {
	case err := <-done:
		if errors.Is(err, raft.ErrNothingNewToSnapshot) {
			return nil
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
