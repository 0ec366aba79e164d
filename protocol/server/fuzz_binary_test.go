// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// FuzzBinaryMode sends two requests of arbitrary kinds and payloads in the
// binary mode: the server must neither panic nor hang, and answers each with a
// frame of the kind asked for, or an error, until it closes.
func FuzzBinaryMode(f *testing.F) {
	signed := func(ids ...byte) []byte { return append(append([]byte{}, ids...), make([]byte, 64)...) }
	f.Add(byte(1), signed(0, 0, 0, 7), byte(2), []byte{0, 0, 0, 7})
	f.Add(byte(3), signed(0, 0, 0, 7, 0, 0, 0, 9), byte(0), []byte(`{"type":"lookup","node_id":1}`))
	f.Add(byte(0), []byte(`{"type":"subscribe_replication"}`), byte(0x81), []byte{})
	f.Add(byte(0), []byte(`[]`), byte(0xff), []byte{0xff, 0xff, 0xff, 0xff})
	f.Add(byte(0), []byte(`{"type":"register","public_key":"`+someKey+`"}`), byte(2), []byte{0})
	metrics, pipes := &counters{}, newPipes()
	startOn(f, server.Config{Rates: server.RatesOff(), Metrics: metrics, MaxConnsPerSource: 1 << 20}, pipes)
	f.Fuzz(func(t *testing.T, first byte, a []byte, second byte, b []byte) {
		p := pipes.dial(t, "10.0.0.1:1")
		go func() {
			p.nc.Write([]byte(preamble))
			p.nc.Write(protocol.AppendFrame(nil, append([]byte{first}, a...)))
			p.nc.Write(protocol.AppendFrame(nil, append([]byte{second}, b...)))
			p.nc.Write(header(1 << 30)) // too large: the server hangs up
		}()
		kinds := []byte{first, second}
		for i := 0; ; i++ {
			reply, err := protocol.ReadFrame(p.nc, protocol.MaxReplyBytes, nil)
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
				break
			}
			if err != nil || len(reply) == 0 || i >= len(kinds) {
				t.Fatalf("reply %d is %q: %v", i, reply, err)
			}
			switch kind := kinds[i]; {
			case reply[0] == 0xff:
			case kind == 0 && reply[0] == 0 && json.Valid(reply[1:]):
			case kind != 0 && reply[0] == kind|0x80:
			default:
				t.Fatalf("kind %#x is answered with %q", kind, reply)
			}
		}
		if s := metrics.String(); strings.Contains(s, "panicked") {
			t.Fatal(s)
		}
	})
}
