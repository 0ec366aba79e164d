// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func (a *app) checkOutput(cmd *cobra.Command) error {
	switch a.flags.output {
	case "table", "json", "yaml":
		return nil
	}
	return usagef(cmd, "invalid output form %q: want table, json or yaml", a.flags.output)
}

// unreadable is the error for a reply that is not what a member answers.
func unreadable(err error, raw []byte) error {
	return fmt.Errorf("unreadable reply: %s; is the member of another version?", protocol.JSONProblem(err, raw))
}

// print writes a reply in the form that was asked for. typed is the reply
// decoded, for the table.
func (a *app) print(raw json.RawMessage, typed any) error {
	switch {
	case a.flags.json:
		return a.printEnvelope(raw)
	case a.flags.output == "json":
		var out bytes.Buffer
		if err := json.Indent(&out, raw, "", "  "); err != nil {
			return unreadable(err, raw)
		}
		_, err := fmt.Fprintf(a.stdout, "%s\n", out.Bytes())
		return err
	case a.flags.output == "yaml":
		return printYAML(a.stdout, raw)
	}
	if err := json.Unmarshal(raw, typed); err != nil {
		return unreadable(err, raw)
	}
	return printTable(a.stdout, typed)
}

func (a *app) printEnvelope(raw json.RawMessage) error {
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil {
		return unreadable(err, raw)
	}
	_, err := fmt.Fprintf(a.stdout, "{\"data\":%s,\"status\":\"ok\"}\n", line.Bytes())
	return err
}

// printYAML keeps the order of members: JSON is read as the YAML it is.
func printYAML(w io.Writer, raw []byte) error {
	var node yaml.Node
	if err := yaml.Unmarshal(raw, &node); err != nil {
		return fmt.Errorf("unreadable reply: %w", err)
	}
	plainStyle(&node)
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(&node); err != nil {
		return err
	}
	return enc.Close()
}

// plainStyle turns JSON's flow style into YAML's block style. Quotes stay
// where dropping them would change a value's type.
func plainStyle(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		n.Style = 0
		n.SetString(n.Value)
	}
	for _, c := range n.Content {
		plainStyle(c)
	}
}
