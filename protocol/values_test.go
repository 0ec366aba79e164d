// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]protocol.Address{
		"0:0000.0000.0001":     {Network: 0, Node: 1},
		"5:0005.00A3.F291":     {Network: 5, Node: 0x00A3F291},
		"65535:FFFF.FFFF.FFFF": {Network: 65535, Node: 4294967295},
		"16:0010.0001.0000":    {Network: 16, Node: 65536},
	} {
		if got := want.String(); got != text {
			t.Errorf("%+v is %s, want %s", want, got, text)
		}
		for _, form := range []string{text, strings.ToLower(text)} {
			if got, err := protocol.ParseAddress(form); err != nil || got != want {
				t.Errorf("%s: %+v, %v", form, got, err)
			}
		}
	}
	for _, text := range []string{
		"", "0", "0:", "0:0000.0000", "0:0000.0000.0001.0000", "1:0000.0000.0001", "0:000.0000.0001", "0:00000.0000.0001", "x:0000.0000.0001",
		"0:000g.0000.0001", "65536:0000.0000.0001", "-1:0000.0000.0001", "0:+000.0000.0001", "0:0000.0000.0001 ", "0:0000.0000.-001",
	} {
		if got, err := protocol.ParseAddress(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestFrames(t *testing.T) {
	t.Parallel()
	stream := protocol.AppendFrame(nil, []byte("first"))
	stream = protocol.AppendFrame(stream, []byte("second, longer"))
	if !bytes.HasPrefix(stream, []byte("\x00\x00\x00\x05first\x00\x00\x00\x0e")) {
		t.Errorf("%q", stream)
	}
	r := iotest.OneByteReader(bytes.NewReader(stream))
	buf := make([]byte, 0, 5)
	first, err := protocol.ReadFrame(r, 64, buf)
	if err != nil || string(first) != "first" || &first[0] != &buf[:1][0] {
		t.Errorf("%q, %v: the buffer should be used", first, err)
	}
	second, err := protocol.ReadFrame(r, 64, buf)
	if err != nil || string(second) != "second, longer" {
		t.Errorf("%q, %v", second, err)
	}
	if _, err = protocol.ReadFrame(r, 64, buf); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	for want, input := range map[error]string{
		protocol.ErrFrameEmpty:    "\x00\x00\x00\x00",
		protocol.ErrFrameTooLarge: "\x00\x00\x00\x41",
		io.ErrUnexpectedEOF:       "\x00\x00\x00\x05abc",
	} {
		if _, err := protocol.ReadFrame(strings.NewReader(input), 64, nil); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", input, err, want)
		}
	}
	for _, input := range []string{"\x00\x00", "\x00\x00\x00\x05"} {
		if _, err := protocol.ReadFrame(strings.NewReader(input), 64, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v", input, err)
		}
	}
	exact := protocol.AppendFrame(nil, make([]byte, 64))
	if body, err := protocol.ReadFrame(bytes.NewReader(exact), 64, nil); err != nil || len(body) != 64 {
		t.Errorf("a frame at the limit: %v", err)
	}
}

// An announced length costs nothing before it has been checked.
func TestFrameLengthIsCheckedFirst(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		_, err := protocol.ReadFrame(strings.NewReader("\x40\x00\x00\x00"), protocol.MaxRequestBytes, nil)
		if !errors.Is(err, protocol.ErrFrameTooLarge) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("100 refused frames cost %d bytes", n)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xfb, 0xff}, 16)
	text := base64.StdEncoding.EncodeToString(raw) // with + and /
	key, err := protocol.ParsePublicKey(text)
	if err != nil || !bytes.Equal(key[:], raw) || key.String() != text {
		t.Fatalf("%v, %v", key, err)
	}
	// The protocol's decoder is lenient: these texts name the same key.
	for _, other := range []string{"\n" + text, text[:10] + "\r\n" + text[10:], text + "\n", text[:42] + "9="} {
		if got, err := protocol.ParsePublicKey(other); err != nil || got != key {
			t.Errorf("%q: %v, %v", other, got, err)
		}
	}
	for other, want := range map[string]string{
		"":                                     "invalid public key size: 0",
		"AAAA":                                 "invalid public key size: 3",
		text + text:                            "illegal base64",
		strings.TrimRight(text, "="):           "illegal base64",
		base64.URLEncoding.EncodeToString(raw): "illegal base64",
		" " + text:                             "illegal base64",
	} {
		if _, err := protocol.ParsePublicKey(other); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", other, err, want)
		}
	}
	_, err = protocol.ParsePublicKey("!")
	if err == nil || err.Error() != "decode public key: illegal base64 data at input byte 0" {
		t.Error(err)
	}
}

// TestSanitizeEndpoint follows docs/protocol/nodes.md#register.
func TestSanitizeEndpoint(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ source, listen, want string }{
		{"203.0.113.9:5555", "", "203.0.113.9:5555"},
		{"203.0.113.9:5555", "9.9.9.9:4000", "203.0.113.9:4000"},
		{"203.0.113.9:5555", ":4000", "203.0.113.9:4000"},
		{"203.0.113.9:5555", "[::]:4000", "203.0.113.9:4000"},
		{"203.0.113.9:5555", "host:http", "203.0.113.9:http"},
		{"203.0.113.9:5555", "host:", "203.0.113.9:"},
		{"203.0.113.9:5555", "4000", "203.0.113.9:5555"},
		{"203.0.113.9:5555", "a:b:c", "203.0.113.9:5555"},
		{"203.0.113.9:5555", "::1", "203.0.113.9:5555"},
		{"[2001:db8::1]:5555", "x:4000", "[2001:db8::1]:4000"},
		{"[2001:db8::1]:5555", "", "[2001:db8::1]:5555"},
		{"pipe", "x:4000", "pipe"},
	} {
		if got := protocol.SanitizeEndpoint(test.source, test.listen); got != test.want {
			t.Errorf("source %s, listen %q: got %s, want %s", test.source, test.listen, got, test.want)
		}
	}
}

func TestHostnames(t *testing.T) {
	t.Parallel()
	const form = "hostname must be lowercase alphanumeric with hyphens, start/end with alphanumeric"
	for name, want := range map[string]string{
		"a": "", "a-1": "", "9": "", strings.Repeat("a", 63): "", "xn--a": "",
		strings.Repeat("a", 64): "hostname too long (max 63 chars)",
		"":                      form, "-a": form, "a-": form, "A": form, "a.b": form, "a_b": form, "é": form, "a b": form,
		"localhost": `hostname "localhost" is reserved`, "backbone": `hostname "backbone" is reserved`, "broadcast": `hostname "broadcast" is reserved`,
	} {
		if got := protocol.CheckHostname(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestNetworkNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"lab-1": "", "": "network name required", "backbone": `network name "backbone" is reserved`, "Lab": "network name must be lowercase",
		strings.Repeat("a", 64): "network name too long (max 63 chars)", "localhost": "",
	} {
		e := protocol.CheckNetworkName(name)
		if (e == nil) != (want == "") || e != nil && !strings.HasPrefix(e.Text, want) {
			t.Errorf("%q: %v, want %q", name, e, want)
		}
	}
}

// TestValidate holds the error texts that need no state.
func TestValidate(t *testing.T) {
	t.Parallel()
	many := `"` + strings.Join(strings.Split("a b c d e f g h i j k", " "), `","`) + `"`
	for body, want := range map[string]string{
		`{"type":"register"}`:                                            "registration requires public_key",
		`{"type":"register","public_key":"!"}`:                           "invalid public key: decode public key: illegal base64 data at input byte 0",
		`{"type":"register","public_key":"AAAA"}`:                        "invalid public key: invalid public key size: 3",
		`{"type":"rotate_key"}`:                                          "rotate_key requires new_public_key",
		`{"type":"rotate_key","new_public_key":"AAAA"}`:                  "invalid new_public_key: invalid public key size: 3",
		`{"type":"set_hostname","hostname":"localhost"}`:                 `invalid hostname: hostname "localhost" is reserved`,
		`{"type":"set_hostname"}`:                                        "",
		`{"type":"resolve_hostname"}`:                                    "hostname required",
		`{"type":"set_tags","tags":[` + many + `]}`:                      "too many tags (max 10)",
		`{"type":"set_tags","tags":["#"]}`:                               "empty tag not allowed",
		`{"type":"set_tags","tags":["##a"]}`:                             `tag "#a" must be lowercase alphanumeric with hyphens`,
		`{"type":"set_tags","tags":["#a","a","b"]}`:                      "",
		`{"type":"set_tags","tags":["` + strings.Repeat("a", 33) + `"]}`: `tag "` + strings.Repeat("a", 33) + `" too long (max 32 chars)`,
		`{"type":"update_polo_score"}`:                                   "update_polo_score requires delta field",
		`{"type":"update_polo_score","delta":1000000.5}`:                 "polo score delta out of range (max 1000000)",
		`{"type":"update_polo_score","delta":-1000000}`:                  "",
		`{"type":"set_polo_score","polo_score":"5"}`:                     "set_polo_score requires polo_score field",
		`{"type":"set_polo_score","polo_score":-1000001}`:                "polo score out of range (max 1000000)",
		`{"type":"beacon_register","addr":"x"}`:                          "beacon_id required",
		`{"type":"beacon_register","beacon_id":4294967296}`:              "beacon_id required",
		`{"type":"set_idp_config","idp_type":"oidc"}`:                    "url is required with idp_type; the provider is cleared when both are sent empty",
		`{"type":"set_idp_config","url":"https://x"}`:                    "idp_type is required with url; ",
		`{"type":"set_idp_config","provider_type":"oidc"}`:               "url is required with idp_type; ",
		`{"type":"set_idp_config","idp_type":"","url":""}`:               "",
		`{"type":"set_audit_export","format":"json"}`:                    "endpoint is required with format; ",
		`{"type":"set_audit_export","endpoint":"https://x"}`:             "format is required with endpoint; ",
		`{"type":"set_audit_export","format":"","endpoint":""}`:          "",
		`{"type":"beacon_register","beacon_id":1}`:                       "addr required",
		`{"type":"set_key_expiry","expires_at":"soon"}`:                  "invalid expires_at: ",
		`{"type":"set_key_expiry","expires_at":"never"}`:                 "",
		`{"type":"create_network"}`:                                      "network name required",
		`{"type":"create_network","name":"a","join_rule":"x"}`:           "invalid join_rule: ",
		`{"type":"create_network","name":"a","join_rule":"invite"}`:      "enterprise feature: ",
		`{"type":"join_network"}`:                                        "cannot join the backbone network",
		`{"type":"leave_network","network_id":70000}`:                    "cannot leave the backbone network",
		`{"type":"cluster_join_token","ttl_seconds":604801}`:             "invalid ttl_seconds: ",
	} {
		e := parse(t, body).Body.Validate()
		if (e == nil) != (want == "") || e != nil && !strings.HasPrefix(e.Text, want) {
			t.Errorf("%s: got %v, want %q", body, e, want)
		}
	}
}

func TestRegisterBoundsLists(t *testing.T) {
	t.Parallel()
	addrs := `"","` + strings.Repeat("x", 257) + `"` + strings.Repeat(`,"10.0.0.1:1"`, 20)
	r := parse(t, `{"type":"register","public_key":"MAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","lan_addrs":[`+addrs+`]}`).Body.(*protocol.Register)
	if e := r.Validate(); e != nil || len(r.LANAddrs) != protocol.MaxLANAddresses || r.LANAddrs[0] != "10.0.0.1:1" {
		t.Errorf("%v, %v", r.LANAddrs, e)
	}
}

func TestHostnameFrom(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Alice": "alice", "Bob The Üser": "bob-the-ser", "  --A.B__c--": "a-b-c", "": "", "Ü": "", "localhost": "localhost",
		strings.Repeat("ab ", 40): strings.TrimSuffix(strings.Repeat("ab-", 21), "-"), strings.Repeat("x", 99): strings.Repeat("x", 63),
	} {
		got := protocol.HostnameFrom(name)
		if got != want {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
		if text := protocol.CheckHostname(got); got != "" && got != "localhost" && text != "" {
			t.Errorf("%q: %s", got, text)
		}
	}
}
