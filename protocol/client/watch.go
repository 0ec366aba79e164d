// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"iter"
	"reflect"
	"slices"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	watchInterval    = 2 * time.Second
	minWatchInterval = 10 * time.Millisecond
	// watchPage is how many items of a list are asked for at once.
	watchPage = 1000
)

// ChangeKind says what happened to a watched item.
type ChangeKind string

// The kinds of changes.
const (
	Added   ChangeKind = "added"
	Changed ChangeKind = "changed"
	Removed ChangeKind = "removed"
)

// Change is a difference between two looks at a list. Old is nil when the item
// was added, New when it was removed.
type Change[T any] struct {
	Kind     ChangeKind
	Old, New *T
}

// WatchOptions configure a watch. A zero field means its default.
type WatchOptions struct {
	// Interval is the time between two looks; default 2 s, at least 10 ms.
	Interval time.Duration
}

func (o WatchOptions) interval() time.Duration {
	if o.Interval <= 0 {
		return watchInterval
	}
	return max(o.Interval, minWatchInterval)
}

// WatchNodes follows the nodes of a network; 0 is the backbone, which holds
// all nodes and needs the admin token. It begins with every node as added.
// While no member answers it waits. It ends with ctx, with the loop, or with
// one error that waiting does not help. Several changes between two looks are
// one. LastSeen alone is not a change.
func (c *Client) WatchNodes(ctx context.Context, network uint16, o WatchOptions, opts ...CallOption) iter.Seq2[Change[protocol.ListedNode], error] {
	page := func(ctx context.Context, opts []CallOption) ([]protocol.ListedNode, string, error) {
		reply, err := c.ListNodes(ctx, network, opts...)
		if err != nil {
			return nil, "", err
		}
		return reply.Nodes, reply.NextCursor, nil
	}
	same := func(a, b protocol.ListedNode) bool {
		a.LastSeen, b.LastSeen = "", ""
		return reflect.DeepEqual(a, b)
	}
	return watchList(ctx, c, "nodes", o, opts, page, func(n *protocol.ListedNode) uint32 { return n.NodeID }, same)
}

// WatchNetworks follows the networks, as [Client.WatchNodes] does nodes.
func (c *Client) WatchNetworks(ctx context.Context, o WatchOptions, opts ...CallOption) iter.Seq2[Change[protocol.ListedNetwork], error] {
	page := func(ctx context.Context, opts []CallOption) ([]protocol.ListedNetwork, string, error) {
		reply, err := c.ListNetworks(ctx, opts...)
		if err != nil {
			return nil, "", err
		}
		return reply.Networks, reply.NextCursor, nil
	}
	same := func(a, b protocol.ListedNetwork) bool { return reflect.DeepEqual(a, b) }
	return watchList(ctx, c, "networks", o, opts, page, func(n *protocol.ListedNetwork) uint16 { return n.ID }, same)
}

// watchList is a watch of a list that comes in pages.
func watchList[T any, K comparable](ctx context.Context, c *Client, what string, o WatchOptions, opts []CallOption,
	page func(context.Context, []CallOption) ([]T, string, error), key func(*T) K, same func(a, b T) bool) iter.Seq2[Change[T], error] {
	look := func() ([]T, error) {
		var all []T
		for cursor := ""; ; {
			items, next, err := page(ctx, append(slices.Clone(opts), WithLimit(watchPage), WithCursor(cursor)))
			if err != nil {
				return nil, err
			}
			all = append(all, items...)
			if cursor = next; cursor == "" {
				return all, nil
			}
		}
	}
	return func(yield func(Change[T], error) bool) {
		known, order := map[K]T{}, []K(nil)
		c.poll(ctx, what, o, func() (bool, error) {
			now, err := look()
			if err != nil {
				return false, err
			}
			seen := make(map[K]bool, len(now))
			var keys []K
			for i := range now {
				k := key(&now[i])
				if seen[k] {
					continue
				}
				seen[k], keys = true, append(keys, k)
				old, was := known[k]
				known[k] = now[i]
				switch {
				case !was && !yield(Change[T]{Kind: Added, New: &now[i]}, nil),
					was && !same(old, now[i]) && !yield(Change[T]{Kind: Changed, Old: &old, New: &now[i]}, nil):
					return true, nil
				}
			}
			for _, k := range order {
				if old := known[k]; !seen[k] {
					delete(known, k)
					if !yield(Change[T]{Kind: Removed, Old: &old}, nil) {
						return true, nil
					}
				}
			}
			order = keys
			return false, nil
		}, func(err error) { yield(Change[T]{}, err) })
	}
}

// WatchInvites follows the invites to networks that a node has not answered,
// each once, those that are there first. It ends as [Client.WatchNodes] does.
func (c *Client) WatchInvites(ctx context.Context, node uint32, o WatchOptions, opts ...CallOption) iter.Seq2[protocol.Invite, error] {
	return func(yield func(protocol.Invite, error) bool) {
		known := map[protocol.Invite]bool{}
		c.poll(ctx, "invites", o, func() (bool, error) {
			reply, err := c.PollInvites(ctx, node, opts...)
			if err != nil {
				return false, err
			}
			now := map[protocol.Invite]bool{}
			for _, invite := range reply.Invites {
				now[invite] = true
				if !known[invite] && !yield(invite, nil) {
					return true, nil
				}
			}
			known = now
			return false, nil
		}, func(err error) { yield(protocol.Invite{}, err) })
	}
}

// WatchAudit follows the audit log: every event that filter lets through, once
// and in order, from the one after filter.AfterSeq on; with 0 from all that
// are kept. [Client.NewestEvent] is where "from now on" begins. It ends as
// [Client.WatchNodes] does.
func (c *Client) WatchAudit(ctx context.Context, filter protocol.GetAuditLog, o WatchOptions, opts ...CallOption) iter.Seq2[protocol.AuditEntry, error] {
	return func(yield func(protocol.AuditEntry, error) bool) {
		filter.Ascending = true
		c.poll(ctx, "audit log", o, func() (bool, error) { return c.newEvents(ctx, &filter, opts, yield) },
			func(err error) { yield(protocol.AuditEntry{}, err) })
	}
}

// NewestEvent is the sequence number of the newest event of the audit log.
func (c *Client) NewestEvent(ctx context.Context) (uint64, error) {
	ends, err := c.AuditChain(ctx)
	if err != nil {
		return 0, err
	}
	newest := uint64(0)
	for _, chain := range ends.Chains {
		newest = max(newest, chain.HeadSeq)
	}
	return newest, nil
}

// newEvents yields what was written after filter.AfterSeq and moves that
// forward. The end of the log is asked for first: the pages come from that
// state or a newer one, so what was filtered out before the end is not looked
// at again.
func (c *Client) newEvents(ctx context.Context, filter *protocol.GetAuditLog, opts []CallOption, yield func(protocol.AuditEntry, error) bool) (done bool, err error) {
	newest, err := c.NewestEvent(ctx)
	if err != nil || newest <= filter.AfterSeq {
		return false, err
	}
	for cursor := ""; ; {
		r := *filter
		reply, err := c.GetAuditLog(ctx, r, append(slices.Clone(opts), WithCursor(cursor))...)
		if err != nil {
			return false, err
		}
		for _, e := range reply.Entries {
			filter.AfterSeq = e.Seq // so that none comes twice after a failure
			if !yield(e, nil) {
				return true, nil
			}
		}
		if cursor = reply.NextCursor; cursor == "" {
			filter.AfterSeq = max(filter.AfterSeq, newest)
			return false, nil
		}
	}
}

// poll looks until ctx ends, look is done, or it fails in a way that waiting
// does not help.
func (c *Client) poll(ctx context.Context, what string, o WatchOptions, look func() (done bool, err error), fail func(error)) {
	lost := false
	for {
		done, err := look()
		switch {
		case done || ctx.Err() != nil:
			return
		case err != nil && !Passing(err):
			fail(err)
			return
		case err != nil && !lost:
			c.opts.Logger.Warn("no member answers a watch, waiting", "watch", what, "error", err)
		case err == nil && lost:
			c.opts.Logger.Info("a watch is answered again", "watch", what)
		}
		lost = err != nil
		if sleep(ctx, o.interval()) != nil {
			return
		}
	}
}
