// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"testing"

	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Whoever is written with other bytes is the same person: nobody is removed
// for how a program writes an accent.
func TestOnePersonWrittenInSeveralWaysMatches(t *testing.T) {
	t.Parallel()
	match := func(s string) string { return identity.IDKeys(s).MatchOf(s) }
	near := func(s string) string { return identity.IDKeys(s).NearOf(s) }
	for _, c := range []struct {
		a, b          string
		matches, near bool
	}{
		{"alice@example.org", "ALICE@Example.org", true, true},
		{" alice@example.org\t", "alice@example.org", true, true},
		{"alice@example.org\u00a0", "alice@example.org", true, true}, // a no-break space, from a web page
		{"m\u00fcller@example.org", "mu\u0308ller@example.org", true, true},
		{"M\u00dcLLER@example.org", "m\u00fcller@example.org", false, true},
		{"muller@example.org", "m\u00fcller@example.org", false, true},
		{"\u00c9lise@x", "elise@x", false, true},
		{"stra\u00dfe@x", "strasse@x", false, true},
		{"\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2", "\u03c3\u03b9\u03c3\u03c5\u03c6\u03bf\u03c3", false, true},
		{"m\u00c3\u00bcller@example.org", "m\u00fcller@example.org", false, true}, // UTF-8 read as Windows-1252
		{"alice\u200b@example.org", "alice@example.org", false, true},             // copied from a web page
		{"\ufeffalice@example.org", "alice@example.org", false, true},
		{"alice@exam\u00adple.org", "alice@example.org", false, true},
		{"\u200ealice@example.org\u200e", "alice@example.org", false, true},
		{"alice\u00a0@example.org", "alice@example.org", false, true},
		{"alice @example.org", "alice@example.org", false, true},
		{"alice\uff20example.org", "alice@example.org", false, true}, // typed with a Japanese keyboard
		{"'alice@example.org", "alice@example.org", false, true},     // a spreadsheet's mark of text
		{`="alice@example.org"`, "alice@example.org", false, true},
		{"\u201calice@example.org\u201d", "alice@example.org", false, true},
		{"Alice Doe <alice@example.org>", "alice@example.org", false, true},
		{"mailto:alice@example.org", "alice@example.org", false, true},
		{"SMTP:alice@example.org", "alice@example.org", false, true}, // proxyAddresses
		{"alice@example.org;", "alice@example.org", false, true},
		{"alice@example.org.", "alice@example.org", false, true},
		{"<>", "''", false, false},
		{"alice@example.org", "alice@example.com", false, false},
		{"alice.doe@example.org", "alicedoe@example.org", false, false},
		{"\u00fc", "\u00f6", false, false},
	} {
		if got := match(c.a) == match(c.b); got != c.matches {
			t.Errorf("%q and %q match: %v", c.a, c.b, got)
		}
		if got := near(c.a) == near(c.b); got != c.near {
			t.Errorf("%q and %q are near: %v (%q, %q)", c.a, c.b, got, near(c.a), near(c.b))
		}
	}
	if keys := identity.IDKeys("alice@Example.org"); keys != (protocol.IDKeys{}) {
		t.Errorf("a plain id needs no keys of its own: %+v", keys)
	}
	for _, s := range []string{"a", "\u00e9", "\xff", "m\u00fcller", " x ", "\u0308"} {
		if once := match(s); match(once) != once {
			t.Errorf("the match key of %q is not stable: %q, %q", s, once, match(once))
		}
	}
}
