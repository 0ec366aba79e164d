// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net"
	"net/netip"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// signedEndpoint is the endpoint the registry records for a node that has
// signed its address: the address itself when others can reach it, so that a
// daemon can be where its control connection does not come from, else as
// [protocol.SanitizeEndpoint].
func signedEndpoint(source, listen string) string {
	if !protocol.IsHostPort(listen) || len(listen) > protocol.MaxBeaconAddrBytes {
		return protocol.SanitizeEndpoint(source, listen)
	}
	host, _, _ := net.SplitHostPort(listen) // cannot fail
	addr, err := netip.ParseAddr(host)
	if err != nil {
		name := strings.ToLower(strings.TrimSuffix(host, "."))
		if !strings.Contains(name, ".") || strings.HasSuffix(name, ".localhost") || strings.HasSuffix(name, ".local") {
			return protocol.SanitizeEndpoint(source, listen)
		}
		return listen
	}
	addr = addr.Unmap()
	if addr.IsPrivate() || !addr.IsGlobalUnicast() {
		return protocol.SanitizeEndpoint(source, listen)
	}
	return listen
}
