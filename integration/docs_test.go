package integration

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testInText = regexp.MustCompile("`(Test[A-Z][A-Za-z0-9]*)`")
	testInCode = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(`)
)

// A document that says which test holds a sentence must name one that exists.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	exists := map[string]bool{}
	walk(t, ".go", func(_, text string) {
		for _, m := range testInCode.FindAllStringSubmatch(text, -1) {
			exists[m[1]] = true
		}
	})
	named := 0
	walk(t, ".md", func(path, text string) {
		for _, m := range testInText.FindAllStringSubmatch(text, -1) {
			if named++; !exists[m[1]] {
				t.Errorf("%s names %s, which does not exist", path, m[1])
			}
		}
	})
	if named == 0 {
		t.Error("no document names a test: the pattern is wrong")
	}
}

// walk reads every file of the module with a suffix.
func walk(t *testing.T, suffix string, read func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, suffix) {
			return err
		}
		raw, err := os.ReadFile(path)
		if err == nil {
			read(path, string(raw))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
