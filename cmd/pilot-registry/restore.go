// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cmd/internal/backup"
	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
)

// restoreFlags are the flags of restore.
type restoreFlags struct {
	from, keyring, ringPassphrase string
	keys                          backup.Keys
	dataDir, advertise, context   string
	runSinks, drill               bool
}

const restoreHelp = `restore prepares an empty data directory for the first member of a new cluster that holds what a backup holds: nodes,
networks, trust, tokens, the audit trail and the wire certificate as they were. Cluster id and cluster CA are new, so that
members of the old cluster cannot take part. Clients that pin the wire certificate go on unchanged; the SDK and pilotctl learn the new id by themselves.

Backups are made with: pilotctl cluster snapshot save FILE. The keyring is the file keyring of any member's data directory
of that cluster, of the backup's time or later, or what pilot-registry keyring export made of it.

Audit exports and webhooks wait until each is configured again (pilotctl audit sink put, webhook set), so that a copy of a
cluster delivers nothing; --run-sinks lets them go on where the backup was.

With --drill nothing is kept: the backup is restored into a temporary directory, started on this machine only, compared
and removed.`

func newRestore() *cobra.Command {
	var o restoreFlags
	cmd := &cobra.Command{
		Use: "restore", Short: "Make a new cluster from a backup, with this machine as its first member", Args: cobra.NoArgs,
		Long: restoreHelp,
	}
	told := newMemberFlags(cmd)
	form := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := form()
		if err != nil {
			return err
		}
		if o.drill {
			report, err := o.rehearse(cmd.Context())
			if err != nil {
				return err
			}
			return p.Value(report)
		}
		c, err := told.load(cmd)
		if err != nil {
			return err
		}
		o.dataDir, o.advertise = c.DataDir, c.peerAdvertise()
		res, pin, err := o.restore(cmd.Context())
		if err != nil {
			return err
		}
		if err := told.keep(c); err != nil {
			return err
		}
		r := summary(res, pin)
		r.Context = remember(cmd.ErrOrStderr(), o.context, c.contextOf(pin, ""))
		if !p.ForPeople() {
			return p.Value(r)
		}
		return r.print(cmd.OutOrStdout(), told.runLine(c))
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "`file` with the backup; - is standard input")
	f.StringVar(&o.keyring, "keyring", "", "`file` with the keyring of the cluster that was backed up")
	f.StringVar(&o.ringPassphrase, "keyring-passphrase-file", "", "`file` with the passphrase of an exported keyring")
	o.keys.OpenFlags(f)
	f.StringVar(&o.context, "context", "registry", contextHelp)
	f.BoolVar(&o.runSinks, "run-sinks", false, "let audit exports and webhooks go on where the backup was")
	f.BoolVar(&o.drill, "drill", false, "only try it: restore, start, compare, remove")
	must(cmd.MarkFlagRequired("from"))
	must(cmd.MarkFlagRequired("keyring"))
	return cmd
}

// restored is what restore answers.
type restored struct {
	Cluster       string `json:"cluster_id"`
	From          string `json:"from_cluster"`
	Member        string `json:"member_id"`
	Index         uint64 `json:"index"`
	RecoveryPoint string `json:"recovery_point"`
	Nodes         int    `json:"nodes"`
	WirePin       string `json:"wire_pin,omitempty"`
	HeldSinks     int    `json:"held_sinks"`
	JoinToken     string `json:"join_token"`
	Context       string `json:"context,omitempty"`
}

func (o *restoreFlags) restore(ctx context.Context) (cluster.RestoreResult, string, error) {
	state, ring, err := o.open()
	if err != nil {
		return cluster.RestoreResult{}, "", err
	}
	defer state.Close()
	res, err := cluster.Restore(ctx, cluster.RestoreConfig{DataDir: o.dataDir, Backup: state, Keyring: ring, PeerAdvertise: o.advertise, RunSinks: o.runSinks})
	if err != nil {
		return res, "", err
	}
	pin, err := wirePin(o.dataDir)
	if err != nil { // wire.tls is files or off then
		pin = ""
	}
	return res, pin, nil
}

// open opens the backup and reads the keyring.
func (o *restoreFlags) open() (io.ReadCloser, []byte, error) {
	ring, err := readKeyring(o.keyring, o.ringPassphrase)
	if err != nil {
		return nil, nil, err
	}
	state, err := backup.Open(o.from, os.Stdin, &o.keys)
	if err != nil {
		return nil, nil, &failure.Error{Err: err, Exit: failure.Usage, Hint: "a backup is made with: pilotctl cluster snapshot save FILE"}
	}
	return state, ring, nil
}

// readKeyring reads a member's keyring or an exported one.
func readKeyring(path, passphraseFile string) ([]byte, error) {
	r, err := backup.Open(path, os.Stdin, &backup.Keys{PassphraseFile: passphraseFile})
	if errors.Is(err, backup.ErrNoKey) { // its flags are for the backup
		err = fmt.Errorf("%s is encrypted: give pilot-registry restore --keyring-passphrase-file", path)
	}
	if err != nil {
		return nil, &failure.Error{Err: fmt.Errorf("the keyring: %w", err), Exit: failure.Usage, Hint: "it is the file keyring of a member's data directory, or what pilot-registry keyring export made of it, which --keyring-passphrase-file opens"}
	}
	defer r.Close()
	return io.ReadAll(r)
}

func summary(res cluster.RestoreResult, pin string) *restored {
	held := 0
	for _, s := range res.Root.Sinks() {
		if s.Held() {
			held++
		}
	}
	return &restored{Cluster: res.ClusterID, From: res.From.ClusterID(), Member: res.MemberID, Index: res.From.Index(), RecoveryPoint: backup.Time(res.From).Format(time.RFC3339),
		Nodes: res.From.NodeCount(), WirePin: pin, HeldSinks: held, JoinToken: res.JoinToken}
}

func (r *restored) print(out io.Writer, run string) error {
	fmt.Fprintf(out, "cluster         %s (was %s)\nmember          %s\nrecovery point  %s (index %d)\nnodes           %d\n", r.Cluster, r.From, r.Member, r.RecoveryPoint, r.Index, r.Nodes)
	if r.WirePin != "" {
		fmt.Fprintf(out, "wire pin        %s (as it was)\n", r.WirePin)
	}
	if r.HeldSinks > 0 {
		fmt.Fprintf(out, "\nSinks held back until they are configured again: %d (see: pilotctl audit sinks)\n", r.HeldSinks)
	}
	fmt.Fprintf(out, "\nStart this member:\n  %s\n", run)
	_, err := fmt.Fprintf(out, "\nNext member, within a day (the token works once, keep it secret):\n  pilot-registry join --token %s --peer-advertise HOST:PORT\n", r.JoinToken)
	return err
}

// drilled is what a drill found.
type drilled struct {
	Usable        bool   `json:"usable"`
	From          string `json:"from_cluster"`
	Index         uint64 `json:"index"`
	RecoveryPoint string `json:"recovery_point"`
	// Behind is how old the recovery point is: what a restore now would lose.
	Behind string `json:"behind"`
	// RestoreMS and StartMS add up to the time that a recovery takes, from the
	// file to a member that serves.
	RestoreMS int64  `json:"restore_ms"`
	StartMS   int64  `json:"start_ms"`
	Nodes     int    `json:"nodes"`
	Networks  int    `json:"networks"`
	Digest    string `json:"digest"`
	// DigestMatches says that the started member had read what was restored.
	DigestMatches bool `json:"digest_matches"`
}

// drillPatience bounds the start of a member in a drill.
const drillPatience = 10 * time.Minute

// rehearse restores a backup, starts it and looks whether it serves.
func (o *restoreFlags) rehearse(ctx context.Context) (*drilled, error) {
	dir, err := os.MkdirTemp("", "pilot-drill-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	addr, err := freeLoopback()
	if err != nil {
		return nil, err
	}
	o.dataDir, o.advertise = dir, addr
	began := time.Now()
	res, _, err := o.restore(ctx)
	if err != nil {
		return nil, err
	}
	restoredAt := time.Now()
	found, err := cluster.Inspect(dir, "")
	if err != nil {
		return nil, err
	}
	starting := time.Now()
	if err := startOnce(ctx, dir, addr); err != nil {
		return nil, fmt.Errorf("the restored member does not start: %w", err)
	}
	s := backup.Summarize(res.From)
	r := &drilled{From: s.ClusterID, Index: s.Index, RecoveryPoint: s.LogTime, Behind: time.Since(backup.Time(res.From)).Round(time.Second).String(),
		RestoreMS: restoredAt.Sub(began).Milliseconds(), StartMS: time.Since(starting).Milliseconds(), Nodes: s.Nodes, Networks: s.Networks, Digest: s.Digest,
		DigestMatches: found.Root.Digest() == res.Root.Digest()}
	if r.Usable = r.DigestMatches; !r.Usable {
		return r, errors.New("the restored data directory does not hold what was restored")
	}
	return r, nil
}

// startOnce starts a member that delivers nothing, waits until it serves and
// stops it.
func startOnce(ctx context.Context, dir, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, drillPatience)
	defer cancel()
	failed := make(chan error, 1)
	m, err := cluster.Start(ctx, cluster.Config{DataDir: dir, PeerAddr: addr, PeerAdvertise: addr, Logger: hclog.NewNullLogger(), Version: buildVersion().Version,
		LevelMin: levelMin, LevelMax: levelMax, PreserveDowngrade: true,
		Fatal: func(code int, reason string) { failed <- fmt.Errorf("it ended with code %d: %s", code, reason) }})
	if err != nil {
		return err
	}
	ready := make(chan error, 1)
	go func() { ready <- m.Ready(ctx) }()
	select {
	case err = <-ready:
	case err = <-failed:
	}
	if err == nil {
		if _, e := m.ReadIndex(ctx); e != nil {
			err = e
		}
	}
	stopping, stop := context.WithTimeout(context.Background(), drainTimeout)
	defer stop()
	return errors.Join(err, m.Shutdown(stopping))
}

// freeLoopback is an address of this machine that nobody listens on.
func freeLoopback() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
