// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// CEF is the event as a line of the Common Event Format, without its end, in
// the protocol's form: receivers may compare it whole.
func CEF(e *protocol.AuditEvent) []byte {
	b := make([]byte, 0, 512)
	b = append(b, "CEF:0|Pilot|Registry|1.0|"...)
	b = append(appendCEFHeader(b, e.Action), '|')
	b = append(appendCEFHeader(b, e.Action), '|')
	b = strconv.AppendInt(b, int64(Severity(e.Action)), 10)
	b = append(b, "|dvc=pilot-registry dvchost=registry cs1="...)
	b = appendCEFValue(b, e.Action)
	b = append(b, " cs1Label=action cn1="...)
	b = strconv.AppendUint(b, uint64(e.NetworkID()), 10)
	b = append(b, " cn1Label=network_id cn2="...)
	b = strconv.AppendUint(b, uint64(e.NodeID()), 10)
	b = append(b, " cn2Label=node_id"...)
	if d := e.Details(); d != "" {
		b = appendCEFValue(append(b, " msg="...), d)
	}
	return b
}

// fullCEF is CEF followed by externalId, rt, suser and src, which syslog
// messages carry.
func fullCEF(e *protocol.AuditEvent) []byte {
	b := strconv.AppendUint(append(CEF(e), " externalId="...), e.Seq, 10)
	b = strconv.AppendInt(append(b, " rt="...), e.Time, 10)
	if e.Actor != "" {
		b = appendCEFValue(append(b, " suser="...), e.Actor)
	}
	if ip := sourceIP(e.Source); ip.IsValid() {
		b = ip.AppendTo(append(b, " src="...))
	}
	return b
}

// Severity is the CEF severity of an action.
func Severity(action string) int {
	switch {
	case strings.Contains(action, "kick"), strings.Contains(action, "delete"):
		return 6
	case strings.Contains(action, "promote"), strings.Contains(action, "demote"):
		return 4
	}
	return 3
}

// sourceIP is the address in host:port; src takes nothing else. A zone is
// the registry's own name of an interface and means nothing elsewhere.
func sourceIP(source string) netip.Addr {
	if ap, err := netip.ParseAddrPort(source); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	ip, _ := netip.ParseAddr(source)
	return ip.Unmap().WithZone("")
}

// appendCEFHeader appends a field of the header. A header has no way to write
// a line break, so that one becomes U+FFFD like other control characters.
func appendCEFHeader(dst []byte, s string) []byte {
	for _, r := range s {
		if r == '\\' || r == '|' {
			dst = append(dst, '\\')
		}
		dst = utf8.AppendRune(dst, plain(r))
	}
	return dst
}

// appendCEFValue appends a value of the extension.
func appendCEFValue(dst []byte, s string) []byte {
	for _, r := range s {
		switch r {
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\\', '=':
			dst = append(dst, '\\', byte(r))
		default:
			dst = utf8.AppendRune(dst, plain(r))
		}
	}
	return dst
}

// plain replaces what could act on a terminal, end a line or reorder it for a
// reader: control characters, Unicode's line and paragraph separators and its
// marks of writing direction.
// Invalid UTF-8 has become U+FFFD where a text was taken apart.
func plain(r rune) rune {
	if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
		return utf8.RuneError
	}
	return r
}
