// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"
	"syscall"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

func TestClassify(t *testing.T) {
	row := protocol.Must("set_tags")
	okReply := `{"node_id":7,"tags":["a"],"type":"set_tags_ok","index":12}`
	refused := func(rest string) string { return `{"code":` + rest + `,"error":"no","type":"error"}` }
	tests := []struct {
		name string
		x    history.Exchange
		want history.Outcome
		code string
	}{
		{"success", history.Exchange{Sent: true, Reply: []byte(okReply)}, history.OK, ""},
		{"dial refused", history.Exchange{Err: syscall.ECONNREFUSED}, history.Fail, history.CodeUnreachable},
		{"dial timed out", history.Exchange{Err: context.DeadlineExceeded}, history.Fail, history.CodeUnreachable},
		{"reset after sending", history.Exchange{Sent: true, Err: syscall.ECONNRESET}, history.Unknown, history.CodeNoReply},
		{"closed after sending", history.Exchange{Sent: true, Err: io.EOF}, history.Unknown, history.CodeNoReply},
		{"reply cut short", history.Exchange{Sent: true, Err: io.ErrUnexpectedEOF}, history.Unknown, history.CodeNoReply},
		{"timeout after sending", history.Exchange{Sent: true, Err: context.DeadlineExceeded}, history.Unknown, history.CodeNoReply},
		{"plain rejection", history.Exchange{Sent: true, Reply: []byte(refused(`"already_exists"`))}, history.Fail, "already_exists"},
		{"said rejection", history.Exchange{Sent: true, Reply: []byte(refused(`"brand_new_code","outcome":"rejected"`))}, history.Fail, "brand_new_code"},
		{"not applied", history.Exchange{Sent: true, Reply: []byte(refused(`"no_leader","outcome":"not_applied"`))}, history.Fail, "no_leader"},
		{"overloaded", history.Exchange{Sent: true, Reply: []byte(refused(`"overloaded","outcome":"not_applied"`))}, history.Fail, "overloaded"},
		{"outcome unknown", history.Exchange{Sent: true, Reply: []byte(refused(`"outcome_unknown","outcome":"unknown"`))}, history.Unknown, "outcome_unknown"},
		{"unknown in spite of a decided code", history.Exchange{Sent: true, Reply: []byte(refused(`"conflict","outcome":"unknown"`))}, history.Unknown, "conflict"},
		{"a code nobody knows", history.Exchange{Sent: true, Reply: []byte(refused(`"brand_new_code"`))}, history.Unknown, "brand_new_code"},
		{"an outcome nobody knows", history.Exchange{Sent: true, Reply: []byte(refused(`"conflict","outcome":"perhaps"`))}, history.Unknown, "conflict"},
		{"internal without outcome", history.Exchange{Sent: true, Reply: []byte(refused(`"internal"`))}, history.Unknown, "internal"},
		{"no leader without outcome", history.Exchange{Sent: true, Reply: []byte(refused(`"no_leader"`))}, history.Unknown, "no_leader"},
		{"no code at all", history.Exchange{Sent: true, Reply: []byte(`{"error":"request failed","type":"error"}`)}, history.Unknown, ""},
		{"not JSON", history.Exchange{Sent: true, Reply: []byte("HTTP/1.1 400")}, history.Unknown, history.CodeMalformed},
		{"answer to another command", history.Exchange{Sent: true, Reply: []byte(`{"type":"lookup_ok"}`)}, history.Unknown, history.CodeMalformed},
		{"no type", history.Exchange{Sent: true, Reply: []byte(`{}`)}, history.Unknown, history.CodeMalformed},
	}
	for _, tt := range tests {
		tt.x.Row = row
		if v := history.Classify(tt.x); v.Outcome != tt.want || v.Code != tt.code {
			t.Errorf("%s: %s with code %q, want %s with %q", tt.name, v.Outcome, v.Code, tt.want, tt.code)
		}
	}
}

func TestClassifyKeepsIndexAndReply(t *testing.T) {
	for reply, want := range map[string]history.Verdict{
		`{"type":"set_tags_ok","index":12}`:                                  {Outcome: history.OK, Index: 12, Reply: []byte(`{"type":"set_tags_ok"}`)},
		`{"type":"set_tags_ok","index":12,"replayed":true}`:                  {Outcome: history.OK, Index: 12, Replayed: true, Reply: []byte(`{"type":"set_tags_ok"}`)},
		`{"tags":["x,\"index\":3}"],"type":"set_tags_ok"}`:                   {Outcome: history.OK, Reply: []byte(`{"tags":["x,\"index\":3}"],"type":"set_tags_ok"}`)},
		`{"tags":[",\"index\":3}"],"type":"set_tags_ok","index":4}`:          {Outcome: history.OK, Index: 4, Reply: []byte(`{"tags":[",\"index\":3}"],"type":"set_tags_ok"}`)},
		`{"index":5,"tags":null,"type":"set_tags_ok"}`:                       {Outcome: history.OK, Index: 5, Reply: []byte(`{"index":5,"tags":null,"type":"set_tags_ok"}`)},
		`{"tags":null,"type":"set_tags_ok","index":18446744073709551615}`:    {Outcome: history.OK, Index: 1<<64 - 1, Reply: []byte(`{"tags":null,"type":"set_tags_ok"}`)},
		`{"tags":null,"type":"set_tags_ok","index":7,"replayed":false}`:      {Outcome: history.OK, Index: 7, Reply: []byte(`{"tags":null,"type":"set_tags_ok","index":7,"replayed":false}`)},
		`{"code":"conflict","error":"a \"quoted\" text","type":"error"}`:     {Outcome: history.Fail, Code: "conflict", Text: `a "quoted" text`},
		`{"code":"conflict","error":{"deep":1},"outcome":"not_applied"}`:     {Outcome: history.Fail, Code: "conflict", Text: `{"deep":1}`},
		`{"code":"conflict","error":"x","outcome":"unknown","type":"error"}`: {Outcome: history.Unknown, Code: "conflict", Text: "x"},
	} {
		got := history.Classify(history.Exchange{Row: protocol.Must("set_tags"), Sent: true, Reply: []byte(reply)})
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v\nwant %+v", reply, got, want)
		}
	}
}

// A refusal of a second sending proves nothing about the first.
func TestClassifyResend(t *testing.T) {
	verdict := func(o history.Outcome) history.Verdict { return history.Verdict{Outcome: o} }
	for _, tt := range []struct{ earlier, later, want history.Outcome }{
		{history.Unknown, history.OK, history.OK},
		{history.Unknown, history.Fail, history.Unknown},
		{history.Unknown, history.Unknown, history.Unknown},
		{history.Fail, history.Fail, history.Fail},
		{history.Fail, history.Unknown, history.Unknown},
		{history.Fail, history.OK, history.OK},
	} {
		if got := history.ClassifyResend(verdict(tt.earlier), verdict(tt.later)); got.Outcome != tt.want {
			t.Errorf("%s, then %s: %s, want %s", tt.earlier, tt.later, got.Outcome, tt.want)
		}
	}
}

func TestClassifySDK(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want history.Outcome
	}{
		{nil, history.OK},
		{&client.Error{Code: "conflict", Outcome: protocol.OutcomeRejected}, history.Fail},
		{&client.Error{Code: "no_leader", Outcome: protocol.OutcomeNotApplied}, history.Fail},
		{&client.Error{Code: "outcome_unknown", Outcome: protocol.OutcomeUnknown}, history.Unknown},
		{&client.Error{Code: "conflict"}, history.Unknown},
		{fmt.Errorf("wrapped: %w", &client.Error{Outcome: protocol.OutcomeRejected}), history.Fail},
		{errors.New("anything else"), history.Unknown},
		{context.Canceled, history.Unknown},
	} {
		res := &client.Result{Raw: []byte(`{"type":"x","index":3}`), Index: 3}
		if v := history.ClassifySDK(res, tt.err); v.Outcome != tt.want {
			t.Errorf("%v: %s, want %s", tt.err, v.Outcome, tt.want)
		}
	}
}

func TestAProcessIsGivenUpAfterAnUnknownOutcome(t *testing.T) {
	p := history.NewProcess("w1-3")
	var seen []string
	for _, o := range []history.Outcome{history.OK, history.Unknown, history.Fail, history.Unknown, history.OK} {
		seen = append(seen, p.Client())
		p.Observe(o)
	}
	if want := []string{"w1-3", "w1-3", "w1-3~1", "w1-3~1", "w1-3~2"}; !reflect.DeepEqual(seen, want) {
		t.Errorf("got %v, want %v", seen, want)
	}
}

func TestAHistoryIsReadBackUnchanged(t *testing.T) {
	dir := t.TempDir()
	r, err := history.NewRecorder(dir)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			p := history.NewProcess(fmt.Sprintf("c-%d", i))
			for j := range 50 {
				op := history.Op{
					Client: p.Client(), Session: "s", Workload: "w", Command: "set_tags", Key: "node/1", Args: []byte(`{"a":1}`),
					Call: r.Now(), Outcome: []history.Outcome{history.OK, history.Fail, history.Unknown}[j%3], Member: "n1", Code: "c", Text: "t",
					Index: uint64(j), RequestID: "r", Level: protocol.Bounded, MaxStalenessMS: 5, MinIndex: 6, Sends: 2, Value: "v", Reply: []byte(`{"b":2}`), Final: true,
				}
				op.Return = r.Now()
				r.Record(op)
				p.Observe(op.Outcome)
			}
		}()
	}
	wg.Wait()
	want := r.Ops()
	if c := r.Counts(); c != (history.Counts{OK: 136, Fail: 136, Unknown: 128, Acked: 136}) {
		t.Errorf("counts %+v", c)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := history.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %d operations that differ from the %d recorded", len(got), len(want))
	}
	for i, op := range got {
		if op.Return < op.Call || i > 0 && op.Call < got[i-1].Call {
			t.Fatalf("operation %d: call %d, return %d, after %d", op.ID, op.Call, op.Return, got[max(i-1, 0)].Call)
		}
	}
}

func TestKindAndWrites(t *testing.T) {
	for _, tt := range []struct {
		op     history.Op
		kind   string
		writes bool
	}{
		{history.Op{Command: "set_tags", Key: "node/7"}, "node", true},
		{history.Op{Command: "lookup", Key: "node/7/x"}, "node", false},
		{history.Op{Command: history.CommandDigest, Key: "digest"}, "digest", false},
	} {
		if tt.op.Kind() != tt.kind || tt.op.Writes() != tt.writes {
			t.Errorf("%+v: kind %q, writes %t", tt.op, tt.op.Kind(), tt.op.Writes())
		}
	}
}
