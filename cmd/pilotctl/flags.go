// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

const defaultAddr = "127.0.0.1:9000"

// globalFlags are the flags of every command.
type globalFlags struct {
	addrs          []string
	identity       string
	node           string
	adminTokenFile string
	tls, noTLS     bool
	tlsCA, tlsPin  string
	consistency    string
	maxStaleness   time.Duration
	minIndex       uint64
	requestID      string
	timeout        time.Duration
	output         string
	json           bool
	context        string
	insecure       bool
}

func (g *globalFlags) register(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringSliceVar(&g.addrs, "addr", nil, "member `addresses`, host:port; repeat or separate by commas")
	f.StringVar(&g.context, "context", "", "reach the cluster of this `context`; see: pilotctl context list")
	f.StringVar(&g.identity, "identity", "", "identity `file` (default ~/.pilot/identity.json)")
	f.StringVar(&g.node, "node-id", "", "act for this `node`: id, address or hostname (default: that of the identity)")
	f.StringVar(&g.adminTokenFile, "admin-token-file", "", "`file` that holds the admin token (see also PILOT_ADMIN_TOKEN)")
	f.BoolVar(&g.tls, "tls", false, "use TLS and verify the server by the system's CAs")
	f.StringVar(&g.tlsCA, "tls-ca", "", "use TLS and verify the server by the CAs in this PEM `file`")
	f.StringVar(&g.tlsPin, "tls-pin", "", "use TLS and accept the certificate with this `SHA-256` only")
	f.BoolVar(&g.noTLS, "no-tls", false, "do not use TLS, whatever the environment says")
	f.BoolVar(&g.insecure, "insecure", false, "send tokens in clear text to other machines as well")
	f.StringVar(&g.consistency, "consistency", "", "read `level`: linearizable (default), bounded or stale")
	f.DurationVar(&g.maxStaleness, "max-staleness", 0, "how old a bounded read may be, as in 500ms")
	f.Uint64Var(&g.minIndex, "min-index", 0, "read a state of at least this log `index`")
	f.StringVar(&g.requestID, "request-id", "", "send a change under this `id`; the same id has one effect")
	f.DurationVar(&g.timeout, "timeout", 15*time.Second, "give up after this time")
	f.StringVarP(&g.output, "output", "o", output.Table, output.Help)
	f.BoolVar(&g.json, "json", false, "output the one-line JSON envelope, errors on stderr")
	fixed := func(flag string, values ...string) {
		must(root.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
	}
	must(root.RegisterFlagCompletionFunc("output", output.Complete))
	must(root.RegisterFlagCompletionFunc("context", func(cmd *cobra.Command, _ []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return completeContexts(cmd, nil, text)
	}))
	fixed("consistency", "linearizable", "bounded", "stale")
	for _, flag := range []string{"addr", "tls-pin", "max-staleness", "min-index", "request-id", "timeout"} {
		fixed(flag)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// configFile is ~/.pilot/config.json; a missing file is an empty one.
type configFile struct {
	Registry   string `json:"registry"`
	AdminToken string `json:"admin_token"`
	TLSPin     string `json:"tls_pin"`
	TLSCA      string `json:"tls_ca"`
	path       string // "" when there is none
	readable   bool   // by others than its owner
}

func pilotDir() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the home directory: %w; set HOME or give --identity", err)
	}
	return filepath.Join(home, ".pilot"), nil
}

func readConfig() (configFile, error) {
	var c configFile
	dir, err := pilotDir()
	if err != nil {
		return c, nil // flags and environment may say everything
	}
	path := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("read settings: %w", err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("read settings: %s: %s; repair or remove it", path, protocol.JSONProblem(err, data))
	}
	c.path = path
	if info, err := os.Stat(path); err == nil {
		c.readable = info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows"
	}
	return c, nil
}

func (g *globalFlags) identityPath() (string, error) {
	if g.identity != "" {
		return g.identity, nil
	}
	dir, err := pilotDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "identity.json"), nil
}

// clientOptions turns flags, environment and file into options of the SDK.
func (g *globalFlags) clientOptions(cmd *cobra.Command, r *reach) (client.Options, error) {
	if g.timeout <= 0 {
		return client.Options{}, usagef(cmd, "invalid --timeout %v: want more than nothing, as in 15s", g.timeout)
	}
	var err error
	o := client.Options{
		Addrs: r.addrs, Consistency: protocol.Level(g.consistency), MaxStaleness: g.maxStaleness,
		Timeout: g.timeout, RetryFor: g.timeout, UnreachableFor: 2 * time.Second,
	}
	// A member without a leader says so after seven seconds and is to be heard,
	// also when it is busy; another member is asked when one hangs.
	if len(o.Addrs) > 1 {
		o.Timeout = g.timeout * 2 / 3
	}
	switch {
	case g.maxStaleness == 0:
	case g.consistency == "":
		o.Consistency = protocol.Bounded
	case o.Consistency != protocol.Bounded:
		return o, usagef(cmd, "--max-staleness %v bounds no %s read: give it alone or with --consistency bounded", g.maxStaleness, g.consistency)
	}
	if o.AdminToken, err = g.adminToken(r); err != nil {
		return o, err
	}
	return o, g.setTLS(cmd, &o, r)
}

func (g *globalFlags) adminToken(r *reach) (string, error) {
	if g.adminTokenFile != "" {
		return readSecret("--admin-token-file", g.adminTokenFile)
	}
	fromEnv := protocol.TrimSecret(os.Getenv("PILOT_ADMIN_TOKEN"))
	switch {
	case fromEnv != "" && !(r.asked && r.context.AdminTokenFile != ""):
		return fromEnv, nil
	case r.context == nil:
		return protocol.TrimSecret(r.config.AdminToken), nil
	case r.context.AdminTokenFile != "":
		return readSecret("the admin token of context "+r.name, r.context.AdminTokenFile)
	}
	return "", nil
}

// readSecret reads a one-line secret file; - is standard input.
func readSecret(flag, path string) (string, error) {
	read := func() ([]byte, error) { return os.ReadFile(path) }
	if path == "-" {
		read = func() ([]byte, error) { return io.ReadAll(os.Stdin) }
	}
	data, err := read()
	if err != nil {
		return "", fmt.Errorf("read %s: %w", flag, err)
	}
	secret := protocol.TrimSecret(string(data))
	if secret == "" {
		return "", fmt.Errorf("read %s: %s is empty", flag, path)
	}
	return secret, nil
}

func (g *globalFlags) setTLS(cmd *cobra.Command, o *client.Options, r *reach) error {
	given := 0
	for _, set := range []bool{g.tls, g.tlsCA != "", g.tlsPin != "", g.noTLS} {
		if set {
			given++
		}
	}
	pin, ca := os.Getenv("PILOT_TLS_PIN"), os.Getenv("PILOT_TLS_CA")
	switch {
	case given > 1:
		return usagef(cmd, "--tls, --tls-ca, --tls-pin and --no-tls exclude each other")
	case g.noTLS:
	case g.tls:
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	case given == 1:
		o.CAFile, o.Pin = g.tlsCA, g.tlsPin
	case r.asked:
		r.context.secure(o)
	case pin != "":
		o.Pin = pin
	case ca != "":
		o.CAFile = ca
	case r.context != nil:
		r.context.secure(o)
	case r.config.TLSPin != "":
		o.Pin = r.config.TLSPin
	default:
		o.CAFile = r.config.TLSCA
	}
	return nil
}

// plainRemote is an address other than loopback that would be reached without
// TLS, or "".
func plainRemote(o client.Options) string {
	if o.TLS != nil || o.Pin != "" || o.CAFile != "" {
		return ""
	}
	for _, a := range o.Addrs {
		host, _, err := net.SplitHostPort(strings.TrimSpace(a))
		if err != nil {
			host = a
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return a
		}
	}
	return ""
}
