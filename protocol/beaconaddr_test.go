// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"strings"
	"testing"
)

func TestHostPort(t *testing.T) {
	for text, want := range map[string]bool{
		"192.0.2.1:9001": true, "beacon-1.example.net:9001": true, "b_x:1": true, "[2001:db8::1]:65535": true, "[fe80::1%eth0]:1": true,
		"": false, ":9001": false, "host": false, "host:": false, "host:0": false, "host:65536": false, "host:99999999999999999999": false,
		"host:+1": false, "2001:db8::1:9001": false, "[]:1": false, "[host]:1": false, "[::1:1": false, "a b:1": false, "a\x00:1": false,
		"http://host:1": false, "h\u00f6st:1": false, strings.Repeat("\x01", 200) + ":1": false,
	} {
		if got := IsHostPort(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
