// SPDX-License-Identifier: Apache-2.0

// Package helptext fits the help of commands into a terminal.
package helptext

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Width is how wide a help is.
const Width = 80

func init() {
	cobra.AddTemplateFunc("fitFlags", flags)
	cobra.AddTemplateFunc("fitShort", func(text string, padding int) string { return hang(text, Width-padding-3, padding+3) })
	cobra.AddTemplateFunc("fitUse", func(text string) string { return hang(text, Width-6, 6) })
}

// Fit has the help of a command and all below it fit into a terminal.
func Fit(root *cobra.Command) {
	root.SetUsageTemplate(strings.NewReplacer(
		".LocalFlags.FlagUsages ", ".LocalFlags | fitFlags ",
		".InheritedFlags.FlagUsages ", ".InheritedFlags | fitFlags ",
		"{{rpad .Name .NamePadding }} {{.Short}}", "{{rpad .Name .NamePadding }} {{fitShort .Short .NamePadding}}",
		"{{.UseLine}}", "{{fitUse .UseLine}}",
		" for more information about a command.", " for more about one.").Replace(root.UsageTemplate()))
	fit(root)
}

// hang breaks a text into lines, of which the others are indented.
func hang(text string, width, indent int) string {
	return strings.Join(fill(text, width), "\n"+strings.Repeat(" ", indent))
}

// beside is how wide the names of flags may be for their texts to stand beside
// them.
const beside = 40

// flags are the texts of flags, beside their names or below them.
func flags(set *pflag.FlagSet) string {
	widest := 0
	names := map[string]string{}
	set.VisitAll(func(f *pflag.Flag) {
		kind, _ := pflag.UnquoteUsage(f)
		name := "      --" + f.Name
		if f.Shorthand != "" {
			name = "  -" + f.Shorthand + ", --" + f.Name
		}
		if names[f.Name] = strings.TrimRight(name+" "+kind, " "); !f.Hidden {
			widest = max(widest, len(names[f.Name]))
		}
	})
	if widest <= beside {
		return set.FlagUsagesWrapped(Width)
	}
	var b strings.Builder
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Deprecated != "" {
			return
		}
		_, text := pflag.UnquoteUsage(f)
		switch f.DefValue {
		case "", "0", "0s", "false", "[]":
		default:
			text += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		fmt.Fprintf(&b, "%s\n          %s\n", names[f.Name], strings.Join(fill(text, Width-10), "\n          "))
	})
	return b.String()
}

func fit(cmd *cobra.Command) {
	if cmd.Long == "" { // the short text stands in its place
		cmd.Long = cmd.Short
	}
	cmd.Long = Reflow(cmd.Long)
	cmd.Example = examples(cmd.Example)
	for _, sub := range cmd.Commands() {
		fit(sub)
	}
}

// short is a line that ends where its sense does, not where there was no room.
const short = 60

// examples breaks command lines that are too long before a flag.
func examples(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if utf8.RuneCountInString(line) <= Width {
			continue
		}
		parts := strings.Split(line, " --")
		lines[i], line = "", parts[0]
		for _, p := range parts[1:] {
			if utf8.RuneCountInString(line)+len(" --")+utf8.RuneCountInString(p) > Width-2 {
				lines[i] += line + " \\\n"
				line = "     "
			}
			line += " --" + p
		}
		lines[i] += line
	}
	return strings.Join(lines, "\n")
}

// Reflow breaks paragraphs that have a line too long. Lines that are indented
// are broken alone, with their indentation.
func Reflow(text string) string {
	var out, paragraph []string
	flush := func() {
		wide := false
		for _, line := range paragraph {
			wide = wide || utf8.RuneCountInString(line) > Width
		}
		if wide {
			paragraph = fill(strings.Join(paragraph, " "), Width)
		}
		out, paragraph = append(out, paragraph...), nil
	}
	for _, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == ' ' {
			flush()
			if utf8.RuneCountInString(line) > Width {
				indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
				line = indent + strings.Join(fill(line, Width-len(indent)), "\n"+indent)
			}
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

func fill(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}
