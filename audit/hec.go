// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// hec sends batches to Splunk's HTTP event collector.
type hec struct {
	*caller
	source, index string
	// ack is where the indexer tells what it has, nil when it is not asked.
	ack *url.URL
	// acknowledges says that the token is known to have acknowledgement.
	acknowledges bool
	ackTimeout   time.Duration
}

func openHEC(o Options) (Exporter, error) {
	c, err := newCaller(o, "application/json")
	if err != nil {
		return nil, err
	}
	h := &hec{caller: c, source: o.Sink.Source, index: o.Sink.Index}
	if o.Sink.Ack {
		channel := uuid.NewString()
		h.ack = ackURL(h.url, channel)
		h.header.Set("X-Splunk-Request-Channel", channel)
		h.ackTimeout = o.bound(ackTimeout)
		h.keepCookies() // only the indexer that took a batch knows of it
	}
	return h, nil
}

const collector = "/services/collector"

// ackURL is beside the collector, also behind a proxy that adds to the path.
func ackURL(u *url.URL, channel string) *url.URL {
	prefix, _, found := strings.Cut(u.Path, collector)
	if !found {
		prefix = ""
	}
	ack := *u
	ack.Path, ack.RawPath = prefix+collector+"/ack", ""
	q := ack.Query()
	q.Set("channel", channel)
	ack.RawQuery = q.Encode()
	return &ack
}

// Deliver sends the events in as many requests as they take.
func (h *hec) Deliver(ctx context.Context, events []protocol.AuditEvent) (int, error) {
	if err := h.askable(ctx); err != nil {
		return 0, failed("question for acknowledgement to "+h.url.Host, err, h.secret)
	}
	done := 0
	for done < len(events) {
		body, n := batch(events[done:], batchEvents, h.render)
		a, err := h.post(ctx, h.url, body, nil)
		err = understood(a, err)
		if err == nil && h.ack != nil {
			err = failed("acknowledgement from "+h.ack.Host, h.indexed(ctx, a), h.secret)
		}
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// understood takes the collector at its word: success is 200 with code 0, and
// anything else says why in a code.
func understood(a answer, err error) error {
	var reply struct {
		Code *int `json:"code"`
	}
	said := json.Unmarshal(a.body, &reply) == nil && reply.Code != nil
	var status *StatusError
	switch {
	case errors.As(err, &status):
		if said {
			status.Code = *reply.Code
		}
		return err
	case err != nil:
		return err
	case !said:
		return errors.New(a.whatCame() + ", where an event collector says code 0: check the endpoint, and what stands before it")
	case *reply.Code != 0:
		return &StatusError{Status: http.StatusOK, Code: *reply.Code}
	}
	return nil
}

// packings are the encodings of answers that there are.
var packings = []string{"gzip", "x-gzip", "deflate", "compress", "br", "zstd"}

// whatCame describes an answer that cannot be read, without repeating it.
func (a answer) whatCame() string {
	if i := slices.Index(packings, strings.ToLower(a.encoding)); i >= 0 {
		return "the answer is compressed (" + packings[i] + "), which nobody asked for"
	}
	start := bytes.TrimSpace(a.body)
	var syntax *json.SyntaxError
	switch err := json.Unmarshal(start, new(any)); {
	case a.cut:
		return "the answer broke off after " + strconv.Itoa(len(a.body)) + " bytes"
	case len(start) == 0:
		return "the answer is empty"
	case bytes.HasPrefix(start, []byte("\x1f\x8b")):
		return "the answer is compressed (gzip), which nobody asked for"
	case start[0] == '<':
		return "the answer is a page (HTML or XML)"
	case err == nil:
		return "the answer is JSON without a code"
	case start[0] == '{' && errors.As(err, &syntax) && int(syntax.Offset) >= len(start):
		return "the answer ends in the middle of its JSON"
	}
	return "the answer is not JSON"
}

// hecTexts says what the collector's codes mean and what to do. What it says
// itself is not shown: it may repeat what was sent.
var hecTexts = map[int]string{
	1:  "the token is disabled: enable it in Splunk",
	2:  "it got no token: set one",
	3:  "the authorization has not the form it wants: check the endpoint",
	4:  "it does not know the token: check it",
	5:  "there was no data in the request",
	6:  "it does not like the data",
	7:  "the index is wrong, or the token may not write to it: check index, or allow it for the token",
	8:  "it has an internal error",
	9:  "it is busy",
	10: "the token wants indexer acknowledgement: set ack",
	11: "it does not like the channel of acknowledgements",
	12: "an event has no event field",
	13: "an event's event field is blank",
	14: "the token has no indexer acknowledgement: enable it in Splunk, or switch ack off",
	15: "it does not like an event's indexed fields",
	16: "the token may not come in the query string",
	20: "its queues are full",
	21: "its queues for acknowledgements are full",
	22: "acknowledgements are not available",
	23: "it is shutting down",
}

// hecContent are the codes that are about an event, not about the sink.
var hecContent = map[int]bool{6: true, 12: true, 13: true, 15: true}

func (h *hec) render(e *protocol.AuditEvent) []byte { return HEC(e, h.source, h.index) }

// askable makes sure, before anything is sent, that the token has
// acknowledgement. A batch would be taken without, and then be sent again and
// again for want of one.
func (h *hec) askable(ctx context.Context) error {
	if h.ack == nil || h.acknowledges {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	a, err := h.do(ctx, h.ack, []byte(`{"acks":[0]}`), http.Header{})
	var reply struct {
		Code int `json:"code"`
	}
	if json.Unmarshal(a.body, &reply) == nil && reply.Code == ackDisabled {
		return errors.New("indexer acknowledgement is not enabled for the token: enable it in Splunk, or switch ack off")
	}
	var status *StatusError
	if errors.As(err, &status) && status.Status == http.StatusBadRequest {
		err = nil // it does not like the number, which nobody has been given yet
	}
	h.acknowledges = err == nil
	return err
}

// ackDisabled is Splunk's code for a token without acknowledgement.
const ackDisabled = 14

// ackTimeout bounds how long an acknowledgement is awaited: an indexer may
// take its time, and asking is cheaper than sending again.
const ackTimeout = time.Minute

// Pauses between questions for an acknowledgement.
const (
	firstAckPause = 50 * time.Millisecond
	lastAckPause  = time.Second
)

// indexed waits until the indexer says that it has the batch that it has answered.
func (h *hec) indexed(ctx context.Context, a answer) error {
	var taken struct {
		AckID *uint64 `json:"ackId"`
	}
	if json.Unmarshal(a.body, &taken) != nil || taken.AckID == nil {
		return errors.New("the answer has no ackId: is indexer acknowledgement enabled for the token?")
	}
	id := strconv.FormatUint(*taken.AckID, 10)
	ctx, cancel := context.WithTimeout(ctx, h.ackTimeout)
	defer cancel()
	for pause := firstAckPause; ; pause = min(2*pause, lastAckPause) {
		if ok, err := h.acked(ctx, id); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (h *hec) acked(ctx context.Context, id string) (bool, error) {
	a, err := h.do(ctx, h.ack, []byte(`{"acks":[`+id+`]}`), http.Header{})
	if err != nil {
		return false, err
	}
	var reply struct {
		Acks map[string]bool `json:"acks"`
	}
	if err := json.NewDecoder(bytes.NewReader(a.body)).Decode(&reply); err != nil {
		return false, errors.New("asked for an acknowledgement: " + a.whatCame())
	}
	return reply.Acks[id], nil
}
