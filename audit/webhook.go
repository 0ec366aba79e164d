// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// openWebhook makes the exporter of a webhook. A webhook's secret signs; it
// is never shown to the receiver.
func openWebhook(o Options) (Exporter, error) {
	secret := o.Secret
	o.Secret = ""
	c, err := newCaller(o, "application/json")
	if err != nil {
		return nil, err
	}
	c.timeout = o.bound(webhookTimeout)
	p := &poster{caller: c, render: Webhook, most: 1}
	if secret == "" {
		return p, nil
	}
	if e := protocol.CheckWebhookSecret(protocol.Secret(secret)); e != nil {
		return nil, e
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return nil, err
	}
	p.extra = func(e *protocol.AuditEvent, body []byte) http.Header {
		return signature(key, EventID(o.ClusterID, e.Seq), time.Now(), body)
	}
	return p, nil
}

// EventID is an event's webhook-id. With the beginning of the cluster's id in
// it, a receiver of several clusters does not take their events for repeats.
func EventID(clusterID string, seq uint64) string {
	return fmt.Sprintf("evt_%s_%d", clusterID[:min(8, len(clusterID))], seq)
}

// signature is what Standard Webhooks ask for. The time is of the try: with
// the event's, receivers would refuse what was delivered late.
func signature(key []byte, id string, at time.Time, body []byte) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", stamp)
	h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return h
}
