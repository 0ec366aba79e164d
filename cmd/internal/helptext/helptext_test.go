// SPDX-License-Identifier: Apache-2.0

package helptext_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/helptext"
)

// Nothing in a help is wider than a terminal, and nothing gets lost.
func TestHelpFits(t *testing.T) {
	t.Parallel()
	words := strings.Repeat("word ", 40) + "end"
	root := &cobra.Command{Use: "program", Short: "short", Long: words + "\n\n  indented " + words}
	sub := &cobra.Command{Use: "verb <one-long-argument> <another-long-argument> <a-third-long-argument> <last>", Short: words, Run: func(*cobra.Command, []string) {},
		Example: "  program verb --first " + strings.Repeat("x", 30) + " --second " + strings.Repeat("y", 30) + " --third z"}
	sub.Flags().String("a-name-that-is-as-long-as-those-of-settings", "a-value", words)
	sub.Flags().Bool("hidden", false, "secret")
	if err := sub.Flags().MarkHidden("hidden"); err != nil {
		t.Fatal(err)
	}
	root.AddCommand(sub)
	helptext.Fit(root)
	for _, cmd := range []*cobra.Command{root, sub} {
		var out bytes.Buffer
		cmd.SetOut(&out)
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(out.String(), "\n") {
			if utf8.RuneCountInString(line) > helptext.Width {
				t.Errorf("%s: %d columns: %s", cmd.Name(), utf8.RuneCountInString(line), line)
			}
		}
		if !strings.Contains(out.String(), "end") {
			t.Errorf("%s: %s", cmd.Name(), out.String())
		}
		if cmd == sub && (!strings.Contains(out.String(), "--third z") || !strings.Contains(out.String(), " \\\n") || !strings.Contains(out.String(), "(default a-value)") || strings.Contains(out.String(), "secret")) {
			t.Errorf("%s", out.String())
		}
	}
}
