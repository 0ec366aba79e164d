// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// WebhookTimeout bounds one question to the identity webhook.
const WebhookTimeout = 5 * time.Second

// maxWebhookAnswer bounds an answer of the identity webhook.
const maxWebhookAnswer = 4096

// Webhook asks a service of the operator who the bearer of a token is.
type Webhook struct {
	Guard  *URLGuard
	Client *http.Client
}

// webhookAnswer is what the service says.
type webhookAnswer struct {
	Verified   bool   `json:"verified"`
	ExternalID string `json:"external_id"`
	Error      string `json:"error"`
}

// Verify asks once. It returns the external id the service vouches for, or
// why there is none: the service says no, or it cannot be asked.
func (w *Webhook) Verify(ctx context.Context, url string, token protocol.Secret) (string, *protocol.Error) {
	ctx, cancel := context.WithTimeout(ctx, WebhookTimeout)
	defer cancel()
	raw, e := w.ask(ctx, url, token)
	if e != nil {
		return "", e
	}
	var a webhookAnswer
	if err := json.Unmarshal(raw, &a); err != nil {
		return "", webhookFailed("parse identity response: %s", problem(err, raw, &a))
	}
	a.Error = strings.ReplaceAll(a.Error, string(token), "***") // the answer to the node may be logged
	switch {
	case !a.Verified && Clean(a.Error) == "":
		return "", protocol.Refusef(protocol.CodeIdentityRejected, "identity verification rejected: token not verified")
	case !a.Verified:
		return "", protocol.Refusef(protocol.CodeIdentityRejected, "identity verification rejected: %s", Clean(a.Error))
	case a.ExternalID == "":
		return "", webhookFailed("identity webhook returned empty external_id")
	}
	return a.ExternalID, CheckExternalID(a.ExternalID)
}

// webhookFailed makes the refusal for a service that did not answer properly:
// nothing was decided, so the node may try again.
func webhookFailed(format string, args ...any) *protocol.Error {
	return protocol.NotAppliedf(protocol.CodeIdentityFailed, format, args...)
}

func (w *Webhook) ask(ctx context.Context, url string, token protocol.Secret) ([]byte, *protocol.Error) {
	if _, e := w.Guard.CheckURL("", url); e != nil {
		return nil, webhookFailed("identity verification failed: %s", e.Text)
	}
	body, err := stdjson.Marshal(map[string]string{"token": string(token)})
	if err != nil {
		return nil, webhookFailed("identity verification failed: the question cannot be encoded")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, webhookFailed("identity verification failed: %s", Cause(err))
	}
	req.GetBody = nil // asked once: not again on another connection
	req.Header.Set("Content-Type", "application/json")
	res, err := w.Client.Do(req)
	if err != nil {
		return nil, webhookFailed("identity verification failed: %s", Cause(err))
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, webhookFailed("identity webhook returned status %d", res.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxWebhookAnswer+1))
	if err != nil {
		return nil, webhookFailed("read identity response: %s", Cause(err))
	}
	if len(raw) > maxWebhookAnswer {
		return nil, webhookFailed("parse identity response: longer than %d bytes", maxWebhookAnswer)
	}
	return raw, nil
}

// CheckExternalID refuses external ids that cannot be shown or stored.
func CheckExternalID(id string) *protocol.Error {
	if len(id) > protocol.MaxTextBytes {
		return protocol.Errorf(protocol.CodeTooLarge, "external identity too long (max %d bytes)", protocol.MaxTextBytes)
	}
	if strings.TrimSpace(id) == "" {
		return protocol.Errorf(protocol.CodeInvalid, "invalid external identity: it is blank, and names nobody")
	}
	for _, r := range id {
		if !printable(r) {
			return protocol.Errorf(protocol.CodeInvalid, "invalid external identity: it contains characters that do not print")
		}
	}
	return nil
}
