// SPDX-License-Identifier: Apache-2.0

// Package manpages checks the manual pages in deploy/man against the commands
// of a program. Only tests import it.
package manpages

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// inherited are the flags of all commands, which the first page has.
var inherited = regexp.MustCompile(`(?s)\.SH OPTIONS INHERITED FROM PARENT COMMANDS\n.*?\n(\.SH|$)`)

// Check reports every page of root in dir that is missing, out of date or of a
// command that is gone. With update it rewrites them instead.
func Check(t *testing.T, root *cobra.Command, dir string, update bool) {
	t.Helper()
	pages := generate(t, root)
	there, err := filepath.Glob(filepath.Join(dir, root.Name()+"*.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		if _, is := pages[filepath.Base(path)]; is {
			continue
		}
		if !update {
			t.Errorf("%s is of a command that is gone; run: make generate", path)
		} else if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
	for name, page := range pages {
		path := filepath.Join(dir, name)
		if update {
			if err := os.WriteFile(path, page, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, page) {
			t.Errorf("%s is not up to date (%v); run: make generate", path, err)
		}
	}
}

// generate makes the pages of a program, by file name.
func generate(t *testing.T, root *cobra.Command) map[string][]byte {
	t.Helper()
	root.DisableAutoGenTag = true
	root.InitDefaultCompletionCmd()
	pages := map[string][]byte{}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd.Hidden || cmd.Name() == "completion" || cmd.HasParent() && cmd.Parent().Name() == "completion" || cmd.Name() == "help" {
			return
		}
		var page bytes.Buffer
		epoch := time.Unix(0, 0).UTC()
		header := &doc.GenManHeader{Section: "1", Source: "Pilot registry " + protocol.Version, Manual: "Pilot registry", Date: &epoch}
		if err := doc.GenMan(cmd, header, &page); err != nil {
			t.Fatal(err)
		}
		pages[strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"] = inherited.ReplaceAll(page.Bytes(), []byte("$1"))
	}
	walk(root)
	return pages
}
