// SPDX-License-Identifier: Apache-2.0

package cluster

import "testing"

func TestMintedFloorIsTheLowestOpenSequence(t *testing.T) {
	t.Parallel()
	m := newMinter()
	a, b := m.begin(), m.begin()
	if m.floor() != a {
		t.Errorf("floor %d with %d open", m.floor(), a)
	}
	m.end(b)
	if m.floor() != a {
		t.Errorf("floor %d although %d is open", m.floor(), a)
	}
	m.end(a)
	if d := m.begin(); m.floor() != d {
		t.Errorf("floor %d, want %d", m.floor(), d)
	}
}
