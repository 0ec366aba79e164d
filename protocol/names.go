// SPDX-License-Identifier: Apache-2.0

package protocol

import "strings"

// Limits of names and lists. The first four are those of the protocol, the
// others bound what the protocol leaves unbounded.
const (
	MaxHostnameBytes      = 63
	MaxTags               = 10
	MaxTagBytes           = 32
	MaxNetworkNameBytes   = 63
	MaxPoloScore          = 1_000_000
	MaxRequestIDBytes     = 64
	MaxLANAddresses       = 16
	MaxTextBytes          = 1 << 10
	MaxHandshakeInbox     = 100
	MaxHandshakeResponses = 100
	MaxKeyExpiryDays      = 3650
)

// isLabel reports whether s is lower case letters, digits and hyphens,
// starting and ending with a letter or digit.
func isLabel(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// CheckHostname says what is wrong with a non-empty hostname, or "".
func CheckHostname(s string) string {
	switch {
	case len(s) > MaxHostnameBytes:
		return "hostname too long (max 63 chars)"
	case !isLabel(s):
		return "hostname must be lowercase alphanumeric with hyphens, start/end with alphanumeric"
	case s == "localhost" || s == "backbone" || s == "broadcast":
		return `hostname "` + s + `" is reserved`
	}
	return ""
}

// CheckNetworkName refuses names a network cannot have.
func CheckNetworkName(s string) *Error {
	switch {
	case s == "":
		return Errorf(CodeInvalid, "network name required")
	case len(s) > MaxNetworkNameBytes:
		return Errorf(CodeInvalid, "network name too long (max 63 chars)")
	case !isLabel(s):
		return Errorf(CodeInvalid, "network name must be lowercase alphanumeric with hyphens, start/end with alphanumeric")
	case s == "backbone":
		return Errorf(CodeInvalid, `network name "backbone" is reserved`)
	}
	return nil
}

// NormalizeTags strips one leading # from each tag and drops repetitions,
// keeping the first occurrence. The result is nil when nothing is left.
func NormalizeTags(tags []string) []string {
	var out []string
	seen := make(map[string]bool, len(tags))
	for _, t := range tags {
		t = strings.TrimPrefix(t, "#")
		if !seen[t] {
			seen[t] = true
			out = append(out, t)
		}
	}
	return out
}

// CheckTags refuses a normalised list of tags that a node cannot have.
func CheckTags(tags []string) *Error {
	if len(tags) > MaxTags {
		return Errorf(CodeInvalid, "too many tags (max %d)", MaxTags)
	}
	for _, t := range tags {
		switch {
		case t == "":
			return Errorf(CodeInvalid, "empty tag not allowed")
		case len(t) > MaxTagBytes:
			return Errorf(CodeInvalid, "tag %s too long (max %d chars)", Quote(t), MaxTagBytes)
		case !isLabel(t):
			return Errorf(CodeInvalid, "tag %s must be lowercase alphanumeric with hyphens", Quote(t))
		}
	}
	return nil
}

// HostnameFrom makes a hostname of a name that a person has in a directory:
// letters in lower case, everything that a hostname cannot have a hyphen. It
// is empty when nothing is left, and may be one that is reserved or taken.
func HostnameFrom(name string) string {
	b := make([]byte, 0, min(len(name), MaxHostnameBytes))
	for i := 0; i < len(name) && len(b) < MaxHostnameBytes; i++ {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b = append(b, c)
		case len(b) > 0 && b[len(b)-1] != '-':
			b = append(b, '-')
		}
	}
	return strings.TrimRight(string(b), "-")
}

// trim is s without spaces, tabs and line breaks around it.
func trim(s string) string { return strings.Trim(s, " \t\r\n") }

// lower has the letters A to Z in lower case and all other bytes as they are.
func lower(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 'A' && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if c := b[i]; c >= 'A' && c <= 'Z' {
					b[i] = c + 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
