// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// IDKeys makes the forms by which an external id is compared. Ids match when
// they are the same without spaces around them, with their accents written in
// one way, and with A to Z for a to z. Those that are the same without case
// and accents are near, also when one of them was read as Windows-1252 on its
// way although it was UTF-8, or has around or within it what programs add:
// characters that nobody sees, quotes, "mailto:", a name in front of <id>.
func IDKeys(id string) protocol.IDKeys {
	match := protocol.FoldExternalID(norm.NFC.String(strings.TrimSpace(id)))
	near := nearForm(match)
	keys := protocol.IDKeys{Match: match, Near: near}
	if near == match {
		keys.Near = ""
	}
	if match == protocol.FoldExternalID(id) {
		keys.Match = ""
	}
	return keys
}

// IDForms are the ways in which programs write one id, folded: accents within
// their letters or after them, ligatures and wide letters as such or plain.
func IDForms(id string) (forms []string) {
	for _, f := range []norm.Form{norm.NFC, norm.NFD, norm.NFKC, norm.NFKD} {
		form := protocol.FoldExternalID(f.String(strings.TrimSpace(id)))
		if !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	return forms
}

func nearForm(match string) string {
	near := match
	if !isASCII(near) {
		if meant, garbled := ungarble(near); garbled {
			near = meant
		}
		near = cases.Fold().String(norm.NFKD.String(near))
	}
	near = bare(strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Mn, unicode.Cf) || unicode.IsSpace(r) { // accents, and what nobody sees
			return -1
		}
		return r
	}, near))
	if near == "" {
		return match
	}
	return near
}

// bare is an id without what mail programs and spreadsheets put around one.
func bare(id string) string {
	if at := strings.LastIndexByte(id, '<'); at >= 0 && strings.HasSuffix(id, ">") {
		id = id[at:]
	}
	for {
		inner := strings.Trim(id, "'\"`=<>,;.\u2018\u2019\u201c\u201d")
		for _, scheme := range []string{"mailto:", "smtp:", "acct:"} {
			inner = strings.TrimPrefix(inner, scheme)
		}
		if inner == id {
			return id
		}
		id = inner
	}
}

// ungarble undoes that a text in UTF-8 was taken for Windows-1252.
func ungarble(s string) (meant string, garbled bool) {
	raw, err := charmap.Windows1252.NewEncoder().String(s)
	if err != nil || isASCII(raw) || strings.ToValidUTF8(raw, "") != raw {
		return "", false
	}
	return raw, true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
