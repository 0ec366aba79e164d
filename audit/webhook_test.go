// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/base64"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/pilotregistry/pilotregistry/protocol"
)

const signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// The official library accepts what is sent, and nothing else.
func TestWebhookSignature(t *testing.T) {
	r := receive(t, nil)
	o := export("", r.URL)
	o.Sink.Kind, o.Secret = protocol.SinkWebhook, signing
	deliver(t, open(t, o), some(46, 2))
	lib, err := standardwebhooks.NewWebhook(signing)
	if err != nil {
		t.Fatal(err)
	}
	got := r.all()[1]
	if err := lib.Verify([]byte(got.body), got.header); err != nil {
		t.Errorf("the signature does not verify: %v", err)
	}
	if id := got.header.Get("webhook-id"); id != "evt_0b1e2d3c_47" {
		t.Errorf("webhook-id is %q", id)
	}
	if got.header.Get("Content-Type") != "application/json" || got.header.Get("Authorization") != "" {
		t.Errorf("the headers are %v", got.header)
	}
	if lib.Verify([]byte(got.body+" "), got.header) == nil {
		t.Error("the signature verifies for another body")
	}
	got.header.Set("webhook-id", "evt_0b1e2d3c_48")
	if lib.Verify([]byte(got.body), got.header) == nil {
		t.Error("the signature verifies for another id")
	}
	other, _ := standardwebhooks.NewWebhookRaw(make([]byte, 24))
	if other.Verify([]byte(r.all()[0].body), r.all()[0].header) == nil {
		t.Error("the signature verifies with another secret")
	}
}

func TestWebhookWithoutSecret(t *testing.T) {
	r := receive(t, nil)
	o := export("", r.URL)
	o.Sink.Kind = protocol.SinkWebhook
	events := some(1, 1)
	deliver(t, open(t, o), events)
	got := r.all()[0]
	if got.body != string(Webhook(&events[0])) || got.header.Get("webhook-signature") != "" {
		t.Errorf("got %+v", got)
	}
}

func TestEventID(t *testing.T) {
	if got := EventID("ab", 1); got != "evt_ab_1" {
		t.Errorf("the id of a short cluster id is %q", got)
	}
	if _, err := base64.StdEncoding.DecodeString(signing[len("whsec_"):]); err != nil {
		t.Error(err)
	}
}
