// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"reflect"
	"strconv"
	"strings"
)

// Challenger is a request with challenge fields that are computed.
type Challenger interface {
	ChallengeField(name string) (value string, ok bool)
}

// field renders a request field as challenges do: decimal numbers, strings verbatim.
func (p *plan) field(b Body, name string) (string, bool) {
	i, ok := p.byName[name]
	if !ok {
		return "", false
	}
	f := reflect.ValueOf(b).Elem().Field(p.fields[i].index)
	switch f.Kind() {
	case reflect.Uint16, reflect.Uint32:
		return strconv.FormatUint(f.Uint(), 10), true
	case reflect.String:
		return f.String(), true
	}
	return "", false
}

// ChallengeText is the text that the signer of this request signs, or "" when
// it is not signed.
func ChallengeText(c *Command, b Body) string { return fillChallenge(c, c.Challenge, b) }

// NewerChallengeText is what newer clients sign, or "" when that is the same.
func NewerChallengeText(c *Command, b Body) string { return fillChallenge(c, c.NewerChallenge, b) }

func fillChallenge(c *Command, challenge string, b Body) string {
	if !c.Signs(b) {
		return ""
	}
	var out strings.Builder
	rest := challenge
	for {
		before, after, ok := strings.Cut(rest, "{")
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		name, tail, _ := strings.Cut(after, "}")
		value, ok := c.plan.field(b, name)
		if computed, is := b.(Challenger); is && !ok {
			value, _ = computed.ChallengeField(name)
		}
		out.WriteString(value)
		rest = tail
	}
}

// SignerID is the node that signs this request, 0 when no field names one.
func SignerID(c *Command, b Body) uint32 {
	s, _ := c.plan.field(b, c.Signer)
	n, _ := strconv.ParseUint(s, 10, 32)
	return uint32(n)
}

// NetworkID is the network this request is about, 0 when no field names one.
func NetworkID(c *Command, b Body) uint16 {
	s, _ := c.plan.field(b, "network_id")
	n, _ := strconv.ParseUint(s, 10, 16)
	return uint16(n)
}
