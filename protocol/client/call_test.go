// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// camel turns a wire name into the name of its method.
func camel(name string) string {
	var out string
	for part := range strings.SplitSeq(name, "_") {
		if part == "id" {
			part = "ID"
		}
		out += strings.ToUpper(part[:1]) + part[1:]
	}
	return out
}

// Every built command has a named method, and it sends that command.
func TestEveryCommandHasAMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: ok, record: true})
		cl := c.client(t, client.Options{Identity: identity(t), AdminToken: "t"})
		for _, row := range protocol.Commands {
			if row.Mode == protocol.ModeStream {
				continue
			}
			m := reflect.ValueOf(cl).MethodByName(camel(row.Name))
			if !m.IsValid() {
				t.Errorf("no method %s", camel(row.Name))
				continue
			}
			args := []reflect.Value{reflect.ValueOf(t.Context())}
			for i := 1; i < m.Type().NumIn()-1; i++ { // without the options
				args = append(args, reflect.Zero(m.Type().In(i)))
			}
			out := m.Call(args)
			if err, _ := out[1].Interface().(error); err != nil {
				t.Errorf("%s: %v", row.Name, err)
			}
			if want := reflect.TypeOf(row.NewReply()); out[0].Type() != want {
				t.Errorf("%s returns %v, want %v", row.Name, out[0].Type(), want)
			}
			got := c.requests()
			if sent := got[len(got)-1].req.text("type"); sent != row.Name {
				t.Errorf("%s sent %s", camel(row.Name), sent)
			}
		}
	})
}

func TestSignatures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: ok})
		id, other := identity(t), identity(t)
		cl := c.client(t, client.Options{Identity: id})
		key := id.PublicKey()
		tests := []struct {
			challenge string // "" when the request must not be signed
			call      func() error
		}{
			{"resolve:9:7", func() error { _, err := cl.Resolve(t.Context(), 7, 9); return err }},
			{"handshake:7:9", func() error { _, err := cl.RequestHandshake(t.Context(), 7, 9, "hi"); return err }},
			{"respond:7:9", func() error { _, err := cl.RespondHandshake(t.Context(), 7, 9, true); return err }},
			{"rotate:7", func() error { _, err := cl.RotateKey(t.Context(), 7, other.PublicKey()); return err }},
			{"punch:1:2", func() error { _, err := cl.Punch(t.Context(), 2, 1, 2); return err }},
			{"join_network:7:3", func() error {
				_, err := cl.JoinNetwork(t.Context(), protocol.JoinNetwork{NodeID: 7, NetworkID: 3})
				return err
			}},
			{"register::4000:" + key.String(), func() error {
				_, err := cl.Register(t.Context(), protocol.Register{PublicKey: key.String(), ListenAddr: ":4000"})
				return err
			}},
			{"", func() error {
				_, err := cl.Register(t.Context(), protocol.Register{PublicKey: other.PublicKey().String()})
				return err
			}},
			{"", func() error { _, err := cl.Lookup(t.Context(), 7); return err }},
			{"", func() error { _, err := cl.CheckTrust(t.Context(), 7, 9); return err }},
		}
		for i, test := range tests {
			if err := test.call(); err != nil {
				t.Fatal(err)
			}
			req := c.requests()[i].req
			text, has := req["signature"].(string)
			if !has {
				if test.challenge != "" {
					t.Errorf("%s: not signed", test.challenge)
				}
				continue
			}
			signature, err := base64.StdEncoding.DecodeString(text)
			if err != nil || !ed25519.Verify(key[:], []byte(test.challenge), signature) {
				t.Errorf("%v is not signed as %q", req["type"], test.challenge)
			}
		}
	})
}

func TestUnsignedCommandIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: ok})
		cl := c.client(t, client.Options{})
		_, err := cl.ReportTrust(t.Context(), 1, 2)
		if e := wantError(t, err, client.CodeNoSigner, protocol.OutcomeNotApplied); !errors.Is(err, client.ErrNoSigner) || e.Command != "report_trust" {
			t.Errorf("%+v", e)
		}
		_, err = cl.ReportTrust(t.Context(), 1, 2, client.WithSigner(brokenSigner{}))
		if wantError(t, err, client.CodeNoSigner, protocol.OutcomeNotApplied); !errors.Is(err, errNoHardware) {
			t.Error(err)
		}
		if n := len(c.requests()); n != 0 {
			t.Errorf("%d requests were sent", n)
		}
	})
}

var errNoHardware = errors.New("no hardware")

type brokenSigner struct{}

func (brokenSigner) PublicKey() protocol.PublicKey { return protocol.PublicKey{} }
func (brokenSigner) Sign([]byte) ([]byte, error)   { return nil, errNoHardware }

// The admin token goes only where it can be of use.
func TestAdminTokenPlacement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: ok})
		signing := c.client(t, client.Options{Identity: identity(t), AdminToken: "secret"})
		keyless := c.client(t, client.Options{AdminToken: "secret"})
		sent := func(cl *client.Client, command string) bool {
			if _, err := cl.Do(t.Context(), command, nil); err != nil {
				t.Fatal(err)
			}
			got := c.requests()
			return got[len(got)-1].req["admin_token"] == "secret"
		}
		for command, want := range map[string][2]bool{ // signing, keyless
			"create_network": {true, true}, "cluster_status": {true, true}, "set_tags": {true, true}, "list_nodes": {true, true},
			"heartbeat": {false, true}, "report_trust": {false, true}, "lookup": {false, false}, "check_trust": {false, false},
		} {
			if got := [2]bool{sent(signing, command), sent(keyless, command)}; got != want {
				t.Errorf("%s: %v, want %v", command, got, want)
			}
		}
	})
}

func TestReplies(t *testing.T) {
	for name, test := range map[string]struct {
		reply string
		code  string
		text  string
	}{
		"error without code": {`{"type":"error","error":"node 9: node not found"}`, protocol.CodeInternal, "node 9: node not found"},
		"error not a string": {`{"type":"x_ok","error":{"a":1}}`, protocol.CodeInternal, `{"a":1}`},
		"error with code":    {`{"type":"error","error":"x","code":"conflict"}`, protocol.CodeConflict, "x"},
		"not JSON":           {`hello`, client.CodeMalformedReply, ""},
		"no type":            {`{"node_id":1}`, client.CodeMalformedReply, ""},
		"an array":           {`[]`, client.CodeMalformedReply, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(&member{addr: "a:1", answer: func(int, request) string { return test.reply }})
				cl := c.client(t, client.Options{RetryFor: -1})
				_, err := cl.Lookup(t.Context(), 1)
				var e *client.Error
				if !errors.As(err, &e) || e.Code != test.code || (test.text != "" && e.Text != test.text) {
					t.Errorf("%+v", err)
				}
			})
		})
	}
}

func TestLargeReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pad := strings.Repeat("x", 3<<20)
		c := newCluster(&member{addr: "a:1", answer: func(int, request) string { return `{"type":"x_ok","pad":"` + pad + `"}` }})
		cl := c.client(t, client.Options{})
		res, err := cl.Do(t.Context(), "list_nodes", nil)
		if err != nil || len(res.Raw) < len(pad) {
			t.Errorf("%v", err)
		}
	})
}

func TestRequestsThatCannotBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: ok})
		cl := c.client(t, client.Options{})
		for code, call := range map[string]func() error{
			protocol.CodeUnknownCommand: func() error { _, err := cl.Do(t.Context(), "fly", nil); return err },
			protocol.CodeInvalid:        func() error { _, err := cl.Do(t.Context(), "subscribe_replication", nil); return err },
			protocol.CodeTooLarge: func() error {
				_, err := cl.Register(t.Context(), protocol.Register{Owner: strings.Repeat("x", 70_000)})
				return err
			},
		} {
			wantError(t, call(), code, protocol.OutcomeRejected)
		}
		if n := len(c.requests()); n != 0 {
			t.Errorf("%d requests were sent", n)
		}
	})
}

func TestCallOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: func(n int, _ request) string {
			return fmt.Sprintf(`{"type":"list_nodes_ok","next_cursor":"c%d","nodes":[]}`, n)
		}})
		cl := c.client(t, client.Options{AdminToken: "t"})
		reply, err := cl.ListNodes(t.Context(), 0, client.WithLimit(5), client.WithCursor("abc"), client.WithAdminToken("other"))
		if err != nil || reply.NextCursor != "c0" {
			t.Fatalf("%+v %v", reply, err)
		}
		res, err := cl.Do(t.Context(), "set_polo_score", nil, client.WithRequestID("mine"))
		if err != nil || res.RequestID != "mine" || res.Addr != "a:1" {
			t.Fatalf("%+v %v", res, err)
		}
		got := c.requests()
		if got[0].req["limit"] != 5.0 || got[0].req["cursor"] != "abc" || got[0].req["admin_token"] != "other" || got[1].req["request_id"] != "mine" {
			t.Errorf("%v", got)
		}
	})
}

func TestSetKeyExpiryTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", answer: ok})
		cl := c.client(t, client.Options{AdminToken: "t"})
		cl.SetKeyExpiry(t.Context(), 1, time.Date(2030, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)))
		cl.SetKeyExpiry(t.Context(), 1, time.Time{})
		got := c.requests()
		if got[0].req["expires_at"] != "2030-01-02T03:04:05+01:00" || got[1].req["expires_at"] != "never" {
			t.Errorf("%v", got)
		}
	})
}

func TestSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&member{addr: "a:1", down: true}, &member{addr: "b:1", answer: script(`{"type":"replication_snapshot","snapshot":{}}`)})
		cl := c.client(t, client.Options{})
		stop := errors.New("enough")
		err := cl.Subscribe(t.Context(), "tok", true, func(frame json.RawMessage) error {
			if string(frame) != `{"type":"replication_snapshot","snapshot":{}}` {
				t.Errorf("%s", frame)
			}
			return stop
		})
		if err != stop {
			t.Error(err)
		}
		if got := c.requests()[0].req; got["token"] != "tok" || got["deltas"] != true {
			t.Errorf("%v", got)
		}
		c.set("b:1", func(m *member) {
			m.answer = func(int, request) string { return failing(protocol.CodeTokenInvalid, "") }
		})
		err = cl.Subscribe(t.Context(), "tok", false, nil)
		wantError(t, err, protocol.CodeTokenInvalid, protocol.OutcomeRejected)
		c.set("b:1", func(m *member) { m.answer = func(int, request) string { return hang } })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err = cl.Subscribe(ctx, "tok", false, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		from := time.Now()
		if err = cl.Subscribe(t.Context(), "tok", false, nil); !errors.Is(err, client.ErrUnreachable) || time.Since(from) > time.Minute {
			t.Errorf("a stream without heartbeats: %v after %v", err, time.Since(from))
		}
	})
}
