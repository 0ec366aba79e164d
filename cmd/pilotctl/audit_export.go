// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

func auditExport(a *app) *cobra.Command {
	row := protocol.Must("get_audit_log")
	cmd := &cobra.Command{Use: "export", Short: "copy the audit log to a file and verify it", Args: exactly(0), ValidArgsFunction: cobra.NoFileCompletions,
		Long: longHelp(row, "copy the audit log to a file and verify it") + "\n\nThe first line says where the hash chains begin and end, each other line is an event. A file that is there is\n" +
			"replaced. --timeout bounds each page.",
		Example: "  pilotctl audit export --out audit.jsonl\n  pilotctl audit verify audit.jsonl"}
	out := cmd.Flags().String("out", "", "`file` to write")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *out == "" {
			return usagef(cmd, "--out is required")
		}
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		report, err := s.exportAudit(*out)
		if err != nil {
			return err
		}
		return a.printValue(report, &auditReport{})
	}
	return cmd
}

// exportTries is how often an export begins again because retention cut off
// events between the look at the chains and the first page.
const exportTries = 5

// exportAudit writes a copy of the log, which is complete and verified unless
// there is an error. A copy that does not verify stays, for a closer look.
func (s *session) exportAudit(path string) (report *auditReport, err error) {
	for try := 1; ; try++ {
		moved, err := s.writeAudit(path)
		if err != nil {
			return nil, err
		}
		if report, err = verifyAudit(path); err == nil || !moved || try == exportTries {
			return report, err
		}
	}
}

// writeAudit writes the log once. moved says that retention cut something
// off meanwhile.
func (s *session) writeAudit(path string) (moved bool, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".audit-*")
	if err != nil {
		return false, err
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name()) // when it was renamed there is nothing of this name
	}()
	w := bufio.NewWriter(f)
	before, err := s.copyAudit(w)
	if err != nil {
		return false, err
	}
	after, err := s.chains()
	if err != nil {
		return false, err
	}
	if err := w.Flush(); err != nil {
		return false, err
	}
	if err := f.Sync(); err != nil {
		return false, err
	}
	for i := range after.Chains {
		moved = moved || i >= len(before.Chains) || after.Chains[i].AnchorSeq != before.Chains[i].AnchorSeq
	}
	return moved, os.Rename(f.Name(), path)
}

func (s *session) chains() (*protocol.AuditChainReply, error) {
	return request[protocol.AuditChainReply](s, "audit_chain", nil)
}

// copyAudit writes the head line and the events up to the heads in it.
func (s *session) copyAudit(w *bufio.Writer) (*protocol.AuditChainReply, error) {
	ends, err := s.chains()
	if err != nil {
		return nil, err
	}
	head := map[string]uint64{}
	last := uint64(0)
	for _, c := range ends.Chains {
		head[c.Class] = c.HeadSeq
		last = max(last, c.HeadSeq)
	}
	if err := writeLine(w, ends); err != nil {
		return nil, err
	}
	at, done := progress(s.app, "events", int64(last))
	defer done()
	for after, more := uint64(0), true; more && after < last; {
		reply, err := s.auditPage(after)
		if err != nil {
			return nil, err
		}
		for i := range reply.Entries {
			e := &reply.Entries[i]
			if after = e.Seq; e.Seq > head[e.Class] {
				continue // younger than the head line
			}
			if err := writeLine(w, e); err != nil {
				return nil, err
			}
		}
		at(int64(after))
		more = reply.NextCursor != "" && len(reply.Entries) > 0
	}
	return ends, nil
}

func (s *session) auditPage(after uint64) (*protocol.GetAuditLogReply, error) {
	return request[protocol.GetAuditLogReply](s, "get_audit_log", &protocol.GetAuditLog{AfterSeq: after, Ascending: true}, client.WithLimit(1000))
}

func writeLine(w *bufio.Writer, v any) error {
	raw, err := jsonLine(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(raw, '\n'))
	return err
}

// jsonLine is a value as the registry's own exports write it.
func jsonLine(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// auditExportAlias is export under the original's name and verbs.
func auditExportAlias(a *app) *cobra.Command {
	set := exportSet(a)
	token := set.Flags().String("splunk-token", "", "the `token`; others on the machine can see it: --secret-file is better")
	must(set.RegisterFlagCompletionFunc("splunk-token", cobra.NoFileCompletions))
	set.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if *token != "" && cmd.Flags().Changed("secret-file") {
			return usagef(cmd, "--splunk-token and --secret-file exclude each other")
		}
		a.splunkToken = *token
		return nil
	}
	set.Example = "  pilotctl audit-export set --format splunk_hec --endpoint https://splunk:8088/services/collector --secret-file hec.token"
	off := wireCommand(a, "disable", "set_audit_export", exactly(0), func(*session, []string) (protocol.Body, error) {
		return &protocol.SetAuditExport{}, nil
	})
	off.Short, off.Long = "switch the audit export off", longHelp(protocol.Must("set_audit_export"), "switch the audit export off")
	return groupCommand("audit-export", "set and show the audit export, like export", set, wireCommand(a, "get", "get_audit_export", exactly(0), nil), off)
}
