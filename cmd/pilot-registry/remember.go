// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net"
	"path/filepath"

	"github.com/pilotregistry/pilotregistry/cmd/internal/contexts"
)

// contextHelp is the help of --context.
const contextHelp = "keep how the cluster is reached under this name for pilotctl, in ~/.pilot/contexts.json; empty keeps nothing"

// remember keeps a context for pilotctl. A cluster works without: what fails is
// told and changes nothing else.
func remember(say io.Writer, name string, c contexts.Context) (current string) {
	if name == "" {
		return ""
	}
	if c.AdminTokenFile != "" {
		if whole, err := filepath.Abs(c.AdminTokenFile); err == nil {
			c.AdminTokenFile = whole
		}
	}
	path, err := contexts.Path()
	if err == nil {
		current, err = contexts.Put(path, name, c)
	}
	if err != nil {
		fmt.Fprintf(say, "warning: no context for pilotctl was kept: %v\n", err)
	}
	return current
}

// peerAdvertise is where the other members reach this one.
func (c *config) peerAdvertise() string {
	if c.Peer.Advertise != "" {
		return c.Peer.Advertise
	}
	return c.Peer.Listen
}

// wireAdvertise is where clients reach a member that listens at an address.
func (c *config) wireAdvertise(listen string) string {
	if c.Wire.Advertise != "" {
		return c.Wire.Advertise
	}
	return c.reachable(listen)
}

// reachable is the address of a listener for others. One on all addresses is
// reached where the other members reach this one.
func (c *config) reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	if err != nil || host != "" && (ip == nil || !ip.IsUnspecified()) {
		return listen
	}
	if peer, _, err := net.SplitHostPort(c.peerAdvertise()); err == nil && peer != "" {
		host = peer
	}
	return net.JoinHostPort(host, port)
}

// contextOf is how pilotctl reaches the cluster of a member.
func (c *config) contextOf(pin, adminFile string) contexts.Context {
	made := contexts.Context{Addrs: []string{c.wireAdvertise(c.Wire.Listen)}, AdminTokenFile: adminFile}
	switch c.wireCertificate() {
	case wireTLSSelf:
		made.TLSPin = pin
	case wireTLSFiles:
		made.TLS = true
	}
	return made
}
