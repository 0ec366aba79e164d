// SPDX-License-Identifier: Apache-2.0

// Package helptext fits the help of commands into a terminal.
package helptext

import (
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// Width is how wide a help is.
const Width = 80

// Fit has the help of a command and all below it fit into a terminal.
func Fit(root *cobra.Command) {
	root.SetUsageTemplate(strings.NewReplacer(
		".LocalFlags.FlagUsages ", ".LocalFlags.FlagUsagesWrapped 80 ",
		".InheritedFlags.FlagUsages ", ".InheritedFlags.FlagUsagesWrapped 80 ").Replace(root.UsageTemplate()))
	fit(root)
}

func fit(cmd *cobra.Command) {
	cmd.Long = Reflow(cmd.Long)
	for _, sub := range cmd.Commands() {
		fit(sub)
	}
}

// short is a line that ends where its sense does, not where there was no room.
const short = 60

// Reflow breaks paragraphs that have a line too long. Lines that are indented
// stay as they are.
func Reflow(text string) string {
	var out, paragraph []string
	flush := func() {
		wide := false
		for _, line := range paragraph {
			wide = wide || utf8.RuneCountInString(line) > Width
		}
		if wide {
			paragraph = fill(strings.Join(paragraph, " "))
		}
		out, paragraph = append(out, paragraph...), nil
	}
	for _, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == ' ' {
			flush()
			out = append(out, line)
			continue
		}
		if n := len(paragraph); n > 0 && utf8.RuneCountInString(paragraph[n-1]) < short {
			flush()
		}
		paragraph = append(paragraph, line)
	}
	flush()
	return strings.Join(out, "\n")
}

func fill(text string) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > Width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}
