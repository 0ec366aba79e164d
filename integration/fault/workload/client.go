// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Client makes operations one after the other.
type Client struct {
	env     *Env
	name    string
	serial  int
	rng     *rand.Rand
	process *history.Process
	wires   map[string]*wire
	dials   int
	made    int    // operations so far, for unique values
	seen    uint64 // highest index a reply has shown
	sdk     sdk
}

// NewClient makes a client. When the run has had one of that name, the name is
// made another one.
func NewClient(env *Env, name string) *Client {
	name, serial := env.name(name)
	return &Client{env: env, name: name, serial: serial, rng: env.rng(name), process: history.NewProcess(name), wires: map[string]*wire{}}
}

// Close ends the client's connections.
func (c *Client) Close() {
	for name := range c.wires {
		c.hangUp(name)
	}
	c.sdk.close()
}

// Request is an operation to be made.
type Request struct {
	Workload string
	Key      string
	Command  string
	Body     protocol.Body
	// Signer signs the request, when the command is signed.
	Signer ed25519.PrivateKey
	// Admin sends the admin token.
	Admin bool
	// Level, MaxStaleness and MinIndex are of reads.
	Level        protocol.Level
	MaxStaleness time.Duration
	MinIndex     uint64
	// Member is whom to ask, any when its name is empty.
	Member Member
	// Identified gives the request an id, Resend is how often it may be sent
	// again, to another member, while its outcome is unknown, SDK leaves both
	// to the SDK.
	Identified bool
	Resend     int
	SDK        bool
	// Sealed makes it a signed request, with the signer, where the cluster's
	// id is known, instead of one with a signature over the challenge.
	Sealed bool
	Final  bool
}

// unique is a value that no other operation of the run has, fit for a tag.
func (c *Client) unique() string {
	return fmt.Sprintf("%s-%d-%d", c.env.Run, c.serial, c.made)
}

// chance is true with a probability of percent in a hundred.
func (c *Client) chance(percent int) bool { return c.rng.IntN(100) < percent }

// pick chooses a member, another one than avoid when there is one. ok is
// false when there is nobody to ask.
func (c *Client) pick(avoid string) (Member, bool) {
	members := c.env.Members()
	if len(members) == 0 {
		return Member{}, false
	}
	at := c.rng.IntN(len(members))
	if members[at].Name == avoid {
		at = (at + 1) % len(members)
	}
	return members[at], true
}

// Do makes an operation and records it.
func (c *Client) Do(ctx context.Context, r Request) history.Op {
	c.made++
	row := protocol.Must(r.Command)
	op := history.Op{Client: c.process.Client(), Workload: r.Workload, Command: r.Command, Key: r.Key, Level: r.Level,
		MaxStalenessMS: uint64(r.MaxStaleness / time.Millisecond), MinIndex: r.MinIndex, Final: r.Final}
	if (r.Identified || r.SDK) && row.Writes() {
		op.RequestID = fmt.Sprintf("%s-%d", op.Client, c.made)
	}
	op.RequestID = prefixed(c.env.Run, op.RequestID)
	nonce := ""
	if r.Sealed && r.Signer != nil && c.env.ClusterID != "" {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", c.env.Run, op.Client, c.made))
		nonce = hex.EncodeToString(sum[:16])
	}
	options := protocol.Options{RequestID: op.RequestID, Consistency: r.Level, MaxStalenessMS: op.MaxStalenessMS, MinIndex: r.MinIndex}
	args, err := protocol.EncodeRequest(row, r.Body, protocol.Credentials{}, options)
	if err != nil { // request types hold only strings, numbers and lists of them
		panic(err)
	}
	op.Args = args
	if nonce != "" && op.RequestID == "" {
		op.RequestID = nonce // which is the id of a signed request without one
	}
	var v history.Verdict
	op.Call = c.env.Recorder.Now()
	if r.SDK {
		v = c.viaSDK(ctx, r, &op)
	} else {
		v = c.send(ctx, row, r, nonce, options, &op)
	}
	op.Return = c.env.Recorder.Now()
	op.Outcome, op.Code, op.Text, op.Index, op.Replayed, op.Reply = v.Outcome, v.Code, v.Text, v.Index, v.Replayed, v.Reply
	op.Value = summary(op.Reply)
	c.seen = max(c.seen, op.Index)
	op = c.env.Recorder.Record(op)
	c.process.Observe(op.Outcome)
	return op
}

func prefixed(run, id string) string {
	if id == "" {
		return ""
	}
	return run + "." + id
}

// send sends a request, again to another member while its outcome is unknown
// and it may be sent again.
func (c *Client) send(ctx context.Context, row *protocol.Command, r Request, nonce string, options protocol.Options, op *history.Op) history.Verdict {
	frame := c.frame(row, r, options)
	if nonce != "" {
		frame = c.sealed(row, r, nonce, options)
	}
	target, known := r.Member, true
	if target.Name == "" {
		target, known = c.pick("")
	}
	if !known {
		return history.Classify(history.Exchange{Row: row, Err: fmt.Errorf("there is no member to ask")})
	}
	v := c.sendOnce(ctx, row, target, frame, op)
	for n := 0; n < r.Resend && op.RequestID != "" && v.Outcome == history.Unknown && ctx.Err() == nil; n++ {
		if next, ok := c.pick(target.Name); ok {
			target = next
		}
		op.Session = "" // more than one connection
		v = history.ClassifyResend(v, c.sendOnce(ctx, row, target, frame, op))
		op.Session = ""
	}
	return v
}

func (c *Client) frame(row *protocol.Command, r Request, options protocol.Options) []byte {
	var cred protocol.Credentials
	if r.Signer != nil {
		cred.Signature = protocol.Secret(base64.StdEncoding.EncodeToString(ed25519.Sign(r.Signer, []byte(protocol.ChallengeText(row, r.Body)))))
	}
	if r.Admin {
		cred.AdminToken = protocol.Secret(c.env.AdminToken)
	}
	body, err := protocol.EncodeRequest(row, r.Body, cred, options)
	if err != nil { // as above
		panic(err)
	}
	return protocol.AppendFrame(nil, body)
}

// sealed is the frame of a signed request.
func (c *Client) sealed(row *protocol.Command, r Request, nonce string, options protocol.Options) []byte {
	var cred protocol.Credentials
	if r.Admin {
		cred.AdminToken = protocol.Secret(c.env.AdminToken)
	}
	payload, err := protocol.EncodeRequest(row, r.Body, cred, options)
	if err != nil { // as above
		panic(err)
	}
	s := protocol.Signed{TS: time.Now().UnixMilli(), Nonce: nonce, Payload: string(payload)}
	if row.Signer != "public_key" {
		s.NodeID = protocol.SignerID(row, r.Body)
	}
	s.Signature = protocol.Secret(base64.StdEncoding.EncodeToString(ed25519.Sign(r.Signer, s.Text(c.env.ClusterID))))
	body, err := s.Encode()
	if err != nil {
		panic(err)
	}
	return protocol.AppendFrame(nil, body)
}

func (c *Client) sendOnce(ctx context.Context, row *protocol.Command, m Member, frame []byte, op *history.Op) history.Verdict {
	op.Member = m.Name
	w, err := c.connection(ctx, m)
	if err != nil {
		return history.Classify(history.Exchange{Row: row, Err: err})
	}
	op.Session = w.session
	reply, sent, err := w.exchange(frame, c.env.Timeout)
	if sent {
		op.Sends++
	}
	v := history.Classify(history.Exchange{Row: row, Sent: sent, Reply: reply, Err: err})
	if err != nil || v.Code == history.CodeMalformed {
		c.hangUp(m.Name)
	}
	return v
}

// summary says in a few words what a reply told.
func summary(reply json.RawMessage) string {
	if reply == nil {
		return ""
	}
	var fields map[string]any
	if err := json.Unmarshal(reply, &fields); err != nil {
		return string(reply)
	}
	var out []string
	for _, name := range []string{"node_id", "hostname", "tags", "public", "visibility", "polo_score", "role", "network_id"} {
		if v, ok := fields[name]; ok {
			out = append(out, fmt.Sprintf("%s=%v", name, v))
		}
	}
	return strings.Join(out, " ")
}
