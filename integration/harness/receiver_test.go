// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"net/http"
	"strings"
	"testing"
)

func TestReceiverAnswersAsItIsSet(t *testing.T) {
	r := NewReceiver()
	defer r.Close()
	post := func(body string) int {
		resp, err := http.Post(r.URL, "text/plain", strings.NewReader(body))
		if err != nil {
			return 0
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for answer, status := range map[Answer]int{AnswerOK: 200, AnswerError: 503, AnswerRefuse: 400, AnswerReset: 0, AnswerLost: 0} {
		before := len(r.Got())
		r.Set(answer)
		if got := post(string(answer)); got != status {
			t.Errorf("%s: status %d, want %d", answer, got, status)
		}
		got := r.Got()[before:]
		if len(got) == 0 || string(got[0].Body) != string(answer) || got[0].Accepted() != (answer == AnswerOK || answer == AnswerLost) {
			t.Errorf("%s: noted %+v", answer, got)
		}
	}
	r.SetFor(AnswerError, 2)
	if got := [3]int{post("a"), post("b"), post("c")}; got != [3]int{503, 503, 200} {
		t.Errorf("two answers and ok again: status %v", got)
	}
	r.Set(AnswerHang)
	before, done := len(r.Got()), make(chan int)
	go func() { done <- post("hang") }()
	for len(r.Got()) == before { // it has been read, and nothing is answered
		select {
		case status := <-done:
			t.Fatalf("a hanging receiver answered %d", status)
		default:
		}
	}
	r.Set(AnswerReset)
	if got := <-done; got != 0 || r.Got()[before].Accepted() {
		t.Errorf("what hung was answered %d: %+v", got, r.Got()[before])
	}
}

func TestReceivedEventID(t *testing.T) {
	for body, want := range map[string]uint64{`{"event_id":47,"details":{"seq":9}}`: 47, `{"seq":48}`: 48, "": 0, "CEF:0|": 0} {
		r := Received{Body: []byte(body)}
		if got := r.EventID(); got != want {
			t.Errorf("%q: %d, want %d", body, got, want)
		}
	}
}
