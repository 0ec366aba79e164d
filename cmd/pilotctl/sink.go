// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// sinkTable is what the table shows of sinks; -o json has all of it.
type sinkTable struct {
	Sinks []sinkRow `json:"sinks"`
}

type sinkRow struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	Format    string `json:"format,omitempty"`
	Endpoint  string `json:"endpoint,omitempty"`
	Required  bool   `json:"required,omitempty"`
	Seq       uint64 `json:"seq"`
	Lag       uint64 `json:"lag"`
	Delivered uint64 `json:"delivered"`
	Failed    uint64 `json:"failed"`
	Dropped   uint64 `json:"dropped"`
	DLQSize   int    `json:"dlq_size"`
	protocol.SinkTotals
	Stalled string `json:"stalled,omitempty"`
	Tries   uint32 `json:"tries,omitempty"`
	NextTry string `json:"next_try,omitempty"`
	Error   string `json:"error,omitempty"`
}

func auditSinks(a *app) *cobra.Command {
	cmd := wireCommand(a, "sinks", "audit_sink_list", exactly(0), nil)
	cmd.RunE = tableRunner(a, "audit_sink_list", func() any { return &sinkTable{} }, nil)
	return cmd
}

// secretFile is --secret-file: secrets are never arguments, which others on
// the machine can see.
type secretFile struct{ path string }

func addSecretFile(cmd *cobra.Command, what string) *secretFile {
	f := &secretFile{}
	cmd.Flags().StringVar(&f.path, "secret-file", "", "`file` with "+what+"; - is standard input")
	return f
}

func (f *secretFile) read() (protocol.Secret, error) {
	if f.path == "" {
		return "", nil
	}
	secret, err := readSecret("--secret-file", f.path)
	return protocol.Secret(secret), err
}

// exportFlags are what an export is told, as a sink or as the audit export.
type exportFlags struct {
	format, endpoint, index, source, framing string
	ack, batch, required                     bool
	maxLag                                   uint32
	secret                                   *secretFile
}

func addExport(cmd *cobra.Command) *exportFlags {
	f, flags := &exportFlags{}, cmd.Flags()
	flags.StringVar(&f.format, "format", "", "`format` of an export: json, splunk_hec, syslog_cef or file")
	flags.StringVar(&f.endpoint, "endpoint", "", "`URL`; for syslog_cef also udp://, tcp:// or tls://host:port; for file a path on the member that leads")
	flags.StringVar(&f.index, "index", "", "Splunk's `index` (default: the token's)")
	flags.StringVar(&f.source, "source", "", "Splunk's `source` (default: pilot-registry)")
	flags.BoolVar(&f.ack, "ack", false, "wait for Splunk's acknowledgement that events are indexed")
	flags.BoolVar(&f.batch, "batch", false, "several events a request, a line each, for json and for syslog_cef over HTTP")
	flags.StringVar(&f.framing, "framing", "", "how messages of syslog_cef over TCP or TLS end: octet_counting (default), newline or nul")
	must(cmd.RegisterFlagCompletionFunc("framing", cobra.FixedCompletions(
		[]cobra.Completion{protocol.FramingOctets, protocol.FramingNewline, protocol.FramingNUL}, cobra.ShellCompDirectiveNoFileComp)))
	flags.BoolVar(&f.required, "required", false, "refuse changes while this sink is too far behind")
	flags.Uint32Var(&f.maxLag, "max-lag", 0, "how many `events` a required sink may be behind (default 10000)")
	f.secret = addSecretFile(cmd, "the token of an export, or the signing secret (whsec_...) of a webhook")
	must(cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(
		[]cobra.Completion{protocol.FormatJSON, protocol.FormatSplunk, protocol.FormatCEF, protocol.FormatFile}, cobra.ShellCompDirectiveNoFileComp)))
	for _, name := range []string{"endpoint", "index", "source", "max-lag"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
	return f
}

func auditSinkPut(a *app) *cobra.Command {
	cmd := wireCommand(a, "put <name>", "audit_sink_put", exactly(1), nil)
	cmd.Long += "\n\nA sink that exists is replaced, and continues where it was. Without --secret-file it keeps its secret as long as\nthe endpoint stays."
	cmd.Example = "  pilotctl audit sink put siem --kind export --format splunk_hec --endpoint https://splunk:8088/services/collector/event --secret-file hec.token --ack\n" +
		"  pilotctl audit sink put alerts --kind webhook --endpoint https://alerts.example.org/in --secret-file - --actions 'member.*,network.deleted'"
	kind := cmd.Flags().String("kind", "", "`kind` of the sink: export, webhook or log")
	f := addExport(cmd)
	actions := cmd.Flags().StringSlice("actions", nil, "only these `actions`, as in member.kicked or member.*")
	networks := cmd.Flags().StringSlice("networks", nil, "only events of these `networks`, by id")
	must(cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(
		[]cobra.Completion{protocol.SinkExport, protocol.SinkWebhook, protocol.SinkLog}, cobra.ShellCompDirectiveNoFileComp)))
	for _, name := range []string{"actions", "networks"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
	cmd.RunE = runner(a, "audit_sink_put", func(s *session, args []string) (protocol.Body, error) {
		secret, err := f.secret.read()
		r := &protocol.AuditSinkPut{Name: args[0], Kind: *kind, Format: f.format, Endpoint: f.endpoint, Index: f.index, Source: f.source,
			Ack: f.ack, Batch: f.batch, Framing: f.framing, Required: f.required, MaxLag: f.maxLag, Actions: *actions, Networks: *networks, Secret: secret}
		return r, err
	})
	return cmd
}

func auditSinkDelete(a *app) *cobra.Command {
	return asking(wireCommand(a, "delete <sink>", "audit_sink_delete", exactly(1), func(_ *session, args []string) (protocol.Body, error) {
		return &protocol.SinkName{Name: args[0]}, nil
	}))
}

func exportCommand(a *app) *cobra.Command {
	show := wireCommand(a, "show", "get_audit_export", exactly(0), nil)
	show.Aliases = []string{"get"}
	return groupCommand("export", "set and show the audit export", exportSet(a), show)
}

func exportSet(a *app) *cobra.Command {
	set := wireCommand(a, "set", "set_audit_export", exactly(0), nil)
	set.Example = "  pilotctl export set --format syslog_cef --endpoint tls://siem:6514\n  pilotctl export set --off"
	f := addExport(set)
	off := addOff(set)
	set.RunE = runner(a, "set_audit_export", func(s *session, _ []string) (protocol.Body, error) {
		if *off != (f.format == "" && f.endpoint == "") || !*off && (f.format == "" || f.endpoint == "") {
			return nil, usagef(s.cmd, "give --format and --endpoint, or --off")
		}
		token, err := f.secret.read()
		if a.splunkToken != "" {
			token = protocol.Secret(a.splunkToken)
		}
		return &protocol.SetAuditExport{Format: f.format, Endpoint: f.endpoint, Token: token, Index: f.index, Source: f.source,
			Ack: f.ack, Batch: f.batch, Framing: f.framing, Required: f.required, MaxLag: f.maxLag}, err
	})
	return set
}

func addOff(cmd *cobra.Command) *bool { return cmd.Flags().Bool("off", false, "switch it off") }
