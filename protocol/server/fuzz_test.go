// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// FuzzConnection feeds a connection arbitrary bytes: the server must neither
// panic nor hang, and everything it sends must be frames, in JSON unless the
// client asked for the binary mode.
func FuzzConnection(f *testing.F) {
	for _, seed := range []string{
		"", "\x00", "PILT", preamble, preamble + "\x00\x00\x00\x05\x02\x00\x00\x00\x07", "GET / HTTP/1.1\r\n\r\n",
		string(frame(`{"type":"lookup","node_id":1}`)), string(frame(`null`)), string(frame(`[]`)),
		string(frame(`{"type":"subscribe_replication"}`)) + string(frame(`{}`)),
		string(frame(`{"type":"register","public_key":"`+someKey+`"}`)) + string(header(1<<20)),
	} {
		f.Add([]byte(seed))
	}
	metrics := &counters{}
	pipes := newPipes()
	startOn(f, server.Config{Rates: server.RatesOff(), Metrics: metrics, MaxConnsPerSource: 1 << 20}, pipes)
	f.Fuzz(func(t *testing.T, input []byte) {
		p := pipes.dial(t, "10.0.0.1:1")
		go func() {
			p.nc.Write(input)
			p.nc.Write(bytes.Repeat([]byte{0xFF}, 70_000)) // fills any half frame, then announces one too large
		}()
		binaryMode := len(input) >= 4 && string(input[:4]) == preamble[:4]
		for {
			reply, err := protocol.ReadFrame(p.nc, protocol.MaxReplyBytes, nil)
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if !binaryMode && !json.Valid(reply) {
				t.Fatalf("reply %q", reply)
			}
		}
		if s := metrics.String(); strings.Contains(s, "panicked") {
			t.Fatal(s)
		}
	})
}
