// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// bundled are the commands whose replies go into a bundle: what tells of the
// cluster's health, and nothing about nodes or persons.
var bundled = []string{
	"cluster_id", "cluster_status", "cluster_members", "cluster_join_token_list", "list_settings", "audit_chain", "audit_sink_list",
	"get_webhook", "get_audit_export", "get_idp_config",
}

// bundleFile is a file of a bundle.
type bundleFile struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
}

type bundleReport struct {
	File  string       `json:"file"`
	Files []bundleFile `json:"files"`
}

func debugCommand(a *app) *cobra.Command {
	bundle := &cobra.Command{Use: "bundle", Short: "collect what a report of a fault needs, without secrets, in one file", Args: exactly(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Collect what a report of a fault needs in one file (tar, gzip): versions, the cluster's status, members, settings,\n" +
			"sinks, identity provider, and what pilotctl doctor finds.\n\nTokens, keys, passwords and queries in URLs are taken out. Addresses and names of members stay: look\n" +
			"into the file before it is given away. What cannot be asked is noted in it.",
		Example: "  pilotctl debug bundle --out fault.tar.gz"}
	out := bundle.Flags().String("out", "", "`file` to make (default: pilot-debug-TIME.tar.gz)")
	bundle.RunE = func(cmd *cobra.Command, _ []string) error {
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		path := *out
		if path == "" {
			path = "pilot-debug-" + time.Now().UTC().Format("20060102T150405Z") + ".tar.gz"
		}
		report, err := s.bundle(path)
		if err != nil {
			return err
		}
		return a.printValue(report, &bundleReport{})
	}
	return groupCommand("debug", "collect what a report of a fault needs", bundle)
}

// bundle writes the file. One that exists is not replaced.
func (s *session) bundle(path string) (*bundleReport, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, &failure.Error{Err: fmt.Errorf("%s exists already", path), Code: protocol.CodeAlreadyExists, Exit: failure.Conflict, Hint: "name another file with --out"}
	}
	if err != nil {
		return nil, err
	}
	report := &bundleReport{File: path}
	err = s.fill(f, report)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return report, nil
}

func (s *session) fill(f *os.File, report *bundleReport) error {
	defer waiting(s.app, "collecting")()
	zip := gzip.NewWriter(f)
	tape := tar.NewWriter(zip)
	now := time.Now()
	put := func(name string, v any) error {
		raw, err := json.Marshal(v)
		if err != nil {
			return err
		}
		raw, err = withoutSecrets(raw)
		if err != nil {
			return err
		}
		report.Files = append(report.Files, bundleFile{name, len(raw)})
		if err := tape.WriteHeader(&tar.Header{Name: "pilot-debug/" + name, Mode: 0o600, Size: int64(len(raw)), ModTime: now}); err != nil {
			return err
		}
		_, err = tape.Write(raw)
		return err
	}
	about := map[string]any{"pilotctl": buildInfo(), "made": now.UTC().Format(time.RFC3339), "addresses": s.opts.Addrs, "context": s.reach.name}
	if err := put("about.json", about); err != nil {
		return err
	}
	for _, wire := range bundled {
		var answer any
		res, err := s.client.Do(s.ctx, wire, protocol.Must(wire).New())
		if err != nil {
			answer = map[string]string{"error": err.Error(), "code": client.CodeOf(err)}
		} else {
			answer = res.Raw
		}
		if err := put(wire+".json", answer); err != nil {
			return err
		}
	}
	if err := put("doctor.json", s.examine()); err != nil {
		return err
	}
	return errors.Join(tape.Close(), zip.Close())
}

// secretWords are parts of names of members whose text is nobody's business.
var secretWords = []string{"token", "secret", "password", "private", "signature", "authorization", "credential"}

// withoutSecrets takes out what a name or a form says is secret.
func withoutSecrets(raw []byte) ([]byte, error) {
	var doc any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	return json.MarshalIndent(redacted("", doc), "", "  ")
}

func redacted(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = redacted(key, value)
		}
	case []any:
		for i := range v {
			v[i] = redacted(name, v[i])
		}
	case string:
		for _, word := range secretWords {
			if v != "" && strings.Contains(strings.ToLower(name), word) {
				return "(taken out)"
			}
		}
		return plainURLs(v)
	}
	return v
}

// plainURLs takes users, paths and queries out of the URLs in a text: receivers
// often have their secret there.
func plainURLs(text string) string {
	words := strings.Fields(text)
	changed := false
	for i, word := range words {
		at := strings.Index(word, "://")
		if at < 0 {
			continue
		}
		begin := strings.LastIndexFunc(word[:at], func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }) + 1
		u, err := url.Parse(strings.Trim(word[begin:], `"',;`))
		if err != nil || u.Host == "" {
			words[i], changed = "(taken out)", true
			continue
		}
		words[i], changed = u.Scheme+"://"+u.Host+"/…", true
	}
	if !changed {
		return text
	}
	return strings.Join(words, " ")
}
