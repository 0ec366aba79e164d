// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/base/store"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check and show the configuration"}

	validate := &cobra.Command{
		Use: "validate", Short: "Check the configuration without starting anything", Args: cobra.NoArgs,
		Long: "Reads file, environment and flags as run does, and says everything that is wrong.",
	}
	loadValidate := configFlags(validate.Flags())
	validate.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadValidate()
		if err != nil {
			return err
		}
		if err := c.startable(); err != nil {
			return err
		}
		for _, w := range c.warnings() {
			fmt.Fprintln(cmd.ErrOrStderr(), "warning:", w)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "configuration ok")
		return err
	}

	show := &cobra.Command{
		Use: "show", Short: "Print the configuration in force as YAML", Args: cobra.NoArgs,
	}
	loadShow := configFlags(show.Flags())
	show.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadShow()
		if err != nil {
			return err
		}
		return yaml.NewEncoder(cmd.OutOrStdout()).Encode(c)
	}

	reference := &cobra.Command{
		Use: "reference", Short: "Print every setting with its flag, variable and default as Markdown", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return printReference(cmd.OutOrStdout()) },
	}

	cmd.AddCommand(validate, show, reference)
	return cmd
}

// startable looks at what run needs besides the settings themselves.
func (c *config) startable() error {
	var p problems
	if err := cluster.CheckAdvertise(c.peerAdvertise()); err != nil {
		p.add("peer.advertise: %v", err)
	}
	if c.wireCertificate() == wireTLSFiles {
		if _, err := server.LoadCertificate(c.Wire.TLSCert, c.Wire.TLSKey); err != nil {
			p.add("wire.tls_cert: %v", err)
		}
	}
	if c.Ops.TLS == wireTLSFiles {
		if _, err := server.LoadCertificate(c.Ops.TLSCert, c.Ops.TLSKey); err != nil {
			p.add("ops.tls_cert: %v", err)
		}
	}
	if info, err := os.Stat(c.Backup.Dir); c.Backup.Every > 0 && (err != nil || !info.IsDir()) {
		p.add("backup.dir: %s is no directory that can be read: make or mount it", c.Backup.Dir)
	}
	return errors.Join(p...)
}

// ofServices are variables that an orchestrator makes from the names of its
// services, of which one may be called pilot-registry.
var ofServices = regexp.MustCompile(`^\w+(_SERVICE_HOST=|_SERVICE_PORT(_\w+)?=|_PORT=\w+://|_PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?=)`)

// strangeVariables refuses variables that look like settings and are none: a
// misspelt one must not leave a default in force.
func strangeVariables() error {
	c := defaultConfig()
	known := []string{envPrefix + "CONFIG", envParent}
	for _, s := range settings(&c) {
		known = append(known, s.env())
	}
	var p problems
	environment := os.Environ()
	slices.Sort(environment)
	for _, pair := range environment {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(known, name) || ofServices.MatchString(pair) {
			continue
		}
		hint := "all are shown by: pilot-registry config reference"
		if near := protocol.Nearest(name, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		p.add("environment variable %s: there is no such setting; %s", name, hint)
	}
	return errors.Join(p...)
}

func printReference(out io.Writer) error {
	c := defaultConfig()
	fmt.Fprintf(out, "A setting is a key in the YAML file (`--config FILE` or `%sCONFIG`), an environment variable, or a flag of `pilot-registry run`. Flags win over the environment, the environment over the file, the file over `%s` in the data directory, in which `init` and `join` keep the flags they were given. Unknown keys and variables are errors.\n\n", envPrefix, keptName)
	fmt.Fprintln(out, "| key | flag | variable | default | meaning |\n|---|---|---|---|---|")
	for _, s := range settings(&c) {
		def := s.text()
		if def != "" {
			def = "`" + def + "`"
		}
		if _, err := fmt.Fprintf(out, "| `%s` | `--%s` | `%s` | %s | %s |\n", s.path, s.flag(), s.env(), def, s.help); err != nil {
			return err
		}
	}
	return nil
}

// warnings are choices that work but that an operator should know of.
func (c *config) warnings() []string {
	w := slices.Clone(c.overridden)
	if c.Wire.TLS == wireTLSOff {
		w = append(w, "wire.tls is off: admin tokens and join tokens of networks travel in clear text")
	}
	if c.Wire.TLS == wireTLSBoth {
		w = append(w, "wire.tls is both: clients that do not use TLS send tokens in clear text")
	}
	if c.wireCertificate() == wireTLSFiles {
		w = append(w, "wire.tls_cert is in use: clients that pin a certificate pin one leaf; use the same files on every member")
	}
	if c.Ops.TLS == wireTLSOff && c.opsReachable() {
		w = append(w, "ops.tls is off and ops.listen can be reached from other machines: admin tokens for metrics and status travel in clear text")
	}
	if c.Compat.OwnerReclaim {
		w = append(w, "compat.owner_reclaim is on: whoever knows a node's owner name can take over its id")
	}
	if c.Outbound.AllowLoopback {
		w = append(w, "outbound.allow_loopback is on: an administrator of the registry can make it call services of this machine")
	}
	if c.Compat.UnsignedRoleCommands {
		w = append(w, "compat.unsigned_role_commands is on: whoever knows an owner's or admin's node id can act with its role")
	}
	if c.Compat.UnsignedIdentity {
		w = append(w, "compat.unsigned_identity is on: whoever has any identity token can bind a node without an external identity to it")
	}
	if c.Raft.LogStore == store.KindWAL {
		w = append(w, "raft.log_store is wal: faster, but its authors call it experimental")
	}
	if !c.Rate.Enabled {
		w = append(w, "rate_limits.enabled is false: one source can use up this member")
	}
	return w
}

// opsReachable reports whether other machines can reach the ops listener.
func (c *config) opsReachable() bool {
	host, _, err := net.SplitHostPort(c.Ops.Listen)
	return err == nil && !onThisMachine(host)
}

// onThisMachine reports whether a listener at the host is heard by this machine only.
func onThisMachine(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
