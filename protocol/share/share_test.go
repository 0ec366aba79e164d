// SPDX-License-Identifier: Apache-2.0

package share

import (
	"fmt"
	"net/netip"
	"testing"
)

func TestSource(t *testing.T) {
	for _, c := range []struct{ text, own, wide string }{
		{"192.0.2.7:4000", "192.0.2.7", "192.0.2.7"},
		{"[::ffff:192.0.2.7]:4000", "192.0.2.7", "192.0.2.7"},
		{"192.0.2.7", "192.0.2.7", "192.0.2.7"},
		{"[2001:db8:1:2:3:4:5:6]:1", "2001:db8:1:2::/64", "2001:db8:1::/48"},
		{"2001:db8:1:2::9", "2001:db8:1:2::/64", "2001:db8:1::/48"},
		{"[fe80::1%eth0]:1", "fe80::/64", "fe80::/48"},
		{"nobody", "unknown", "unknown"},
		{"", "unknown", "unknown"},
	} {
		s := OfText(c.text)
		if s.String() != c.own || s.Wide().String() != c.wide {
			t.Errorf("%q: %s within %s, want %s within %s", c.text, s, s.Wide(), c.own, c.wide)
		}
	}
	if OfText("[fe80::1%a]:1") != OfText("[fe80::2%b]:2") {
		t.Error("a zone makes another source")
	}
}

func TestOneHolderMeetsItsOwnCeiling(t *testing.T) {
	p := NewPool[string](Parts{Total: 1000, Each: 100, Group: 300})
	for i := range 150 {
		want := Within
		if i >= 100 {
			want = OwnPart
		}
		if got := p.Take("a", "a", 1); got != want {
			t.Fatalf("take %d: %q, want %q", i, got, want)
		}
	}
	if got := p.Take("b", "b", 1); got != Within {
		t.Errorf("another holder is refused: %q", got)
	}
}

func TestOneGroupMeetsItsOwnCeiling(t *testing.T) {
	p := NewPool[string](Parts{Total: 1000, Each: 100, Group: 300})
	taken := 0
	for i := range 1000 {
		if p.Take(fmt.Sprint(i), "site", 1) == Within {
			taken++
		}
	}
	if taken != 300 {
		t.Errorf("one group has %d, want 300", taken)
	}
	if got := p.Take("x", "site", 1); got != GroupPart {
		t.Errorf("refused by %q, want %q", got, GroupPart)
	}
	if got := p.Take("b", "b", 1); got != Within {
		t.Errorf("a holder of no group is refused: %q", got)
	}
}

// Many greedy holders take what they can, round after round; one that has
// nothing yet must still find a place.
func TestGreedyHoldersNeverFillTheTotal(t *testing.T) {
	for _, holders := range []int{1, 2, 10, 98, 200} {
		p := NewPool[int](Parts{Total: 100_000, Each: 1024})
		for more := true; more; {
			more = false
			for h := range holders {
				more = p.Take(h, h, 1) == Within || more
			}
		}
		if got := p.Take(-1, -1, 1); got != Within {
			t.Errorf("%d greedy holders have taken %d: a newcomer is refused by %q", holders, p.Total(), got)
		}
	}
}

func TestGreedyGroupsNeverFillTheTotal(t *testing.T) {
	p := NewPool[[2]int](Parts{Total: 100_000, Each: 1024, Group: 8192})
	for more := true; more; {
		more = false
		for g := range 30 {
			for h := range 64 {
				more = p.Take([2]int{g, h + 1}, [2]int{g, 0}, 1) == Within || more
			}
		}
	}
	if got := p.Take([2]int{99, 1}, [2]int{99, 0}, 1); got != Within {
		t.Errorf("30 greedy groups have taken %d: a newcomer is refused by %q", p.Total(), got)
	}
}

func TestPoolForgetsWhoHasNothing(t *testing.T) {
	p := NewPool[string](Parts{Total: 10})
	p.Take("a", "g", 3)
	p.TakeExempt("a", "g", 7)
	if got := p.TakeExempt("b", "b", 1); got != WholeTotal {
		t.Errorf("beyond the total: %q, want %q", got, WholeTotal)
	}
	p.Give("a", "g", 10)
	if p.Total() != 0 || len(p.own) != 0 || len(p.group) != 0 {
		t.Errorf("after giving all back: total %d, %d holders, %d groups", p.Total(), len(p.own), len(p.group))
	}
}

func v4(i int) Source {
	return Of(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
}

func v6(site, net int) Source {
	return Of(netip.AddrFrom16([16]byte{0x20, 0x01, byte(site >> 8), byte(site), 0, 0, byte(net >> 8), byte(net)}))
}

// A value that matters is not forgotten, whatever comes from elsewhere.
func TestTableKeepsWhatMatters(t *testing.T) {
	tab := NewTable[Source, int](1 << 10)
	busy := func(*int) bool { return false }
	*tab.Slots(v4(0), busy)[0].Value = 7
	for i := 1; i < 1<<14; i++ {
		*tab.Slots(v4(i), busy)[0].Value = 1
	}
	if got := tab.Slots(v4(0), busy)[0]; *got.Value != 7 || got.Worth != 1 {
		t.Errorf("the value is %d worth %d, want 7 worth 1", *got.Value, got.Worth)
	}
	if tab.Len() != 1<<10 {
		t.Errorf("%d places taken, want %d", tab.Len(), 1<<10)
	}
}

func TestTableForgetsWhatRests(t *testing.T) {
	tab := NewTable[Source, int](100)
	resting := func(v *int) bool { return *v == 0 }
	for i := range 100 {
		*tab.Slots(v4(i), resting)[0].Value = 1
	}
	for i := range 100 {
		*tab.Peek(v4(i)) = 0
	}
	tab.Slots(v4(1000), resting)
	if tab.Peek(v4(1000)) == nil || tab.Len() != 98 {
		t.Errorf("%d places after three were forgotten for one, want 98", tab.Len())
	}
}

// A whole site has a part of the table; its other networks count for the site.
func TestOneSiteDoesNotFillTheTable(t *testing.T) {
	tab := NewTable[Source, int](1 << 10)
	busy := func(*int) bool { return false }
	for i := range 1 << 14 {
		for _, s := range tab.Slots(v6(1, i), busy) {
			if s.Value != nil {
				*s.Value++
			}
		}
	}
	if tab.Len() != 1<<10/tableGroupPart+1 {
		t.Errorf("one site has %d places", tab.Len())
	}
	if got := *tab.Peek(v6(1, 0).Wide()); got != 1<<14 {
		t.Errorf("the site's value counts %d, want %d", got, 1<<14)
	}
	if tab.Slots(v6(2, 0), busy)[0].Worth != 1 {
		t.Error("another site has no place of its own")
	}
}
