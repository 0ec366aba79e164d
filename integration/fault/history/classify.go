// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strconv"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// Codes of failures on the way, beside the protocol's.
const (
	// CodeUnreachable: no connection, nothing was sent.
	CodeUnreachable = "unreachable"
	// CodeNoReply: sent, and no reply came.
	CodeNoReply = "no_reply"
	// CodeMalformed: the reply is not one to the command that was sent.
	CodeMalformed = "malformed_reply"
)

// Verdict is what an exchange told the client.
type Verdict struct {
	Outcome  Outcome
	Code     string
	Text     string
	Index    uint64
	Replayed bool
	Reply    json.RawMessage
}

// Exchange is one sending of a request and what came of it.
type Exchange struct {
	Row *protocol.Command
	// Sent is true once a byte of the request may have left.
	Sent bool
	// Reply is the body of the reply, when one came.
	Reply []byte
	// Err says why none came.
	Err error
}

// decided are the codes that say that the registry looked at the request and
// refused it. A code that is not here and comes without an outcome proves nothing.
var decided = map[string]bool{
	protocol.CodeInvalid: true, protocol.CodeUnknownCommand: true, protocol.CodeNotImplemented: true,
	protocol.CodeNotFound: true, protocol.CodeAlreadyExists: true, protocol.CodeConflict: true,
	protocol.CodePermissionDenied: true, protocol.CodeSignatureRequired: true, protocol.CodeSignatureInvalid: true,
	protocol.CodeAdminDisabled: true, protocol.CodeAdminToken: true, protocol.CodeTokenInvalid: true,
	protocol.CodeKeyExpired: true, protocol.CodeEnterpriseRequired: true, protocol.CodeLimitReached: true,
	protocol.CodeTooLarge: true, protocol.CodeRequestIDReused: true, protocol.CodeFeatureNotActive: true,
	protocol.CodeRateLimited: true, protocol.CodeStaleTerm: true,
}

// Classify says what an exchange told the client.
func Classify(x Exchange) Verdict {
	if x.Err != nil {
		if !x.Sent {
			return Verdict{Outcome: Fail, Code: CodeUnreachable, Text: x.Err.Error()}
		}
		return Verdict{Outcome: Unknown, Code: CodeNoReply, Text: x.Err.Error()}
	}
	var head struct {
		Type     string           `json:"type"`
		Code     string           `json:"code"`
		Error    *json.RawMessage `json:"error"`
		Outcome  protocol.Outcome `json:"outcome"`
		Index    uint64           `json:"index"`
		Replayed bool             `json:"replayed"`
	}
	if err := json.Unmarshal(x.Reply, &head); err != nil {
		return Verdict{Outcome: Unknown, Code: CodeMalformed, Text: err.Error()}
	}
	if head.Error != nil {
		text := string(*head.Error)
		if plain, err := strconv.Unquote(text); err == nil {
			text = plain
		}
		return Verdict{Outcome: refusal(head.Code, head.Outcome), Code: head.Code, Text: text}
	}
	if head.Type != x.Row.ReplyType() {
		return Verdict{Outcome: Unknown, Code: CodeMalformed, Text: "reply of type " + strconv.Quote(head.Type) + " to " + x.Row.Name}
	}
	return Verdict{Outcome: OK, Index: head.Index, Replayed: head.Replayed, Reply: stripAppended(x.Reply)}
}

// refusal is the outcome of an error reply.
func refusal(code string, said protocol.Outcome) Outcome {
	switch said {
	case protocol.OutcomeNotApplied, protocol.OutcomeRejected:
		return Fail
	case "":
		if decided[code] {
			return Fail
		}
	}
	return Unknown
}

// ClassifyResend combines the verdict of an earlier sending with that of a
// later one of the same request. Once a sending is unknown it may still take
// effect after a later refusal; only a success, which names the effect by its
// request id, settles it.
func ClassifyResend(earlier, later Verdict) Verdict {
	if earlier.Outcome == Unknown && later.Outcome == Fail {
		later.Outcome = Unknown
	}
	return later
}

// ClassifySDK says what a call through the SDK told the client.
func ClassifySDK(res *client.Result, err error) Verdict {
	if err == nil {
		return Verdict{Outcome: OK, Index: res.Index, Replayed: res.Replayed, Reply: stripAppended(res.Raw)}
	}
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		return Verdict{Outcome: Unknown, Code: CodeNoReply, Text: err.Error()}
	}
	v := Verdict{Outcome: Unknown, Code: e.Code, Text: e.Text}
	if e.Outcome == protocol.OutcomeRejected || e.Outcome == protocol.OutcomeNotApplied {
		v.Outcome = Fail
	}
	return v
}

// appended is what a member appends to a reply: the index, how old the state of
// a stale read is, and whether it is the answer to an earlier sending.
var appended = regexp.MustCompile(`,"index":[0-9]+(,"data_age_ms":[0-9]+)?(,"replayed":true)?\}$`)

// stripAppended removes what a member appended, so that the rest can be compared
// byte by byte with what the state machine answers.
func stripAppended(reply []byte) json.RawMessage {
	if at := appended.FindIndex(reply); at != nil {
		return append(bytes.Clone(reply[:at[0]]), '}')
	}
	return bytes.Clone(reply)
}
