// SPDX-License-Identifier: Apache-2.0

// Package contexts keeps what a person needs to reach a cluster under a name:
// addresses, how the server is verified and where the admin token is. Tokens
// themselves are not kept here.
package contexts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Context is how a cluster is reached.
type Context struct {
	Addrs          []string `json:"addrs"`
	TLS            bool     `json:"tls,omitempty"`
	TLSPin         string   `json:"tls_pin,omitempty"`
	TLSCA          string   `json:"tls_ca,omitempty"`
	AdminTokenFile string   `json:"admin_token_file,omitempty"`
	// Insecure allows tokens in clear text.
	Insecure bool `json:"insecure,omitempty"`
}

// File is what is kept: contexts by name, and the one in use.
type File struct {
	Current  string             `json:"current,omitempty"`
	Contexts map[string]Context `json:"contexts"`
}

// Path is where a person's contexts are.
func Path() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the home directory: %w; set HOME", err)
	}
	return filepath.Join(home, ".pilot", "contexts.json"), nil
}

// Load reads a file; one that is missing is empty.
func Load(path string) (*File, error) {
	f := &File{Contexts: map[string]Context{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read contexts: %w", err)
	}
	if err := json.Unmarshal(data, f); err != nil {
		return nil, fmt.Errorf("read contexts: %s: %s; repair or remove it", path, protocol.JSONProblem(err, data))
	}
	if f.Contexts == nil {
		f.Contexts = map[string]Context{}
	}
	return f, nil
}

var nameRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// CheckName says what is wrong with a name, "" for nothing.
func CheckName(name string) string {
	if nameRE.MatchString(name) {
		return ""
	}
	return fmt.Sprintf("invalid context name %q: want up to 63 letters, digits, dots, dashes and underscores", name)
}

// Names are the names in order.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.Contexts)) }

// Change reads a file, changes it and replaces it in one step. Of two changes
// at once neither is lost.
func Change(path string, change func(*File) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	unlock, err := lock(path + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	f, err := Load(path)
	if err != nil {
		return err
	}
	if err := change(f); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return replace(path, append(raw, '\n'))
}

// replace writes a file that only its owner can read, whole or not at all.
func replace(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".contexts-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// Put keeps a context under a name. It is the one in use if there was none.
func Put(path, name string, c Context) (current string, err error) {
	err = Change(path, func(f *File) error {
		f.Contexts[name] = c
		if _, is := f.Contexts[f.Current]; !is {
			f.Current = name
		}
		current = f.Current
		return nil
	})
	return current, err
}
