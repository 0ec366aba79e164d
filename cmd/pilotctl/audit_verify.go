// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func auditVerify(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "verify <file>", Short: "verify a copy of the audit log", Args: exactly(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		Long: "Verify a copy of the audit log.\n\nIt needs no registry. Both hash chains are computed again, from where the first line of the file says they\n" +
			"begin to where it says they end. When something was changed, added or taken out, the exit code is 1 and the\nerror names the line.",
		Example: "  pilotctl audit verify audit.jsonl",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.checkOutput(cmd); err != nil {
				return err
			}
			done := waiting(a, "verifying")
			report, err := verifyAudit(args[0])
			done()
			if err != nil {
				return err
			}
			return a.printValue(report, &auditReport{})
		},
	}
	return cmd
}

// auditReport is what was found out about a copy.
type auditReport struct {
	File      string        `json:"file"`
	ClusterID string        `json:"cluster_id"`
	Chains    []chainReport `json:"chains"`
}

type chainReport struct {
	Class    string `json:"class"`
	Events   int    `json:"events"`
	FirstSeq uint64 `json:"first_seq,omitempty"`
	LastSeq  uint64 `json:"last_seq,omitempty"`
	Head     string `json:"head"`
}

// chainCheck computes a class's chain as the lines come.
type chainCheck struct {
	chainReport
	want protocol.AuditChainEnd
	sum  [32]byte
}

// broken is a copy that does not verify.
func broken(path string, line int, err error) error {
	return &failure.Error{Err: fmt.Errorf("%s:%d: %w", path, line, err), Code: "broken", Exit: failure.Failed,
		Hint: "make another copy: pilotctl audit export; if that one is broken at the same event, compare with what the sinks have"}
}

func verifyAudit(path string) (*auditReport, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReader(f)
	raw, err := readLine(r)
	if err != nil {
		return nil, broken(path, 1, err)
	}
	report, checks, err := readHead(path, raw)
	if err != nil {
		return nil, broken(path, 1, err)
	}
	n := 1
	for last := uint64(0); ; {
		n++
		raw, err := readLine(r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			last, err = checkLine(checks, raw, last)
		}
		if err != nil {
			return nil, broken(path, n, err)
		}
	}
	for i, c := range checks {
		if err := c.end(); err != nil {
			return nil, broken(path, n, err)
		}
		report.Chains[i] = c.chainReport
	}
	return report, nil
}

// readLine reads a whole line. A last one without its end was cut.
func readLine(r *bufio.Reader) ([]byte, error) {
	raw, err := r.ReadBytes('\n')
	switch {
	case errors.Is(err, io.EOF) && len(raw) > 0:
		return nil, errors.New("the line is cut")
	case err != nil:
		return nil, err
	}
	return bytes.TrimSuffix(raw, []byte("\n")), nil
}

func readHead(path string, raw []byte) (*auditReport, []*chainCheck, error) {
	var ends protocol.AuditChainReply
	if err := json.Unmarshal(raw, &ends); err != nil || len(ends.Chains) == 0 {
		return nil, nil, errors.New("the first line does not say where the chains begin and end; is it a copy made by pilotctl audit export?")
	}
	var checks []*chainCheck
	seen := map[string]bool{}
	for _, c := range ends.Chains {
		anchor, err := hex.DecodeString(c.Anchor)
		if err != nil || len(anchor) != 32 || seen[c.Class] {
			return nil, nil, fmt.Errorf("the first line is wrong about the class %q", c.Class)
		}
		seen[c.Class] = true
		check := &chainCheck{chainReport: chainReport{Class: c.Class, Head: c.Head}, want: c}
		copy(check.sum[:], anchor)
		checks = append(checks, check)
	}
	return &auditReport{File: path, ClusterID: ends.ClusterID, Chains: make([]chainReport, len(checks))}, checks, nil
}

// checkLine checks an event, which must follow the one numbered last.
func checkLine(checks []*chainCheck, raw []byte, last uint64) (uint64, error) {
	var entry protocol.AuditEntry
	if err := json.Unmarshal(raw, &entry); err != nil {
		return last, errors.New("the line is not an event")
	}
	// What the chain does not cover must not be there: a field that was added,
	// or one that is there twice.
	if again, err := jsonLine(entry); err != nil || !bytes.Equal(again, raw) {
		return last, fmt.Errorf("event %d is not written as the registry writes it", entry.Seq)
	}
	e, err := entry.Event()
	if err != nil {
		return last, err
	}
	if e.Seq <= last {
		return last, fmt.Errorf("event %d comes after event %d", e.Seq, last)
	}
	for _, c := range checks {
		if c.Class == entry.Class {
			return e.Seq, c.add(e)
		}
	}
	return last, fmt.Errorf("event %d is of the class %s, of which the first line says nothing", e.Seq, entry.Class)
}

func (c *chainCheck) add(e protocol.AuditEvent) (err error) {
	if c.sum, err = protocol.VerifyChain(c.sum, []protocol.AuditEvent{e}); err != nil {
		return err
	}
	if c.Events++; c.Events == 1 {
		c.FirstSeq = e.Seq
	}
	c.LastSeq = e.Seq
	return nil
}

// end compares where the chain ended with where it should.
func (c *chainCheck) end() error {
	if got := hex.EncodeToString(c.sum[:]); got != c.want.Head {
		return fmt.Errorf("events of the class %s are missing at the end: the last is %d, the newest should be %d", c.Class, c.LastSeq, c.want.HeadSeq)
	}
	return nil
}
