// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// keyringFile is where a data directory keeps the cluster keyring.
func keyringFile(dataDir string) string { return filepath.Join(dataDir, "keyring") }

func newInit() *cobra.Command {
	var adminFile, replicationFile, contextName string
	var wireNames []string
	cmd := &cobra.Command{
		Use: "init", Short: "Create a new cluster with this machine as its first member", Args: cobra.NoArgs,
		Long: `init prepares an empty data directory for the first member of a new cluster: member id, cluster id, cluster CA,
keyring and the cluster's wire certificate. It works offline; start the member with: pilot-registry run

The wire certificate is good for ten years, for the hosts of wire.advertise and peer.advertise, those in ops.hosts and
--wire-name, and for localhost. All members show it, so name the other members too if clients will check names. Clients
that pin it look at neither names nor dates.`,
	}
	told := newMemberFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&adminFile, "admin-token-file", "", "file with the first admin token, made with a random one if it is missing; without the flag no administrative command is accepted")
	f.StringVar(&contextName, "context", "registry", contextHelp)
	f.StringVar(&replicationFile, "replication-token-file", "", "file with the token for subscribe_replication")
	f.StringSliceVar(&wireNames, "wire-name", nil, "one more `host` that the wire certificate is good for, as the name of another member; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := told.load(cmd)
		if err != nil {
			return err
		}
		hosts, err := c.wireHosts(wireNames)
		if err != nil {
			return failure.Usagef(cmd, "%v", err)
		}
		if err := ensureToken(adminFile); err != nil {
			return err
		}
		res, err := initCluster(cmd.Context(), c.DataDir, c.peerAdvertise(), adminFile, replicationFile, hosts...)
		if err != nil {
			return err
		}
		if err := told.keep(c); err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		fmt.Fprintf(out, "cluster    %s\nmember     %s\nwire pin   %s\n", res.ClusterID, res.MemberID, res.pin)
		if res.JoinToken != "" {
			fmt.Fprintf(out, "\nNext member, within an hour of the first start (the token works once, keep it secret):\n  pilot-registry join --token %s --peer-advertise HOST:PORT\n", res.JoinToken)
		}
		if current := remember(cmd.ErrOrStderr(), contextName, c.contextOf(res.pin, adminFile)); current != "" {
			fmt.Fprintf(out, "\npilotctl reaches the cluster with --context %s; the one in use is %s\n", contextName, current)
		}
		_, err = fmt.Fprintf(out, "\nStart this member:\n  %s\n", told.runLine(c))
		return err
	}
	return cmd
}

type initResult struct {
	cluster.InitResult
	pin string
}

// wireHosts are the hosts that the wire certificate is good for: those that are
// advertised and asked for, and more.
func (c *config) wireHosts(more []string) ([]string, error) {
	var hosts []string
	for _, addr := range []string{c.wireAdvertise(c.Wire.Listen), c.peerAdvertise()} {
		if host, _, err := net.SplitHostPort(addr); err == nil && host != "" && !net.ParseIP(host).IsUnspecified() {
			hosts = append(hosts, host)
		}
	}
	for _, host := range slices.Concat(c.Ops.Hosts, more) {
		if host == "" || net.ParseIP(host) == nil && strings.Contains(host, ":") || !protocol.IsHostPort(net.JoinHostPort(host, "1")) {
			return nil, fmt.Errorf("invalid host %q: want a name or an IP address, without a port", host)
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

// initCluster makes the data directory of a first member and gives the
// cluster its wire certificate.
func initCluster(ctx context.Context, dataDir, advertise, adminFile, replicationFile string, hosts ...string) (initResult, error) {
	admin, err := readToken(adminFile)
	if err != nil {
		return initResult{}, err
	}
	replication, err := readToken(replicationFile)
	if err != nil {
		return initResult{}, err
	}
	res, err := cluster.Init(ctx, cluster.InitConfig{
		DataDir: dataDir, AdminToken: admin, ReplicationToken: replication, PeerAdvertise: advertise, Level: levelMax,
	})
	if err != nil {
		return initResult{}, err
	}
	k, err := keyring.Open(keyringFile(dataDir))
	if err != nil {
		return initResult{}, err
	}
	certPEM, keyPEM, err := server.SelfSigned(time.Now(), hosts...)
	if err != nil {
		return initResult{}, err
	}
	if err := k.SetWireCert(certPEM, keyPEM); err != nil {
		return initResult{}, err
	}
	pin, err := wirePin(dataDir)
	return initResult{InitResult: res, pin: pin}, err
}

// wirePin is what clients pin when the cluster's own certificate is in use.
func wirePin(dataDir string) (string, error) {
	cert, err := clusterCert(dataDir)
	if err != nil {
		return "", err
	}
	return server.Pin(cert)
}

func clusterCert(dataDir string) (tls.Certificate, error) {
	k, err := keyring.Open(keyringFile(dataDir))
	if err != nil {
		return tls.Certificate{}, err
	}
	certPEM, keyPEM := k.WireCert()
	if len(certPEM) == 0 {
		return tls.Certificate{}, errors.New("the keyring holds no wire certificate: set wire.tls to files or off")
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

// readToken reads a token from a file, and warns when others can read it too:
// mounted secrets often are readable, and their directory is not.
func readToken(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	read := func() ([]byte, error) { return io.ReadAll(os.Stdin) }
	if path != "-" {
		info, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		if info.Mode().Perm()&0o077 != 0 {
			fmt.Fprintf(os.Stderr, "warning: %s: mode %04o lets others read the token\n", path, info.Mode().Perm())
		}
		read = func() ([]byte, error) { return os.ReadFile(path) }
	}
	raw, err := read()
	if err != nil {
		return "", err
	}
	token := protocol.TrimSecret(string(raw))
	if token == "" {
		return "", fmt.Errorf("%s: the token is empty", path)
	}
	return token, nil
}

func newJoin() *cobra.Command {
	var token, tokenFile string
	cmd := &cobra.Command{
		Use: "join", Short: "Make this machine another member of an existing cluster", Args: cobra.NoArgs,
		Long: `join obtains this member's certificate and the cluster's keyring with a join token (see: pilot-registry cluster add)
and prepares an empty data directory. Then start the member with: pilot-registry run`,
	}
	told := newMemberFlags(cmd)
	cmd.Flags().StringVar(&token, "token", "", "join token; others on this machine can see it: --token-file is better")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "file with the join token; - is standard input")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := told.load(cmd)
		if err != nil {
			return err
		}
		if token == "" && tokenFile != "" {
			if token, err = readToken(tokenFile); err != nil {
				return err
			}
		}
		if token = protocol.TrimSecret(token); token == "" {
			return errors.New("a join token is required: --token or --token-file; an existing member prints one with: pilot-registry cluster add")
		}
		if err := joinCluster(cmd.Context(), c, token); err != nil {
			return err
		}
		if err := told.keep(c); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "joined; start this member:\n  %s\n", told.runLine(c))
		return err
	}
	return cmd
}

func joinCluster(ctx context.Context, c *config, token string) error {
	return cluster.Join(ctx, cluster.JoinConfig{DataDir: c.DataDir, Token: token, PeerAdvertise: c.peerAdvertise(),
		Version: buildVersion().Version, LevelMin: levelMin, LevelMax: levelMax})
}
