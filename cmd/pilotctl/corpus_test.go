// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const corpusDir = "../../integration/testdata/files"

// corpusRow is a line of the corpus's README.
type corpusRow struct{ file, kind, outcome string }

func corpus(t *testing.T) (rows []corpusRow) {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(corpusDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(readme)) {
		if cells := strings.Split(line, " | "); len(cells) == 4 && strings.HasPrefix(line, "| `") {
			rows = append(rows, corpusRow{strings.Trim(cells[0], "| `"), cells[1], cells[2]})
		}
	}
	return rows
}

// outcome reads a file and says what came of it as the README does.
func outcome(t *testing.T, path, kind string) string {
	t.Helper()
	if kind == "blueprint" {
		b, d, err := readBlueprint(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.problems) > 0 {
			return "refused: " + complaints(d)
		}
		return fmt.Sprintf("%s, %s", b.Name, plural(len(b.Roles), "role"))
	}
	l, d, err := readListing(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.problems) > 0 {
		return "refused: " + complaints(d)
	}
	out := 0
	for _, e := range l.Entries {
		if e.Disabled {
			out++
		}
	}
	return fmt.Sprintf("%d in, %d out", len(l.Entries)-out, out)
}

// What people really have is read as they mean it, or refused with the cause;
// what it is called makes no difference.
func TestFilesAsPeopleHaveThem(t *testing.T) {
	t.Parallel()
	listed := map[string]bool{"README.md": true}
	for _, row := range corpus(t) {
		listed[row.file] = true
		path := filepath.Join(corpusDir, row.file)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, name := range []string{path, write(t, "stdin", string(data))} {
			got := outcome(t, name, row.kind)
			if wants, refused := strings.CutPrefix(row.outcome, "refused: "); refused && strings.HasPrefix(got, "refused: ") && strings.Contains(got, wants) {
				continue
			}
			if got != row.outcome {
				t.Errorf("%s (as %s): %s, want %s", row.file, filepath.Base(name), got, row.outcome)
			}
		}
	}
	files, err := os.ReadDir(corpusDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !listed[f.Name()] {
			t.Errorf("%s is not listed in README.md with what it stands for", f.Name())
		}
	}
	t.Logf("%d files", len(listed)-1)
}
