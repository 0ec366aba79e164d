// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"

	"github.com/hashicorp/raft"
)

// SaveSnapshot writes the member's state to its disk and returns when it is
// there, or when ctx ends; the writing then continues. A state that the newest
// snapshot already holds needs no other.
func (n *Member) SaveSnapshot(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- n.engine.raft.Snapshot().Error() }()
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
