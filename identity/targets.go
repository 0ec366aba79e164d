// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Targets are the places the operator lets the registry call although they are
// not public. The zero value allows none.
type Targets struct {
	prefixes []netip.Prefix
	// hosts are names and addresses as written, with the port they are
	// restricted to; port 0 means any.
	hosts map[target]bool
}

type target struct {
	host string
	port uint16
}

// ParseTargets reads allow_targets: networks (10.0.0.0/8), addresses, host
// names, and addresses or names with a port (siem.corp:8088, [fd12::1]:443).
func ParseTargets(list []string) (Targets, error) {
	t := Targets{hosts: map[target]bool{}}
	for _, entry := range list {
		entry = strings.ToLower(strings.TrimSpace(entry))
		if strings.Contains(entry, "/") {
			p, err := netip.ParsePrefix(entry)
			if err != nil {
				return Targets{}, fmt.Errorf("%q is not a network as in 10.0.0.0/8; write a host without http:// and path", entry)
			}
			t.prefixes = append(t.prefixes, p.Masked())
			continue
		}
		host, err := parseTarget(entry)
		if err != nil {
			return Targets{}, err
		}
		t.hosts[host] = true
	}
	return t, nil
}

func parseTarget(entry string) (target, error) {
	wrong := fmt.Errorf("%q is not a network, an address, a host name or host:port", entry)
	bare := entry
	if strings.HasPrefix(entry, "[") && strings.HasSuffix(entry, "]") {
		bare = entry[1 : len(entry)-1]
	}
	if ip, err := netip.ParseAddr(bare); err == nil {
		return target{host: plain(ip).String()}, nil
	}
	host, port := entry, uint16(0)
	if strings.Contains(entry, ":") {
		h, p, err := net.SplitHostPort(entry)
		if err != nil {
			return target{}, wrong
		}
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return target{}, wrong
		}
		host, port = h, uint16(n)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return target{plain(ip).String(), port}, nil
	}
	host = strings.TrimSuffix(host, ".")
	if host == "" || strings.ContainsAny(host, " \t@?#*:%\\") {
		return target{}, wrong
	}
	return target{host, port}, nil
}

// named reports whether a host is listed as such.
func (t Targets) named(host string, port uint16) bool {
	return t.hosts[target{host, port}] || t.hosts[target{host, 0}]
}

// allow reports whether a plain address of a kind may be called. host is the
// name it was resolved from, or empty. Metadata services have to be listed
// themselves: neither a network nor another name that points there opens them.
func (t Targets) allow(ip netip.Addr, port uint16, is class, host string) bool {
	if t.named(ip.String(), port) {
		return true
	}
	if is == classMetadata {
		return host != "" && protocol.IsMetadataHost(host) && t.named(host, port)
	}
	if host != "" && t.named(host, port) {
		return true
	}
	for _, p := range t.prefixes {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}
