// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/pilotregistry/pilotregistry/cmd/internal/original"
	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
)

// shownObjects is how many objects a group of notes names.
const shownObjects = 5

// printReport tells a person what a file holds and what cannot be taken as it is.
func printReport(out io.Writer, file string, r *original.Report, all bool) {
	fmt.Fprintf(out, "file            %s, version %d\nsha256          %s\nchecksum        %s\nnext ids        node %d, network %d\n\n", file, r.Version, r.SHA256, r.Checksum, r.NextNode, r.NextNet)
	fmt.Fprintf(out, "%-22s %9s %9s %9s\n", "OBJECTS", "IN FILE", "TAKEN", "LEFT OUT")
	for _, t := range r.Objects {
		fmt.Fprintf(out, "%-22s %9d %9d %9d\n", t.Objects, t.InFile, t.Taken, t.LeftOut)
	}
	printNotes(out, r.Groups(), all)
}

func printNotes(out io.Writer, groups []original.Group, all bool) {
	was := ""
	for _, g := range groups {
		if g.Was != was {
			was = g.Was
			fmt.Fprintf(out, "\n%s:\n", strings.ToUpper(was))
		}
		output.Paragraph(out, "  ", g.Reason)
		shown := g.Of
		if !all {
			shown = g.Of[:min(len(g.Of), shownObjects)]
		}
		line := strings.Join(shown, ", ")
		if more := len(g.Of) - len(shown); more > 0 {
			line += fmt.Sprintf(", and %d more (-o wide lists all)", more)
		}
		output.Paragraph(out, "      ", line)
	}
}

func (r *imported) print(out io.Writer, run string) error {
	fmt.Fprintf(out, "\ncluster         %s\nmember          %s\nwire pin        %s\n", r.Cluster, r.Member, r.WirePin)
	if r.HeldSinks > 0 {
		fmt.Fprintf(out, "\nThe audit export is held back until it is configured again (pilotctl audit-export set).\n")
	}
	fmt.Fprintf(out, "\nStart this member:\n  %s\n", run)
	_, err := fmt.Fprintf(out, "\nNext member, within a day (the token works once, keep it secret):\n  pilot-registry join --token %s --peer-advertise HOST:PORT\n", r.JoinToken)
	return err
}

func (r *exported) print(out io.Writer, all bool) {
	fmt.Fprintf(out, "file            %s\ncluster         %s (index %d)\nnodes           %d\nnetworks        %d\n", r.File, r.From, r.Index, r.Nodes, r.Networks)
	printNotes(out, (&original.Report{Notes: r.Notes}).Groups(), all)
}
