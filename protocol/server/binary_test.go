// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

const preamble = "PILT\x01"

func (p *peer) sendBinary(kind byte, payload ...[]byte) {
	p.t.Helper()
	p.write(protocol.AppendFrame(nil, append([]byte{kind}, bytes.Join(payload, nil)...)))
}

func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// binaryBackend answers with fixed replies and remembers what it was asked.
func binaryBackend(seen *[]string) *backend {
	age := int64(12)
	replies := map[string]any{
		"heartbeat": &protocol.HeartbeatReply{KeyExpiryWarning: true, Time: 1769853600, Type: "heartbeat_ok"},
		"lookup": &protocol.LookupReply{NodeID: 7, Networks: []uint16{0, 3}, Public: true, TaskExec: true, Hostname: "alpha", Tags: []string{"web", "gpu"},
			PublicKey: someKey, RealAddr: "203.0.113.9:4000", ExternalID: "user@idp", Type: "lookup_ok"},
		"resolve":     &protocol.ResolveReply{NodeID: 7, RealAddr: "203.0.113.9:4000", LANAddrs: []string{"10.0.0.4:4000"}, KeyAgeDays: &age, Type: "resolve_ok"},
		"check_trust": &protocol.CheckTrustReply{Trusted: true, Type: "check_trust_ok"},
	}
	return &backend{reply: func(req *protocol.Request) server.Reply {
		*seen = append(*seen, fmt.Sprintf("%s %s %s", req.Type, protocol.ChallengeText(req.Command, req.Body), string(req.Signature)))
		if r, ok := req.Body.(*protocol.NodeRequest); ok && r.NodeID == 99 {
			return server.Reply{Err: protocol.Errorf(protocol.CodeNotFound, "node 99: node not found")}
		}
		return server.Reply{Body: replies[req.Type]}
	}}
}

func TestBinaryMode(t *testing.T) {
	t.Parallel()
	var seen []string
	_, addr := start(t, server.Config{Backend: binaryBackend(&seen)})
	p := dial(t, addr)
	p.write([]byte(preamble))
	signature := bytes.Repeat([]byte{0xA5}, 64)
	key := hex.EncodeToString(append([]byte{0x30}, make([]byte, 31)...)) // someKey
	text16 := func(s string) string { return fmt.Sprintf("%04x%x", len(s), s) }
	tests := []struct {
		name    string
		kind    byte
		payload []byte
		want    string // hexadecimal, without the length
	}{
		{"heartbeat", 0x01, append(u32(7), signature...), "81" + "00000000697dd2a0" + "01"},
		{"lookup", 0x02, u32(7), "82" + "00000007" + "03" + "00000000" + "0002" + "0000" + "0003" + "20" + key +
			"05" + hex.EncodeToString([]byte("alpha")) + "02" + "03" + hex.EncodeToString([]byte("web")) + "03" + hex.EncodeToString([]byte("gpu")) +
			text16("203.0.113.9:4000") + "08" + hex.EncodeToString([]byte("user@idp"))},
		{"resolve", 0x03, append(append(u32(7), u32(9)...), signature...), "83" + "00000007" + text16("203.0.113.9:4000") + "0001" + text16("10.0.0.4:4000") + "0000000c"},
		{"error", 0x02, u32(99), "ff" + text16("node 99: node not found")},
		{"unknown type", 0x44, nil, "ff" + text16("unknown message type 0x44")},
		{"more than needed", 0x02, append(u32(99), 1, 2, 3), "ff" + text16("node 99: node not found")},
		{"wrong size", 0x02, []byte{1}, "ff" + text16("lookup request too short: 1 bytes (want 4)")},
		{"JSON", 0x00, []byte(`{"type":"check_trust"}`), "00" + hex.EncodeToString([]byte(`{"trusted":true,"type":"check_trust_ok"}`))},
		{"JSON error", 0x00, []byte(`{"type":"x"}`), "00" + hex.EncodeToString([]byte(`{"code":"unknown_command","error":"unknown message type: \"x\"","type":"error"}`))},
	}
	for _, test := range tests {
		p.sendBinary(test.kind, test.payload)
		if got := hex.EncodeToString(p.read()); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
	sig := base64.StdEncoding.EncodeToString(signature)
	want := "heartbeat heartbeat:7 " + sig + "|lookup  |resolve resolve:9:7 " + sig + "|lookup  |lookup  |check_trust  "
	if got := strings.Join(seen, "|"); got != want {
		t.Errorf("the backend saw\n%s\nwant\n%s", got, want)
	}
}

func TestBinaryUnknownKeyAge(t *testing.T) {
	t.Parallel()
	_, addr := start(t, server.Config{Backend: &backend{reply: func(*protocol.Request) server.Reply {
		return server.Reply{Body: &protocol.ResolveReply{NodeID: 1, Type: "resolve_ok"}}
	}}})
	p := dial(t, addr)
	p.write([]byte(preamble))
	p.sendBinary(0x03, make([]byte, 72))
	if got := hex.EncodeToString(p.read()); got != "83"+"00000001"+"0000"+"0000"+"ffffffff" {
		t.Error(got)
	}
}

func TestBinaryModeIsLimitedLikeJSON(t *testing.T) {
	t.Parallel()
	_, addr := start(t, server.Config{Now: newClock().Now, Rates: server.Rates{Heartbeat: 1}})
	p := dial(t, addr)
	p.write([]byte(preamble))
	for _, want := range []string{"\x81", "\xff\x00\x30rate limited: too many heartbeats from 127.0.0.1"} {
		p.sendBinary(0x01, make([]byte, 68))
		if got := string(p.read()); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	p.sendBinary(0x00, []byte(padded(65536)))
	if got := p.read(); got[0] != 0 || !strings.Contains(string(got), "lookup_ok") {
		t.Errorf("the largest JSON request: %q", got)
	}
	p.write(header(65538))
	p.wantClosed()
}

func TestBinaryModeCloses(t *testing.T) {
	t.Parallel()
	_, addr := start(t, server.Config{})
	for name, input := range map[string][]byte{
		"empty frame":         append([]byte(preamble), header(0)...),
		"JSON not an object":  append([]byte(preamble), protocol.AppendFrame(nil, []byte("\x00[]"))...),
		"preamble in between": append([]byte(preamble), preamble...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dial(t, addr)
			p.write(input)
			p.wantClosed()
		})
	}
	t.Run("another version", func(t *testing.T) {
		t.Parallel()
		p := dial(t, addr)
		p.write([]byte("PILT\x02"))
		if got := string(p.read()); got != "\xff\x00\x1aunsupported wire version 2" {
			t.Errorf("%q", got)
		}
		p.wantClosed()
	})
	t.Run("magic after the first frame", func(t *testing.T) {
		t.Parallel()
		p := dial(t, addr)
		p.ask(`{"type":"lookup"}`)
		p.write([]byte(preamble))
		p.wantClosed()
	})
	t.Run("subscription", func(t *testing.T) {
		t.Parallel()
		p := dial(t, addr)
		p.write([]byte(preamble))
		p.sendBinary(0, []byte(`{"type":"subscribe_replication"}`))
		if got := p.read(); got[0] != 0xff {
			t.Errorf("%q", got)
		}
		p.wantClosed()
	})
	t.Run("switched off", func(t *testing.T) {
		t.Parallel()
		_, addr := start(t, server.Config{NoBinary: true})
		p := dial(t, addr)
		p.write([]byte(preamble))
		p.wantClosed()
	})
}
