// SPDX-License-Identifier: Apache-2.0

package output

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// whole are columns that are worth nothing when they are cut.
var whole = []string{"id", "seq", "node_id", "network_id", "member_id", "event_id", "timestamp", "expires_at", "created", "failed_at"}

// soft are columns of free text. They are cut before any other.
var soft = []string{"details", "reason", "error", "problem", "doc", "tags", "justification", "description", "hostname", "name", "admin_token_file", "addrs"}

// narrowest is what a column keeps that is cut.
const narrowest = 6

// fit narrows the widest of the columns that can be cut, until all of them
// fit: free text first.
func fit(names []string, widths []int, width int) {
	total := 2 * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for _, only := range [][]string{soft, nil} {
		for total > width {
			widest := widestOf(names, widths, only)
			if widest < 0 {
				break
			}
			widths[widest]--
			total--
		}
	}
}

// widestOf is the widest column that can be cut, -1 when there is none.
func widestOf(names []string, widths []int, only []string) int {
	widest := -1
	for j, name := range names {
		switch {
		case slices.Contains(whole, name), only != nil && !slices.Contains(only, name):
		case widths[j] <= max(narrowest, len(heading(name))):
		case widest < 0 || widths[j] > widths[widest]:
			widest = j
		}
	}
	return widest
}

func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

// wrap breaks text at spaces and commas. What has none stays whole: it is
// there to be copied.
func wrap(text string, width int) []string {
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		return []string{text} // a document in JSON
	}
	var lines []string
	text = strings.TrimRight(text, " ")
	for utf8.RuneCountInString(text) > width {
		runes := []rune(text)
		at := -1
		for i, r := range runes {
			if i > width && at >= 0 {
				break
			}
			if r == ' ' {
				at = i
			} else if r == ',' && i+1 < len(runes) && i < width && runes[i+1] != ' ' {
				at = i + 1
			}
		}
		if at <= 0 || at >= len(runes)-1 {
			break
		}
		lines = append(lines, strings.TrimRight(string(runes[:at]), " "))
		text = strings.TrimLeft(string(runes[at:]), " ")
	}
	return append(lines, text)
}

// Paragraph writes text behind a word, with its further lines below the text.
func Paragraph(w io.Writer, word, text string) {
	left := utf8.RuneCountInString(strings.TrimLeft(word, "\n"))
	for i, line := range wrap(Clean(text), Width-left) {
		if i > 0 {
			word = strings.Repeat(" ", left)
		}
		fmt.Fprintf(w, "%s%s\n", word, line)
	}
}

// idLength is how much of an id of 36 characters a narrow table shows, if that
// is enough to tell the rows apart. Commands take such a beginning as well.
const idLength = 8

// shortenIDs shortens a column of ids to what commands take for them.
func shortenIDs(rows [][]string, column int) {
	for length := idLength; ; length += 4 {
		seen, unique := map[string]string{}, true
		for _, row := range rows {
			id := row[column]
			if len(id) <= length || len(id) != 36 {
				continue
			}
			if other, is := seen[id[:length]]; is && other != id {
				unique = false
			}
			seen[id[:length]] = id
		}
		if !unique {
			continue
		}
		for _, row := range rows {
			if len(row[column]) == 36 {
				row[column] = row[column][:min(length, 36)]
			}
		}
		return
	}
}
