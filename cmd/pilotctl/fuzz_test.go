// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzFiles: any bytes are a listing or a blueprint, or are refused; reading
// them never panics, and what is refused is told with a text.
func FuzzFiles(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(corpusDir, "*"))
	if err != nil || len(files) == 0 {
		f.Fatal(err, files)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, seed := range []string{"a: &a {<<: *a}\n", "&a [*a]", "sep=\"\nexternal_id\"b\n", "\xff\xfe", "\xfe\xff\xd8", "external_id\t\n\t\n", "x-a: &m {<<: [*m, 1]}\nentries: [*m]\n", "---\n---\n"} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range []string{"stdin", "people.csv", "people.yaml"} {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			l, d, err := readListing(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(d.problems) == 0 && len(l.Entries) == 0 {
				t.Error("a listing without entries was taken")
			}
			b, bd, err := readBlueprint(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(bd.problems) == 0 && b.Name == "" {
				t.Error("a blueprint without a name was taken")
			}
			for _, p := range append(d.problems, bd.problems...) {
				if p.Text == "" {
					t.Errorf("a problem without a text: %+v", p)
				}
			}
		}
	})
}
