// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// parseCEF is strict: it refuses what the standard does not allow.
func parseCEF(line string) (header []string, ext map[string]string, err error) {
	if !utf8.ValidString(line) || strings.ContainsAny(line, "\r\n\x00\x1b") {
		return nil, nil, errors.New("not one line of plain text")
	}
	rest, ok := strings.CutPrefix(line, "CEF:0|")
	if !ok {
		return nil, nil, errors.New("no CEF")
	}
	var field strings.Builder
	for len(header) < 6 {
		switch {
		case rest == "":
			return nil, nil, errors.New("the header ends early")
		case rest[0] == '|':
			header = append(header, field.String())
			field.Reset()
		case rest[0] != '\\':
			field.WriteByte(rest[0])
		case len(rest) < 2 || rest[1] != '\\' && rest[1] != '|':
			return nil, nil, errors.New("a wrong escape sequence in the header")
		default:
			field.WriteByte(rest[1])
			rest = rest[1:]
		}
		rest = rest[1:]
	}
	ext, err = parseExtension(rest)
	return header, ext, err
}

var cefKey = regexp.MustCompile(`(?:^| )([A-Za-z0-9_]+)=`)

func parseExtension(s string) (map[string]string, error) {
	ext := map[string]string{}
	at := cefKey.FindAllStringSubmatchIndex(s, -1)
	if len(at) == 0 || at[0][0] != 0 {
		return nil, errors.New("the extension does not begin with a key")
	}
	for i, m := range at {
		end := len(s)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		key := s[m[2]:m[3]]
		if _, twice := ext[key]; twice {
			return nil, fmt.Errorf("%s is there twice", key)
		}
		v, err := unescape(s[m[1]:end])
		if err != nil {
			return nil, err
		}
		ext[key] = v
	}
	return ext, nil
}

func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '=':
			return "", errors.New("a bare = in a value")
		case s[i] != '\\':
			b.WriteByte(s[i])
			continue
		case i+1 == len(s):
			return "", errors.New("a bare \\ at the end of a value")
		}
		i++
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case '\\', '=':
			b.WriteByte(s[i])
		default:
			return "", errors.New("a wrong escape sequence in a value")
		}
	}
	return b.String(), nil
}

var controls = regexp.MustCompile("[\\x00-\\x09\\x0b\\x0c\\x0e-\\x1f\\x7f\u0080-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")

// neutral is what a receiver has of a text: all but control characters.
// Every invalid byte is one U+FFFD.
func neutral(s string) string { return controls.ReplaceAllString(string([]rune(s)), "\ufffd") }

func FuzzCEF(f *testing.F) {
	f.Add("member.kicked", "node:7", nasty)
	f.Add("a|b\\", "\\", "=")
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, action, actor, value string) {
		e := &protocol.AuditEvent{Seq: 1, Action: action, Actor: actor, Source: value, Attrs: []protocol.AuditAttr{{Key: "name", Value: value}}}
		header, ext, err := parseCEF(string(fullCEF(e)))
		if err != nil {
			t.Fatalf("%v: %q", err, fullCEF(e))
		}
		oneLine := strings.NewReplacer("\n", "\ufffd", "\r", "\ufffd").Replace(neutral(action))
		if header[3] != oneLine || header[4] != oneLine {
			t.Errorf("the header has %q, want %q", header, oneLine)
		}
		if ext["cs1"] != neutral(action) || ext["msg"] != "name="+neutral(value) || ext["suser"] != neutral(actor) {
			t.Errorf("the extension has %q", ext)
		}
	})
}

// readFrame reads a message as a receiver that counts octets.
func readFrame(r *bufio.Reader) (string, error) {
	count, err := r.ReadString(' ')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(count, " "))
	if err != nil || n <= 0 || count[0] == '0' {
		return "", fmt.Errorf("%q is no count of octets", count)
	}
	msg := make([]byte, n)
	_, err = io.ReadFull(r, msg)
	return string(msg), err
}

var syslogMessage = regexp.MustCompile(`^<(10[4-9]|11[01])>1 \d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ([!-~]{1,255}) pilot-registry - ([!-~]{1,32}) - (CEF:0\|[^\r\n]*)$`)

func FuzzSyslogFrames(f *testing.F) {
	f.Add("host", "member.kicked", nasty, int64(1774952430123))
	f.Add("", "", "3 abc", int64(0))
	f.Fuzz(func(t *testing.T, host, action, value string, at int64) {
		e := &protocol.AuditEvent{Seq: 1, Time: at % 1e14, Action: action, Attrs: []protocol.AuditAttr{{Key: "name", Value: value}}}
		if e.Time < 0 {
			e.Time = -e.Time
		}
		msg := Syslog(e, host)
		r := bufio.NewReader(bytes.NewReader(AppendFrame(AppendFrame(nil, msg), []byte("next"))))
		got, err := readFrame(r)
		if err != nil || got != string(msg) {
			t.Fatalf("framed %q, read %q, %v", msg, got, err)
		}
		if next, err := readFrame(r); err != nil || next != "next" {
			t.Fatalf("behind %q there is %q, %v", msg, next, err)
		}
		if m := syslogMessage.FindStringSubmatch(got); m == nil || m[4] != string(fullCEF(e)) {
			t.Errorf("not a message of RFC 5424: %q", got)
		}
		if d := Datagram(msg); len(d) > MaxDatagram || !bytes.HasPrefix(msg, d) || !utf8.Valid(d) {
			t.Errorf("the datagram is wrong: %q", d)
		}
	})
}
