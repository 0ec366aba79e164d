// SPDX-License-Identifier: Apache-2.0

package protocol

import "strings"

// MaxBeaconAddrBytes bounds the address of a beacon: a host name and a port.
const MaxBeaconAddrBytes = 253 + len("[]:65535")

// IsHostPort reports whether a text is host:port as can be dialled: a host name
// or an IPv4 address, or an IPv6 address in brackets, and a port. It decides in
// the replicated state, so it follows a rule of its own that no library changes.
func IsHostPort(s string) bool {
	i := strings.LastIndexByte(s, ':')
	if i <= 0 || !isPort(s[i+1:]) {
		return false
	}
	host := s[:i]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		return ok && strings.Contains(inner, ":") && only(inner, func(c byte) bool {
			return c == ':' || c == '.' || c == '%' || c == '-' || isAlphanumeric(c)
		})
	}
	return only(host, func(c byte) bool { return c == '.' || c == '-' || c == '_' || isAlphanumeric(c) })
}

func isPort(s string) bool {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || n > 65535 {
			return false
		}
		n = 10*n + int(c-'0')
	}
	return n >= 1 && n <= 65535
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// only reports whether a text is not empty and every byte of it is allowed.
func only(s string, allowed func(byte) bool) bool {
	for _, c := range []byte(s) {
		if !allowed(c) {
			return false
		}
	}
	return s != ""
}
