// SPDX-License-Identifier: Apache-2.0

package main

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

// inheritedRE are the flags of all commands, which the first page has.
var inheritedRE = regexp.MustCompile(`(?s)\.SH OPTIONS INHERITED FROM PARENT COMMANDS\n.*?\n(\.SH|$)`)

// manPages are the pages of a program, by file.
func manPages(t *testing.T, root *cobra.Command) map[string][]byte {
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
		pages[strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"] = inheritedRE.ReplaceAll(page.Bytes(), []byte("$1"))
	}
	walk(root)
	return pages
}

// The manual pages are those of the commands that there are.
func TestManPages(t *testing.T) {
	const dir = "../../deploy/man"
	pages := manPages(t, (&app{}).rootCommand())
	there, err := filepath.Glob(filepath.Join(dir, (&app{}).rootCommand().Name()+"*.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		if _, is := pages[filepath.Base(path)]; is {
			continue
		}
		if *update {
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
			continue
		}
		t.Errorf("%s is of a command that is gone; run: make generate", path)
	}
	for name, page := range pages {
		path := filepath.Join(dir, name)
		if *update {
			if err := os.WriteFile(path, page, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, page) {
			t.Errorf("%s is not up to date (%v); run: make generate", path, err)
		}
	}
}
