// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cmd/internal/ask"
	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/cmd/internal/original"
	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// importFlags are the flags of import.
type importFlags struct {
	from, followed             string
	anyChecksum, runSinks      bool
	adminFile, replicationFile string
	wireCert, wireKey          string
	context                    string
}

const importHelp = `import prepares an empty data directory for the first member of a new cluster that holds what the store file of the
original single-node registry holds: nodes with their ids and keys, networks with members, roles, tokens, policies and
invites, trust, handshakes that wait, the identity provider, the audit export and the audit log. The original is not
changed. The other members join as usual.

It reports by object, with the reason, whatever cannot be taken as it is; when there is something, it asks. -o json
lists all of it. --dry-run reports and writes nothing.

--follow reads the file of a running original again whenever that writes it, says what it holds, and is told with Enter when
the original has been stopped. It takes what the file holds when it has not changed for three seconds, and makes the
member.

The file holds no admin token: give the one that clients have with --admin-token-file. --wire-cert and --wire-key take
the original's certificate along, so that daemons that pin it go on unchanged.

The audit export waits until it is configured again (pilotctl audit-export set), so that a trial delivers nothing;
--run-sinks lets it begin at once. The procedure is in docs/migrating.md.`

func newImport() *cobra.Command {
	var o importFlags
	cmd := &cobra.Command{
		Use: "import", Short: "Make a new cluster from the store file of the original registry", Args: cobra.NoArgs,
		Long: importHelp,
	}
	told := newMemberFlags(cmd)
	ask.Flags(cmd)
	form := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := form()
		if err != nil {
			return err
		}
		store, err := o.store(cmd)
		if err != nil {
			return err
		}
		return o.run(cmd, told, p, store)
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "store `file` of the original, registry.json; - is standard input")
	f.StringVar(&o.followed, "follow", "", "store `file` of a running original, read again whenever it changes, until Enter is pressed")
	f.BoolVar(&o.anyChecksum, "any-checksum", false, "take a file that does not match its checksum")
	f.BoolVar(&o.runSinks, "run-sinks", false, "let the audit export begin at once")
	f.StringVar(&o.adminFile, "admin-token-file", "", "`file` with the admin token that clients have, made with a random one if it is missing")
	f.StringVar(&o.replicationFile, "replication-token-file", "", "`file` with the token for subscribe_replication")
	f.StringVar(&o.wireCert, "wire-cert", "", "`file` with the certificate that the original shows its clients (PEM)")
	f.StringVar(&o.wireKey, "wire-key", "", "`file` with the key of that certificate (PEM)")
	f.StringVar(&o.context, "context", "registry", contextHelp)
	cmd.MarkFlagsMutuallyExclusive("from", "follow")
	cmd.MarkFlagsOneRequired("from", "follow")
	return cmd
}

// store reads the file, or follows it until the operator cuts over.
func (o *importFlags) store(cmd *cobra.Command) (*original.Store, error) {
	if o.followed == "" {
		return o.read()
	}
	if ask.DryRun(cmd) {
		return nil, failure.Usagef(cmd, "--dry-run looks at a file once: give it with --from")
	}
	o.from = o.followed
	if now, err := o.read(); err == nil { // else it may be half written
		if err := o.agree(cmd, true, now); err != nil {
			return nil, err
		}
	}
	return o.follow(cmd.Context(), cmd.ErrOrStderr(), os.Stdin)
}

// agree asks whether a file is to be imported that is not taken as it is. Who
// follows a file has agreed with --yes: at the end Enter is what is asked for.
func (o *importFlags) agree(cmd *cobra.Command, script bool, store *original.Store) error {
	if store.Report.Whole() {
		return nil
	}
	return ask.Confirm(cmd, cmd.ErrOrStderr(), script || o.followed != "", fmt.Sprintf("import the file with %d differences, which the report lists", len(store.Report.Notes)))
}

// imported is what import answers.
type imported struct {
	File string `json:"file"`
	original.Report
	Done      bool   `json:"done"`
	Cluster   string `json:"cluster_id,omitempty"`
	Member    string `json:"member_id,omitempty"`
	WirePin   string `json:"wire_pin,omitempty"`
	HeldSinks int    `json:"held_sinks,omitempty"`
	JoinToken string `json:"join_token,omitempty"`
	Context   string `json:"context,omitempty"`
}

func (o *importFlags) read() (*original.Store, error) {
	in := io.ReadCloser(os.Stdin)
	if o.from != "-" {
		f, err := os.Open(o.from)
		if err != nil {
			return nil, unreadable(err)
		}
		in = f
	}
	defer in.Close()
	raw, err := io.ReadAll(io.LimitReader(in, original.MaxBytes+1))
	if err != nil {
		return nil, unreadable(err)
	}
	store, err := original.Read(raw, original.Options{Now: time.Now(), AnyChecksum: o.anyChecksum})
	if err != nil {
		return nil, unreadable(fmt.Errorf("%s: %w", o.from, err))
	}
	return store, nil
}

func unreadable(err error) error {
	return &failure.Error{Err: err, Code: protocol.CodeInvalid, Exit: failure.Usage, Hint: "nothing was made; the store file is what the original was told with its store option, as a whole"}
}

// run reports what the file holds and makes the member.
func (o *importFlags) run(cmd *cobra.Command, told *settingFlags, p *output.Printer, store *original.Store) error {
	r := &imported{File: o.from, Report: store.Report}
	cfg := o.config(store)
	if err := cluster.TryImport(cfg); err != nil {
		return unreadable(err)
	}
	if p.ForPeople() {
		printReport(cmd.OutOrStdout(), o.from, &store.Report, p.Form == output.Wide)
	}
	if ask.DryRun(cmd) {
		if !p.ForPeople() {
			return p.Value(r)
		}
		return nil
	}
	c, err := told.load(cmd)
	if err != nil {
		return err
	}
	if err := o.agree(cmd, !p.ForPeople(), store); err != nil {
		return err
	}
	if err := o.found(cmd.Context(), c, &cfg, r); err != nil {
		return err
	}
	if err := told.keep(c); err != nil {
		return err
	}
	r.Context = remember(cmd.ErrOrStderr(), o.context, c.contextOf(r.WirePin, o.adminFile))
	if !p.ForPeople() {
		return p.Value(r)
	}
	return r.print(cmd.OutOrStdout(), told.runLine(c))
}

func (o *importFlags) config(store *original.Store) cluster.ImportConfig {
	return cluster.ImportConfig{InitConfig: cluster.InitConfig{Level: levelMax}, Doc: &store.Doc, Source: store.Report.SHA256, JoinTokens: store.JoinTokens,
		AdminTokens: store.AdminTokens, ExportToken: store.ExportToken, Keys: identity.IDKeys, RunSinks: o.runSinks}
}

// found makes the data directory of the first member.
func (o *importFlags) found(ctx context.Context, c *config, cfg *cluster.ImportConfig, r *imported) (err error) {
	if err := ensureToken(o.adminFile); err != nil {
		return err
	}
	if cfg.AdminToken, err = readToken(o.adminFile); err != nil {
		return err
	}
	if cfg.ReplicationToken, err = readToken(o.replicationFile); err != nil {
		return err
	}
	hosts, err := c.wireHosts(nil)
	if err != nil {
		return err
	}
	if cfg.WireCert, cfg.WireKey, err = o.certificate(hosts); err != nil {
		return err
	}
	cfg.DataDir, cfg.PeerAdvertise = c.DataDir, c.peerAdvertise()
	res, err := cluster.ImportState(ctx, *cfg)
	if err != nil {
		return err
	}
	r.Done, r.Cluster, r.Member, r.JoinToken = true, res.ClusterID, res.MemberID, res.JoinToken
	for _, s := range res.Root.Sinks() {
		if s.Held() {
			r.HeldSinks++
		}
	}
	r.WirePin, err = wirePin(c.DataDir)
	return err
}

// certificate is what clients of the original pin, or another one.
func (o *importFlags) certificate(hosts []string) (certPEM, keyPEM []byte, err error) {
	if o.wireCert == "" && o.wireKey == "" {
		return server.SelfSigned(time.Now(), hosts...)
	}
	certPEM, err = os.ReadFile(o.wireCert)
	keyPEM, errKey := os.ReadFile(o.wireKey)
	if err = errors.Join(err, errKey); err == nil {
		_, err = tls.X509KeyPair(certPEM, keyPEM)
	}
	if err != nil {
		return nil, nil, &failure.Error{Err: fmt.Errorf("the wire certificate: %w", err), Code: protocol.CodeInvalid, Exit: failure.Usage, Hint: "--wire-cert and --wire-key are the two files, in PEM, that the original was given"}
	}
	return certPEM, keyPEM, nil
}
