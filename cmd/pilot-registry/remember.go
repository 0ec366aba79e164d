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

// clientAddr is where clients will reach the first member: it is started with
// the usual wire listener, if nothing else is known.
func clientAddr(peerAdvertise string) string {
	host, _, err := net.SplitHostPort(peerAdvertise)
	if err != nil {
		host = peerAdvertise
	}
	_, port, err := net.SplitHostPort(defaultConfig().Wire.Listen)
	if err != nil {
		port = "9000"
	}
	return net.JoinHostPort(host, port)
}
