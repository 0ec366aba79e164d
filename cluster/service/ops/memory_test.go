// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"runtime"
	"testing"
)

// Memory is short near its limit and until it is well below it, so that it
// does not change with every look.
func TestMemoryIsShortNearItsLimit(t *testing.T) {
	used, changes := int64(0), 0
	m := NewMemory(1000)
	m.kept = func() int64 { return used }
	for _, c := range []struct {
		used  int64
		short bool
	}{{500, false}, {899, false}, {900, true}, {850, true}, {800, true}, {799, false}, {899, false}, {2000, true}} {
		used = c.used
		m.look(func(bool) { changes++ })
		if m.Short() != c.short || m.Budgets()[0].Used != c.used {
			t.Errorf("at %d of 1000: short %t, want %t; shown as %+v", c.used, m.Short(), c.short, m.Budgets())
		}
	}
	if changes != 3 {
		t.Errorf("%d changes were told, want 3", changes)
	}
	none := NewMemory(0)
	none.Watch(t.Context(), func(bool) { t.Error("memory without a limit is short") })
	if none.Short() || len(none.Budgets()) != 0 {
		t.Errorf("without a limit: %+v", none.Budgets())
	}
}

// What is alive counts, and garbage does not, however much of it there is.
func TestGarbageIsNotKeptMemory(t *testing.T) {
	const size = 64 << 20
	runtime.GC()
	before := keptMemory()
	kept := make([]byte, size)
	runtime.GC()
	if grown := keptMemory() - before; grown < size*9/10 {
		t.Errorf("%d bytes that are alive count for %d", size, grown)
	}
	runtime.KeepAlive(kept)
	runtime.GC()
	if grown := keptMemory() - before; grown > size/2 {
		t.Errorf("garbage counts for %d", grown)
	}
}
