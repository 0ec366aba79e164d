// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"container/heap"
	"context"
	"sync"
	"sync/atomic"
)

// indexWaiter is an index that only grows, and those who wait for it.
type indexWaiter struct {
	index atomic.Uint64
	mu    sync.Mutex
	heap  waitHeap
}

type waiting struct {
	index uint64
	pos   int
	ready chan struct{}
}

// advance moves the index and wakes whom it satisfies.
func (w *indexWaiter) advance(index uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if index <= w.index.Load() {
		return
	}
	w.index.Store(index)
	for len(w.heap) > 0 && w.heap[0].index <= index {
		close(heap.Pop(&w.heap).(*waiting).ready)
	}
}

// wait returns nil once the index has been reached.
func (w *indexWaiter) wait(ctx context.Context, index uint64) error {
	if w.index.Load() >= index {
		return nil
	}
	w.mu.Lock()
	if w.index.Load() >= index {
		w.mu.Unlock()
		return nil
	}
	me := &waiting{index: index, ready: make(chan struct{})}
	heap.Push(&w.heap, me)
	w.mu.Unlock()
	select {
	case <-me.ready:
		return nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.index.Load() >= index {
		return nil
	}
	heap.Remove(&w.heap, me.pos)
	return ctx.Err()
}

type waitHeap []*waiting

func (h waitHeap) Len() int           { return len(h) }
func (h waitHeap) Less(i, j int) bool { return h[i].index < h[j].index }
func (h waitHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}

// Push and Pop are for package heap.
func (h *waitHeap) Push(x any) {
	w := x.(*waiting)
	w.pos = len(*h)
	*h = append(*h, w)
}

// Pop removes the last element.
func (h *waitHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return w
}

// broadcast lets any number of goroutines wait for the next change.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

// next returns a channel that is closed at the next change.
func (b *broadcast) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *broadcast) signal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
