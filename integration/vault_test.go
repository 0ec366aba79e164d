// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// vault makes secrets that cannot be anything else and finds them again.
type vault struct {
	t       *testing.T
	secrets map[string]string
	needles map[string]string // form → what it is of
	// heard is everything that was answered or printed, by where it came from.
	heard map[string]*bytes.Buffer
}

func newVault(t *testing.T) *vault {
	return &vault{t: t, secrets: map[string]string{}, needles: map[string]string{}, heard: map[string]*bytes.Buffer{}}
}

// secret is the secret of a name. Between two halves that are looked for it
// has characters that encodings escape, so that it is found escaped, too, and
// cut short.
func (v *vault) secret(name string) string {
	if s, ok := v.secrets[name]; ok {
		return s
	}
	first, last := rand.Text(), rand.Text()
	v.knows(name, first, last)
	v.secrets[name] = first + `"<é>&'` + last
	return v.secrets[name]
}

// knows adds texts to look for.
func (v *vault) knows(name string, texts ...string) {
	for _, text := range texts {
		if len(text) < 16 {
			v.t.Fatalf("%s: %q is too short to be looked for", name, text)
		}
		for _, form := range forms(text) {
			v.needles[form] = name
		}
	}
}

// forms are a text as it may be written: plain, in hex, and in base64 at every
// position that it can have between other bytes.
func forms(text string) []string {
	h := hex.EncodeToString([]byte(text))
	out := []string{text, h, strings.ToUpper(h)}
	for before := range 3 {
		padded := append(make([]byte, before), text...)
		padded = padded[:len(padded)/3*3] // only whole groups are the same everywhere
		for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			out = append(out, enc.EncodeToString(padded)[(before+2)/3*4:])
		}
	}
	return out
}

var placeholder = regexp.MustCompile(`«[a-z0-9-]+»`)

// fill puts secrets where a request names them, as in "token":"«join»".
func (v *vault) fill(request string) string {
	return placeholder.ReplaceAllStringFunc(request, func(p string) string {
		quoted, err := json.Marshal(v.secret(strings.Trim(p, "«»")))
		if err != nil {
			v.t.Fatal(err)
		}
		return string(quoted[1 : len(quoted)-1])
	})
}

// hears keeps what was answered or printed.
func (v *vault) hears(where string, raw []byte) {
	if v.heard[where] == nil {
		v.heard[where] = &bytes.Buffer{}
	}
	v.heard[where].Write(raw)
	v.heard[where].WriteByte('\n')
}

// search looks for every secret in a text, in one pass, and says what it found.
func (v *vault) search(where string, raw []byte) {
	v.t.Helper()
	type beginning [8]byte
	begins := map[beginning][]string{}
	for form := range v.needles {
		b := beginning([]byte(form))
		begins[b] = append(begins[b], form)
	}
	found := map[string]bool{}
	for at := range max(len(raw)-len(beginning{})+1, 0) {
		for _, form := range begins[beginning(raw[at:])] {
			if name := v.needles[form]; !found[name] && bytes.HasPrefix(raw[at:], []byte(form)) {
				found[name] = true
				v.t.Errorf("%s has the secret %s: …%q…", where, name, raw[max(at-120, 0):min(at+len(form)+40, len(raw))])
			}
		}
	}
}

// searchDir looks through all files below a directory but those that the
// operator gave, and returns what it read together.
func (v *vault) searchDir(dir string, given ...string) (all []byte) {
	v.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		for _, g := range given {
			if path == filepath.Join(dir, g) {
				return nil
			}
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if plain, ok := inflate(v.t, raw); ok {
			raw = plain
		}
		v.search(strings.TrimPrefix(path, dir), raw)
		all = append(all, raw...)
		return nil
	})
	if err != nil {
		v.t.Fatal(err)
	}
	return all
}

// searchHeard looks through what was answered and printed.
func (v *vault) searchHeard() {
	v.t.Helper()
	for where, text := range v.heard {
		v.search(where, text.Bytes())
	}
}

// The vault finds what it is there to find.
func TestVault(t *testing.T) {
	v := newVault(t)
	s := v.secret("x")
	quoted, _ := json.Marshal(s)
	for _, before := range []string{"", "a", "ab", "abc"} {
		b64 := base64.StdEncoding.EncodeToString([]byte(before + s))
		for _, text := range []string{before + s, string(quoted), fmt.Sprintf("%q", s), b64, strings.TrimRight(b64, "="), base64.RawURLEncoding.EncodeToString([]byte(before + s)),
			fmt.Sprintf("%x", before+s), fmt.Sprintf("%X", s), s[:30], s[len(s)-30:]} {
			found := false
			for form := range v.needles {
				found = found || strings.Contains(text, form)
			}
			if !found {
				t.Errorf("%q is not found", text)
			}
		}
	}
}
