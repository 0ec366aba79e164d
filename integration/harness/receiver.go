// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
)

// Answer is how a [Receiver] answers.
type Answer string

// Answers of receivers. Whatever it is, the request has been read and noted.
const (
	AnswerOK Answer = "ok"
	// AnswerError is status 503, AnswerRefuse 400.
	AnswerError  Answer = "error"
	AnswerRefuse Answer = "refuse"
	// AnswerHang says nothing until the answer is another one or the sender
	// hangs up, AnswerReset breaks the connection off.
	AnswerHang  Answer = "hang"
	AnswerReset Answer = "reset"
	// AnswerLost breaks the connection off although the request was accepted:
	// the sender cannot know and has to repeat it.
	AnswerLost Answer = "lost"
)

// Received is a request that a receiver read.
type Received struct {
	Header http.Header
	Body   []byte
	Answer Answer
}

// Accepted reports whether the receiver took the request in.
func (r *Received) Accepted() bool { return r.Answer == AnswerOK || r.Answer == AnswerLost }

// Receiver is where webhooks and exports are sent to over HTTP. It notes what
// it got, in order, and its answers can be changed at any time.
type Receiver struct {
	// URL is where it listens.
	URL string

	server  *httptest.Server
	mu      sync.Mutex
	answer  Answer
	left    int           // answers until it is ok again, 0 for all
	changed chan struct{} // closed when answer is another one
	got     []Received
}

// NewReceiver starts a receiver that answers ok. Close ends it.
func NewReceiver() *Receiver {
	r := &Receiver{answer: AnswerOK, changed: make(chan struct{})}
	r.server = httptest.NewServer(r)
	r.URL = r.server.URL
	return r
}

// Set changes the answer, also of requests that hang.
func (r *Receiver) Set(a Answer) { r.SetFor(a, 0) }

// SetFor changes the answer of the next n requests, of all when n is 0; after
// them it is ok again. What hung is let go.
func (r *Receiver) SetFor(a Answer, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer, r.left = a, n
	close(r.changed)
	r.changed = make(chan struct{})
}

// Got lists what was received so far, in the order in which it came.
func (r *Receiver) Got() []Received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Received(nil), r.got...)
}

// Close ends the receiver and what hangs in it.
func (r *Receiver) Close() {
	r.Set(AnswerReset)
	r.server.CloseClientConnections()
	r.server.Close()
}

// ServeHTTP notes a request and answers as it is set to.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the sender gave up in the middle: nothing was received
	}
	r.mu.Lock()
	answer, changed := r.answer, r.changed
	r.got = append(r.got, Received{req.Header.Clone(), body, answer})
	if r.left > 0 {
		if r.left--; r.left == 0 {
			r.answer = AnswerOK
		}
	}
	r.mu.Unlock()
	if answer == AnswerHang {
		select {
		case <-changed:
		case <-req.Context().Done():
		}
		answer = AnswerReset // it was not accepted, whatever is set now
	}
	switch answer {
	case AnswerError:
		w.WriteHeader(http.StatusServiceUnavailable)
	case AnswerRefuse:
		w.WriteHeader(http.StatusBadRequest)
	case AnswerReset, AnswerLost:
		reset(w)
	}
}

// reset breaks the connection off as a crashed machine does.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// EventID is the sequence number of the event in a request: event_id of a
// webhook, seq of a JSON export, 0 when there is none.
func (r *Received) EventID() uint64 {
	var body struct {
		EventID uint64 `json:"event_id"`
		Seq     uint64 `json:"seq"`
	}
	if json.Unmarshal(r.Body, &body) != nil {
		return 0
	}
	return max(body.EventID, body.Seq)
}
