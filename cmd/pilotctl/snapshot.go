// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/backup"
	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// savedReport says what was saved.
type savedReport struct {
	File      string `json:"file"`
	Bytes     int64  `json:"bytes"`
	Encrypted bool   `json:"encrypted"`
	protocol.ClusterSnapshotReply
}

func snapshotCommand(a *app) *cobra.Command {
	return groupCommand("snapshot", "save the whole state as a backup, and look into backups", snapshotSave(a), snapshotInspect(a), snapshotVerify(a), snapshotDiff(a))
}

func snapshotSave(a *app) *cobra.Command {
	row := protocol.Must("cluster_snapshot")
	cmd := &cobra.Command{Use: "save <file>", Short: "save the whole state as a backup", Args: exactly(1), ValidArgsFunction: completeFiles("backup", "age"),
		Long: longHelp(row, "save the whole state as a backup") + "\n\nThe state is of one moment and holds everything that was acknowledged before. Any member can be asked. The file\n" +
			"appears when it is whole; one that is there is not replaced; - is standard output. A restore needs the keyring too,\n" +
			"the file keyring of any member's data directory: keep a copy of it apart from the backups.",
		Example: "  pilotctl cluster snapshot save registry.backup\n  pilotctl cluster snapshot save registry.backup.age --passphrase-file ./passphrase"}
	keys := &backup.Keys{}
	keys.SealFlags(cmd.Flags())
	stale := cmd.Flags().Bool("stale", false, "take what the asked member has, also without a quorum")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		report, err := s.save(args[0], keys, *stale)
		if err != nil {
			return err
		}
		if args[0] == "-" {
			s.say("saved the state of index %d, %d bytes", report.Index, report.Bytes)
			return nil
		}
		return a.printValue(report, &savedReport{})
	}
	return cmd
}

// save streams a backup into a file.
func (s *session) save(path string, keys *backup.Keys, stale bool) (*savedReport, error) {
	report := &savedReport{File: path, Encrypted: keys.Sealing()}
	at, done := s.spinner("saving")
	defer done()
	err := backup.Create(path, s.stdout, keys, func(w io.Writer) error {
		counted := &countedWriter{w: w, at: at}
		first, err := s.client.Snapshot(s.cmd.Context(), counted, stale)
		if first != nil {
			report.ClusterSnapshotReply, report.Bytes = *first, counted.bytes
		}
		return err
	})
	return report, err
}

// countedWriter counts what passes through it.
type countedWriter struct {
	w     io.Writer
	at    func(int64)
	bytes int64
}

func (c *countedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.bytes += int64(n)
	c.at(c.bytes)
	return n, err
}

func snapshotInspect(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "inspect <file>", Short: "show what a backup holds", Args: exactly(1), ValidArgsFunction: completeFiles("backup", "age"),
		Long:    "Show what a backup holds: its cluster, index and time, and its records by kind. All of it is verified on the way.\nNo registry is asked.",
		Example: "  pilotctl cluster snapshot inspect registry.backup"}
	keys := &backup.Keys{}
	keys.OpenFlags(cmd.Flags())
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		root, err := a.loadBackup(args[0], keys)
		if err != nil {
			return err
		}
		summary := backup.Summarize(root)
		if a.printer().Form == output.Table { // the digests of all kinds are for programs
			for i := range summary.Holdings {
				summary.Holdings[i].Digest = ""
			}
		}
		return a.printValue(summary, &backup.Summary{})
	}
	return cmd
}

// verifiedReport says that a backup can be used.
type verifiedReport struct {
	File      string `json:"file"`
	Usable    bool   `json:"usable"`
	ClusterID string `json:"cluster_id"`
	Index     uint64 `json:"index"`
	// RecoveryPoint is the log time: what was acknowledged up to then is there.
	RecoveryPoint string `json:"recovery_point"`
	Digest        string `json:"digest"`
	Records       int    `json:"records"`
	ReadMS        int64  `json:"read_ms"`
}

func snapshotVerify(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "verify <file>", Short: "check that a backup can be restored", Args: exactly(1), ValidArgsFunction: completeFiles("backup", "age"),
		Long: "Check that a backup can be restored: checksums, every record, and the digest computed again from the records.\nNo registry is asked.\n\n" +
			"With --boot it is restored into a directory of its own, started as a cluster of one member on this machine only,\n" +
			"compared record by record, and removed again; pilot-registry does that and has to be installed beside pilotctl or\nin PATH.",
		Example: "  pilotctl cluster snapshot verify registry.backup\n  pilotctl cluster snapshot verify registry.backup --boot --keyring ./keyring.age --keyring-passphrase-file ./pass"}
	keys := &backup.Keys{}
	keys.OpenFlags(cmd.Flags())
	boot := cmd.Flags().Bool("boot", false, "restore it on this machine, start it and compare")
	ring := &drillKeyring{}
	cmd.Flags().StringVar(&ring.file, "keyring", "", "`file` with the keyring of the cluster, for --boot")
	cmd.Flags().StringVar(&ring.passphrase, "keyring-passphrase-file", "", "`file` with the passphrase of an exported keyring, for --boot")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *boot {
			return a.drill(cmd, args[0], ring, keys)
		}
		start := time.Now()
		root, err := a.loadBackup(args[0], keys)
		if err != nil {
			return err
		}
		s := backup.Summarize(root)
		report := verifiedReport{File: args[0], Usable: true, ClusterID: s.ClusterID, Index: s.Index, RecoveryPoint: s.LogTime, Digest: s.Digest, ReadMS: time.Since(start).Milliseconds()}
		for _, h := range s.Holdings {
			report.Records += h.Records
		}
		return a.printValue(report, &verifiedReport{})
	}
	return cmd
}

// drillKeyring is the keyring of a drill.
type drillKeyring struct{ file, passphrase string }

// drill has pilot-registry restore and start the backup.
func (a *app) drill(cmd *cobra.Command, file string, ring *drillKeyring, keys *backup.Keys) error {
	if ring.file == "" {
		return usagef(cmd, "--boot needs --keyring, the file keyring of a member's data directory")
	}
	program, err := registryProgram()
	if err != nil {
		return err
	}
	args := []string{"restore", "--drill", "--from", file, "--keyring", ring.file, "--output", a.printer().Form}
	if ring.passphrase != "" {
		args = append(args, "--keyring-passphrase-file", ring.passphrase)
	}
	if keys.IdentityFile != "" {
		args = append(args, "--identity-file", keys.IdentityFile)
	}
	if keys.PassphraseFile != "" {
		args = append(args, "--passphrase-file", keys.PassphraseFile)
	}
	run := exec.CommandContext(cmd.Context(), program, args...)
	run.Stdin, run.Stdout, run.Stderr = os.Stdin, a.stdout, a.stderr
	err = run.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return &failure.Error{Err: errors.New("the restore drill failed"), Exit: exit.ExitCode(), Hint: "what pilot-registry said stands above"}
	}
	return err
}

// registryProgram finds pilot-registry beside this program, else in PATH.
func registryProgram() (string, error) {
	if own, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(own), "pilot-registry")
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	path, err := exec.LookPath("pilot-registry")
	if err != nil {
		return "", fmt.Errorf("pilot-registry is neither beside pilotctl nor in PATH: %w", err)
	}
	return path, nil
}

// diffReport is what two backups differ in.
type diffReport struct {
	From        string           `json:"from"`
	To          string           `json:"to"`
	SameCluster bool             `json:"same_cluster"`
	Entries     int64            `json:"entries"`
	Between     string           `json:"between"`
	Differences []fsm.Difference `json:"differences"`
}

func snapshotDiff(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "diff <from> <to>", Short: "show what changed between two backups", Args: exactly(2), ValidArgsFunction: completeFiles("backup", "age"),
		Long:    "Show what changed between two backups: records added, removed and changed, by kind. No registry is asked.",
		Example: "  pilotctl cluster snapshot diff monday.backup tuesday.backup"}
	keys := &backup.Keys{}
	keys.OpenFlags(cmd.Flags())
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		from, err := a.loadBackup(args[0], keys)
		if err != nil {
			return err
		}
		to, err := a.loadBackup(args[1], keys)
		if err != nil {
			return err
		}
		report := diffReport{From: args[0], To: args[1], SameCluster: from.ClusterID() == to.ClusterID(), Entries: int64(to.Index()) - int64(from.Index()),
			Between: backup.Time(to).Sub(backup.Time(from)).Round(time.Second).String(), Differences: []fsm.Difference{}}
		report.Differences = append(report.Differences, fsm.Differences(from, to)...)
		return a.printValue(report, &diffReport{})
	}
	return cmd
}

// loadBackup reads and verifies a backup.
func (a *app) loadBackup(path string, keys *backup.Keys) (*fsm.Root, error) {
	root, err := backup.Load(path, os.Stdin, keys)
	if err != nil {
		return nil, &failure.Error{Err: err, Code: protocol.CodeInvalid, Exit: failure.Usage, Hint: "a backup is made with: pilotctl cluster snapshot save FILE"}
	}
	return root, nil
}
