// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/backup"
	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/cmd/internal/original"
	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
)

// formatOriginal is the store file of the original registry.
const formatOriginal = "original"

const exportHelp = `export writes the state in a backup as the store file of the original single-node registry, so that this can go on with
it. Make the backup with: pilotctl cluster snapshot save FILE.

It lists, by object, what the file cannot hold. Join tokens of networks are kept as hashes: each such network gets
another token in the file, which is therefore secret.`

// exported is what export answers.
type exported struct {
	File     string          `json:"file"`
	From     string          `json:"from_cluster"`
	Index    uint64          `json:"index"`
	Nodes    int             `json:"nodes"`
	Networks int             `json:"networks"`
	Notes    []original.Note `json:"notes"`
}

func newExport() *cobra.Command {
	var from, to, format string
	var keys backup.Keys
	cmd := &cobra.Command{
		Use: "export", Short: "Write a backup as the store file of the original registry", Args: cobra.NoArgs,
		Long: exportHelp,
	}
	form := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := form()
		if err != nil {
			return err
		}
		if format != formatOriginal {
			return failure.Usagef(cmd, "unknown format %q: want %s", format, formatOriginal)
		}
		r, err := export(cmd, from, to, &keys)
		if err != nil {
			return err
		}
		if !p.ForPeople() {
			return p.Value(r)
		}
		r.print(cmd.OutOrStdout(), p.Form == output.Wide)
		return nil
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "`file` with the backup; - is standard input")
	f.StringVar(&to, "to", "", "store `file` to write, which must not be there yet")
	f.StringVar(&format, "format", formatOriginal, "`form` of the file: original")
	keys.OpenFlags(f)
	must(cmd.MarkFlagRequired("from"))
	must(cmd.MarkFlagRequired("to"))
	return cmd
}

func export(cmd *cobra.Command, from, to string, keys *backup.Keys) (*exported, error) {
	root, err := backup.Load(from, os.Stdin, keys)
	if err != nil {
		return nil, &failure.Error{Err: err, Exit: failure.Usage, Hint: "a backup is made with: pilotctl cluster snapshot save FILE"}
	}
	raw, notes, err := original.Write(root)
	if err != nil {
		return nil, err
	}
	if err := backup.Create(to, cmd.OutOrStdout(), &backup.Keys{}, func(w io.Writer) error {
		_, err := w.Write(raw)
		return err
	}); err != nil {
		return nil, err
	}
	s := backup.Summarize(root)
	return &exported{File: to, From: s.ClusterID, Index: s.Index, Nodes: s.Nodes, Networks: s.Networks, Notes: append([]original.Note{}, notes...)}, nil
}
