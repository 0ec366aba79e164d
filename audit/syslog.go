// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"strconv"
	"unicode/utf8"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// MaxDatagram is the size that a message over UDP is cut to.
const MaxDatagram = 8 << 10

// facility is "log audit" of RFC 5424.
const facility = 13

// Syslog is the event's CEF line, with externalId, rt, suser and src after
// it, as a message of RFC 5424. An empty host is
// the nil value "-".
func Syslog(e *protocol.AuditEvent, host string) []byte {
	b := make([]byte, 0, 640)
	b = append(b, '<')
	b = strconv.AppendInt(b, int64(facility*8+syslogSeverity(e.Action)), 10)
	b = append(b, ">1 "...)
	b = moment(e).AppendFormat(b, "2006-01-02T15:04:05.000Z07:00")
	b = appendSyslogName(append(b, ' '), host, 255)
	b = append(b, " pilot-registry - "...)
	b = appendSyslogName(b, e.Action, 32)
	b = append(b, " - "...)
	return append(b, fullCEF(e)...)
}

// syslogSeverity is warning, notice or informational for CEF's 6, 4 and 3.
func syslogSeverity(action string) int {
	switch Severity(action) {
	case 6:
		return 4
	case 4:
		return 5
	}
	return 6
}

// appendSyslogName appends a header field: printable ASCII without spaces.
func appendSyslogName(dst []byte, s string, limit int) []byte {
	if s == "" {
		return append(dst, '-')
	}
	for _, c := range []byte(s[:min(len(s), limit)]) {
		if c <= ' ' || c >= 0x7f {
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}

// AppendFrame appends a message with its length in front, the octet counting
// of RFC 6587: unlike a line end it cannot be forged by what is in a message.
func AppendFrame(dst, msg []byte) []byte {
	dst = append(strconv.AppendInt(dst, int64(len(msg)), 10), ' ')
	return append(dst, msg...)
}

// Datagram cuts a message to [MaxDatagram], not inside of a character or of
// an escape sequence.
func Datagram(msg []byte) []byte {
	if len(msg) <= MaxDatagram {
		return msg
	}
	end := MaxDatagram
	for end > 0 && !utf8.RuneStart(msg[end]) {
		end--
	}
	slashes := 0
	for slashes < end && msg[end-1-slashes] == '\\' {
		slashes++
	}
	return msg[:end-slashes%2]
}
