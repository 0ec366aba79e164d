// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cluster"
)

// devOptions are the flags of dev.
type devOptions struct {
	size            int
	dataDir         string
	basePort        int
	adminFile       string
	replicationFile string
	readyFile       string
	rateLimits      string
	restart         string
	noTLS           bool
	context         string
	set             []string
}

// Ports of member i: wire base+i, peer base+100+i, ops base+200+i.
const (
	peerPortOffset = 100
	opsPortOffset  = 200
	maxDevMembers  = 9
)

func newDev() *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use: "dev", Short: "Run a whole cluster on this machine, one process per member", Args: cobra.NoArgs,
		Long: `dev starts the members of a cluster as separate processes on loopback, so that one can be killed and comes back.
The first start creates the cluster in --data-dir, later starts continue with it. Member i listens on base-port+i for
clients, base-port+100+i for members and base-port+200+i for operators. Ctrl-C stops all members in good order.

The ready file is written when a leader serves, and rewritten whenever a process or the leader changes:
  {"members":[{"id":…,"wire":"127.0.0.1:9000","peer":…,"ops":…,"pid":…}],
   "leader":…}
A member that does not run has no pid in it; "leader" is empty when a process ended and nobody leads yet.
A data directory is used by one dev at a time, and keeps its ports.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetContext(untilHangUp(cmd.Context()))
			if err := o.validate(); err != nil {
				return err
			}
			d := &dev{devOptions: o, out: cmd.OutOrStdout()}
			return d.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.size, "members", 3, "number of members")
	f.IntVar(&o.size, "nodes", 3, "the former name of --members")
	_ = f.MarkHidden("nodes") // fails only for a flag that is not there
	f.StringVar(&o.dataDir, "data-dir", "data", "directory for the members' data directories, logs and settings")
	f.IntVar(&o.basePort, "base-port", 9000, "client port of the first member")
	f.StringVar(&o.adminFile, "admin-token-file", "", "file with the admin token; made with a random token when it does not exist. Without the flag no administrative command is accepted")
	f.StringVar(&o.replicationFile, "replication-token-file", "", "file with the token for subscribe_replication; made like the admin token")
	f.StringVar(&o.readyFile, "ready-file", "", "file that names the members and the leader once the cluster serves")
	f.StringVar(&o.rateLimits, "rate-limits", "on", "on or off")
	f.StringVar(&o.restart, "restart", "always", "what to do when a member ends: always or never")
	f.BoolVar(&o.noTLS, "no-tls", false, "serve clients in clear text (members among themselves always use mutual TLS)")
	f.StringVar(&o.context, "context", "dev", contextHelp)
	f.StringArrayVar(&o.set, "set", nil, "a setting for every member as in raft.snapshot_threshold=64 (repeatable)")
	return cmd
}

func (o *devOptions) validate() error {
	switch {
	case o.size < 1 || o.size > maxDevMembers:
		return fmt.Errorf("--members: %d is not between 1 and %d", o.size, maxDevMembers)
	case o.basePort < 1 || o.basePort+opsPortOffset+o.size > 65535:
		return fmt.Errorf("--base-port: %d leaves no room for the ports up to base-port+%d", o.basePort, opsPortOffset+o.size)
	case o.rateLimits != "on" && o.rateLimits != "off":
		return fmt.Errorf("--rate-limits: %q is not on or off", o.rateLimits)
	case o.restart != "always" && o.restart != "never":
		return fmt.Errorf("--restart: %q is not always or never", o.restart)
	}
	c := defaultConfig()
	for _, kv := range o.set {
		if _, _, err := parseSet(&c, kv); err != nil {
			return fmt.Errorf("--set: %w", err)
		}
	}
	return nil
}

// dev is a running development cluster.
type dev struct {
	devOptions
	out     io.Writer
	members []*devMember
	home    *devHome
}

func (o *devOptions) addr(offset, i int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(o.basePort+offset+i))
}

// exportDir is where audit exports may write files: alike for all members.
func (d *dev) exportDir() string {
	dir := filepath.Join(d.dataDir, "export")
	if whole, err := filepath.Abs(dir); err == nil {
		return whole
	}
	return dir
}

func (d *dev) dir(i int) string { return filepath.Join(d.dataDir, fmt.Sprintf("n%d", i+1)) }

func (d *dev) run(ctx context.Context) error {
	var err error
	if d.home, err = openDevHome(d.dataDir, d.basePort, initialised(d.dir(0))); err != nil {
		return err
	}
	defer d.home.close()
	if d.readyFile != "" {
		if err := os.Remove(d.readyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if initialised(d.dir(d.size)) {
		return fmt.Errorf("%s holds a cluster of more than %d members: start it with the same --members as before, or with an empty --data-dir", d.dataDir, d.size)
	}
	for _, path := range []string{d.adminFile, d.replicationFile} {
		if err := ensureToken(path); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(d.exportDir(), 0o700); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for i := range d.size {
		d.members = append(d.members, d.newMember(self, i))
	}
	// Members are stopped together whatever happens below.
	defer d.stopAll()
	if err := d.startAll(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C while starting
		}
		return err
	}
	return d.watch(ctx)
}

// startAll creates what does not exist yet and starts every member: the first
// alone when the cluster is new, since the others join through it.
func (d *dev) startAll(ctx context.Context) error {
	if !initialised(d.dir(0)) {
		if _, err := initCluster(ctx, d.dir(0), d.addr(peerPortOffset, 0), d.adminFile, d.replicationFile); err != nil {
			return err
		}
	}
	started := false
	for i, m := range d.members {
		if !initialised(d.dir(i)) {
			if !started {
				if err := d.awaitLeader(ctx); err != nil {
					return err
				}
				started = true
			}
			if err := d.join(ctx, i); err != nil {
				return err
			}
		}
		if err := m.start(); err != nil {
			return err
		}
	}
	return nil
}

func initialised(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "member.json"))
	return err == nil
}

// joinWithin bounds how long a member takes to join, and how long its token is
// good: nobody else is to use it.
const joinWithin = 30 * time.Second

// join brings member i into the cluster with a token from the first member.
func (d *dev) join(ctx context.Context, i int) error {
	a, err := cluster.DialAdmin(d.dir(0))
	if err != nil {
		return err
	}
	defer a.Close()
	ctx, cancel := context.WithTimeout(ctx, joinWithin)
	defer cancel()
	token, _, err := a.JoinToken(ctx, false, joinWithin)
	if err != nil {
		return fmt.Errorf("join token for member %d: %w", i+1, err)
	}
	return cluster.Join(ctx, cluster.JoinConfig{DataDir: d.dir(i), Token: token, PeerAdvertise: d.addr(peerPortOffset, i),
		Version: buildVersion().Version, LevelMin: levelMin, LevelMax: levelMax})
}

// awaitLeader waits until the members that run have a leader that serves.
func (d *dev) awaitLeader(ctx context.Context) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		if leader, _ := d.survey(ctx); leader != "" {
			return nil
		}
		if err := d.deadMember(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no leader after 30 s; see the logs in %s", d.dataDir)
		}
		if !pause(ctx, surveyEvery) {
			return ctx.Err()
		}
	}
}

// deadMember reports a member that ended while the cluster is being put together.
func (d *dev) deadMember() error {
	for _, m := range d.members {
		if code, ended := m.ended(); ended {
			return fmt.Errorf("member %d ended with code %d; its log is %s:\n%s", m.number, code, m.logPath(), m.logTail())
		}
	}
	return nil
}

// pause waits, false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// ensureToken makes a file with a random token when a path is given and
// nothing is there.
func ensureToken(path string) error {
	if path == "" {
		return nil
	}
	if _, err := os.Stat(path); path == "-" || !errors.Is(err, os.ErrNotExist) {
		return err
	}
	raw := make([]byte, 24)
	if _, err := rand.Read(raw); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(hex.EncodeToString(raw)+"\n"), 0o600)
}
