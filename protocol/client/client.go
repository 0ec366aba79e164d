// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	backoffMin = 50 * time.Millisecond
	backoffMax = 2 * time.Second
)

// Client talks to a cluster. It is safe for concurrent use: calls run in
// parallel up to Options.MaxConns, each alone on its connection.
type Client struct {
	opts     Options
	slots    chan struct{}
	minIndex atomic.Uint64

	signing signing

	mu     sync.Mutex
	closed bool
	next   int // the address in use
	idle   []*conn
	all    map[*conn]struct{}
}

// Open makes a Client. It connects with the first call.
func Open(o Options) (*Client, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	c := &Client{opts: o, slots: make(chan struct{}, o.MaxConns), all: map[*conn]struct{}{}, signing: signing{turn: make(chan struct{}, 1)}}
	if o.Shuffle {
		c.next = mrand.IntN(len(o.Addrs))
	}
	return c, nil
}

// Close ends all connections. Calls in progress fail.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for conn := range c.all {
		conn.nc.Close()
	}
	c.idle = nil
	return nil
}

// Addr is the address that the next call tries first.
func (c *Client) Addr() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opts.Addrs[c.next]
}

// MinIndex is the highest index a reply has carried. Later requests ask every
// member for at least this state, so a client sees its own writes everywhere.
func (c *Client) MinIndex() uint64 { return c.minIndex.Load() }

func (c *Client) raiseMinIndex(index uint64) {
	for {
		old := c.minIndex.Load()
		if index <= old || c.minIndex.CompareAndSwap(old, index) {
			return
		}
	}
}

// Result is a successful reply.
type Result struct {
	// Raw is the reply as it came, one JSON object.
	Raw json.RawMessage
	// Index is the log index of a write, 0 when the reply has none.
	Index uint64
	// Replayed is true when an earlier sending of the same request id had the effect.
	Replayed bool
	// DataAge of a stale read is how old the state was that it came from.
	DataAge time.Duration
	// Addr is the address that answered.
	Addr string
	// RequestID is the id that the request was sent with.
	RequestID string
}

// Call sends a command and decodes its reply into R, one of the protocol's
// reply types. The error is an [*Error].
func Call[R any](ctx context.Context, c *Client, command string, body protocol.Body, opts ...CallOption) (*R, error) {
	res, err := c.Do(ctx, command, body, opts...)
	if err != nil {
		return nil, err
	}
	reply := new(R)
	if err := json.Unmarshal(res.Raw, reply); err != nil {
		p := &call{row: protocol.ByName(command), requestID: res.RequestID, writes: protocol.ByName(command).Writes()}
		return nil, p.fail(unknown, CodeMalformedReply, res.Addr, []error{err}, "unreadable reply: %s; is the member of another version?", protocol.JSONProblem(err, res.Raw)).err
	}
	return reply, nil
}

// Do sends a command and returns its reply undecoded. It tries the addresses
// in turn, sends again what is safe to send again, and ends with the context
// or after Options.RetryFor. A request that is too long for one frame, where
// the command takes such, goes in parts. The error is an [*Error].
func (c *Client) Do(ctx context.Context, command string, body protocol.Body, opts ...CallOption) (*Result, error) {
	last, err := c.send(ctx, command, body, opts)
	if err != nil {
		return nil, err
	}
	return c.do(ctx, command, last, opts)
}

func (c *Client) do(ctx context.Context, command string, body protocol.Body, opts []CallOption) (*Result, error) {
	res, err := c.try(ctx, command, body, opts)
	if failed := (*Error)(nil); errors.As(err, &failed) && failed.Code == protocol.CodeSignatureInvalid && c.learnedAnotherCluster(ctx) {
		return c.try(ctx, command, body, opts) // what was refused had no effect
	}
	return res, err
}

func (c *Client) try(ctx context.Context, command string, body protocol.Body, opts []CallOption) (*Result, error) {
	prepared, err := c.prepare(ctx, command, body, opts)
	if err != nil {
		return nil, err
	}
	res, failed := c.run(ctx, prepared)
	if failed != nil {
		return nil, failed
	}
	c.raiseMinIndex(res.Index)
	return res, nil
}

// NewRequestID mints a request id: 128 random bits in hexadecimal.
func NewRequestID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails, see its documentation
	return hex.EncodeToString(id[:])
}

// progress is what a call has been through so far.
type progress struct {
	start        time.Time
	maybeApplied bool // an attempt was sent and its outcome not learnt
	failures     int  // attempts that failed, stale connections not counted
	untrusted    int  // of these, how many in a row were not trusted
	// said is the last answer of a member that did not decide the request.
	said *Error
	// took is how long that answer took.
	took time.Duration
	// silent took a request and did not answer in time; dead took no connection.
	silent, dead []string
}

// run tries until there is an answer or no reason to continue.
func (c *Client) run(ctx context.Context, p *call) (*Result, *Error) {
	state := progress{start: time.Now()}
	for {
		begun := time.Now()
		res, f := c.attempt(ctx, p)
		if f == nil {
			return res, nil
		}
		if p.writes && f.kind == unknown {
			state.maybeApplied = true
		}
		state.note(ctx, f)
		c.opts.Logger.Debug("attempt failed", "command", p.row.Name, "addr", f.err.Addr, "code", f.err.Code, "outcome", f.err.Outcome, "error", f.err.Text)
		if f.kind == notApplied {
			state.said, state.took = f.err, time.Since(begun)
			if lastChance(ctx, state.took) {
				return nil, f.giveUp(state.maybeApplied, nil)
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, state.tell(f).giveUp(state.maybeApplied, err)
		}
		if f.kind == final || c.opts.RetryFor < 0 || (f.kind == unknown && !p.resendable) {
			return nil, f.giveUp(state.maybeApplied, nil)
		}
		if f.stale {
			continue
		}
		pause, reason := c.plan(ctx, &state, f)
		if reason != nil {
			return nil, state.tell(f).giveUp(state.maybeApplied, reason)
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, state.tell(f).giveUp(state.maybeApplied, err)
		}
	}
}

// lastChance reports whether the caller's time ends before another answer that
// takes as long can come. A request that is cut off could have been carried
// out; the answer that is here says that this one was not.
func lastChance(ctx context.Context, took time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < took
}

// errNoTrust ends a call when no address has a certificate to be trusted.
var errNoTrust = errors.New("waiting does not help")

// plan moves to the next address and says how long to pause before trying it,
// or why to stop.
func (c *Client) plan(ctx context.Context, state *progress, f *failure) (time.Duration, error) {
	state.failures++
	state.untrusted++
	if f.kind != untrusted {
		state.untrusted = 0
	}
	c.rotate(f.err.Addr)
	if state.untrusted == len(c.opts.Addrs) {
		return 0, errNoTrust
	}
	pause := max(f.err.RetryAfter, backoff(state.failures, len(c.opts.Addrs), f.kind))
	limit := c.opts.RetryFor
	if f.kind == unreachable && !state.maybeApplied {
		limit = min(limit, c.opts.UnreachableFor)
	}
	if spent := time.Since(state.start); spent+pause > limit {
		return 0, fmt.Errorf("tried for %v", spent.Round(time.Millisecond))
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < pause {
		return 0, context.DeadlineExceeded // there is no time for another attempt
	}
	return pause, nil
}

// backoff is the pause before the next attempt: none while another address is
// untried, then doubling, with jitter so that clients spread out.
func backoff(failures, addrs int, kind failureKind) time.Duration {
	round := failures / addrs
	if kind != notApplied && failures%addrs != 0 {
		return 0
	}
	d := backoffMin << min(round, 6)
	d = min(d, backoffMax)
	return d/2 + mrand.N(d/2)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// attempt sends the request once.
func (c *Client) attempt(ctx context.Context, p *call) (*Result, *failure) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, p.fail(final, CodeCanceled, "", []error{ctx.Err()}, "no connection became free: %s", inWords(ctx.Err()))
	}
	conn, f := c.take(ctx, p)
	if f != nil {
		return nil, f
	}
	body, err := conn.exchange(ctx, p.frame, c.opts.Timeout)
	if err != nil {
		c.drop(conn)
		return nil, c.exchangeFailure(p, conn, err)
	}
	res, f := p.decode(conn.addr, body)
	if f != nil && f.err.Code == CodeMalformedReply {
		c.drop(conn)
		return nil, f
	}
	c.put(conn)
	return res, f
}

func (c *Client) exchangeFailure(p *call, conn *conn, err error) *failure {
	if c.isClosed() {
		f := p.fail(unknown, CodeClosed, conn.addr, nil, "client closed while waiting for the reply")
		f.kind = final
		return f
	}
	if errors.Is(err, errSpeaksTLS) {
		return p.fail(untrusted, CodeUntrusted, conn.addr, []error{err}, "%s: %v", conn.addr, err)
	}
	f := p.fail(unknown, protocol.CodeOutcomeUnknown, conn.addr, []error{err}, "connection to %s failed before the reply came: %s", conn.addr, inWords(err))
	if !p.writes {
		f.err.Code = CodeUnreachable
	}
	f.stale = conn.reused
	return f
}

// decode reads a reply. A member called error makes it a failure, as does a
// missing type.
func (p *call) decode(addr string, body []byte) (*Result, *failure) {
	var reply struct {
		Type     string           `json:"type"`
		Code     string           `json:"code"`
		Error    *json.RawMessage `json:"error"`
		Outcome  protocol.Outcome `json:"outcome"`
		Index    uint64           `json:"index"`
		Replayed bool             `json:"replayed"`
		DataAge  int64            `json:"data_age_ms"`
		Until    int64            `json:"counts_until"`
		RetryMS  int64            `json:"retry_after_ms"`
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return nil, p.fail(unknown, CodeMalformedReply, addr, []error{err}, "malformed reply from %s: %v", addr, err)
	}
	// A reply of validate_token says in error why the token is not verified.
	if reply.Error != nil && !(p.row.Name == "validate_token" && reply.Type == p.row.ReplyType()) {
		var text string
		if json.Unmarshal(*reply.Error, &text) != nil {
			text = string(*reply.Error)
		}
		if reply.Code == "" { // the original registry has no codes
			reply.Code = protocol.CodeInternal
		}
		f := p.refused(addr, &protocol.Error{Code: reply.Code, Text: text, Outcome: reply.Outcome})
		f.decided = reply.Index != 0
		f.err.RetryAfter = time.Duration(reply.RetryMS) * time.Millisecond
		if reply.Until != 0 {
			f.err.CountsUntil = time.UnixMilli(reply.Until)
		}
		return nil, f
	}
	if reply.Type == "" {
		return nil, p.fail(unknown, CodeMalformedReply, addr, nil, `malformed reply from %s: no "type"`, addr)
	}
	return &Result{Raw: body, Index: reply.Index, Replayed: reply.Replayed, DataAge: time.Duration(reply.DataAge) * time.Millisecond, Addr: addr, RequestID: p.requestID}, nil
}
