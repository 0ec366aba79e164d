// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// A wrong address is refused when it is given, not looked up for a while.
func TestAddressesAreLookedAt(t *testing.T) {
	t.Parallel()
	for addr, good := range map[string]bool{
		"10.0.0.1:9000": true, "10.0.0.1": true, "::1": true, "[::1]": true, "[::1]:9000": true, "registry.example.org": true, " m1:9000 ": true,
		"http://10.0.0.1:9000": false, "m1/x": false, "a b": false, "m1:99999": false, "m1:0": false, "m1:": false, "m1:http": false,
	} {
		c, err := Open(Options{Addrs: []string{addr}})
		if (err == nil) != good {
			t.Errorf("%q: %v", addr, err)
		}
		if c != nil {
			_ = c.Close()
		}
	}
}

// Whoever waits in vain is told why in plain words.
func TestNobodyThereIsSaidInPlainWords(t *testing.T) {
	t.Parallel()
	_, err := net.DialTimeout("tcp", "127.0.0.1:1", time.Second)
	for got, want := range map[string]string{
		inWords(err):                                            "connection refused",
		inWords(context.DeadlineExceeded):                       "the time for it was over",
		inWords(fmt.Errorf("read: %w", io.EOF)):                 "it was closed",
		inWords(&net.OpError{Err: os.ErrDeadlineExceeded}):      "no answer in time",
		inWords(&net.DNSError{Err: "no such host", Name: "m1"}): "no such host",
		inWords(ErrPinMismatch):                                 "certificate fingerprint mismatch",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
