// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"strings"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// How long decisions are remembered, in milliseconds of log time
// (docs/consistency.md#writes).
const (
	clientResultTTL = 5 * 60 * 1000
	mintedResultTTL = 60 * 1000
	sessionTTL      = 10 * 60 * 1000
)

// idShares and strangerShares are what remembered client results may cost:
// those of requests that prove who sends them, and those of strangers. They
// are never evicted early, so beyond them new ones are refused; a source that
// holds as much as is left is refused before the others.
var (
	idShares       = share.Parts{Total: 64 << 20, Modest: true}
	strangerShares = share.Parts{Total: 32 << 20, Modest: true}
)

// sessionTouch is a session while an entry is applied; it is stored once, at
// the entry's end.
type sessionTouch struct {
	key   string
	floor uint64
}

// touch finds the session of a command and raises its floor.
func (x *txn) touch(id SessionID, floor uint64) *sessionTouch {
	for i := range x.touched {
		if s := &x.touched[i]; s.key == string(id[:]) {
			s.floor = max(s.floor, floor)
			return s
		}
	}
	key := string(id[:])
	old, _ := x.once.sessions.Get(key)
	x.touched = append(x.touched, sessionTouch{key: key, floor: max(old.floor, floor)})
	return &x.touched[len(x.touched)-1]
}

// settled finds the earlier decision about a command with a minted id. A
// command below the floor whose decision is no longer known is refused: its
// outcome has been reported long ago.
func (x *txn) settled(c *logged) (Result, bool) {
	s := x.touch(c.Session, c.Floor)
	if old, ok := x.once.minted.Get(mintedKey(s.key, c.Seq)); ok {
		return old.replay(), true
	}
	if c.Seq < s.floor {
		return x.refuse(protocol.NotAppliedf(protocol.CodeConflict, "this attempt was already settled and is not carried out again")), true
	}
	return Result{}, false
}

func (x *txn) rememberMinted(c *logged, r *Result) {
	putMinted(x, mintedKey(string(c.Session[:]), c.Seq),
		&result{index: r.Index, expires: x.meta.now + mintedResultTTL, reply: r.keep(), refusal: r.Err})
}

// keep renders the reply as it is remembered. From now on the result has it
// rendered too, so that nobody renders it again.
func (r *Result) keep() string {
	if r.Err != nil {
		return ""
	}
	rendered := render(r.Reply)
	r.Reply = rendered
	return string(rendered)
}

// flushSessions stores the sessions an entry touched and forgets results that
// are settled or too old. What it forgets at once is bounded; the rest is
// forgotten with the next entry of the session.
func (x *txn) flushSessions() {
	for i := range x.touched {
		s := &x.touched[i]
		putSession(x, s.key, session{floor: s.floor, used: x.meta.now})
		forgetMinted(x, s.key, s.floor, 1024)
	}
}

// forgetMinted drops at most limit results of a session, from the lowest
// sequence number up: those below the floor and those whose time is over.
func forgetMinted(x *txn, session string, floor uint64, limit int) (dropped int) {
	var keys []string
	x.once.minted.Ascend(session, func(k string, r *result) bool {
		if len(keys) == limit || k[:sessionBytes] != session {
			return false
		}
		d := table.NewDecoder([]byte(k[sessionBytes:]))
		if d.Key64() >= floor && r.expires > x.meta.now {
			return false
		}
		keys = append(keys, k)
		return true
	})
	for _, k := range keys {
		dropMinted(x, k)
	}
	return len(keys)
}

// expireSessions forgets idle sessions with their results, and results that
// are too old, touching at most limit records.
func expireSessions(x *txn, limit int) {
	type idle struct {
		key string
		session
	}
	var all []idle
	x.once.sessions.Scan(func(k string, s session) bool {
		all = append(all, idle{k, s})
		return len(all) < limit
	})
	for _, s := range all {
		floor := s.floor
		over := x.meta.now-s.used >= sessionTTL
		if over {
			floor = 1<<64 - 1
		}
		n := forgetMinted(x, s.key, floor, limit)
		if limit -= n; limit <= 0 {
			return
		}
		if over {
			dropSession(x, s.key)
		}
	}
}

// resultKey is the key of a remembered client result: who asks, which
// command, which request id.
func resultKey(row *protocol.Command, body protocol.Body, actor Actor, source, requestID string) string {
	b := table.AppendString(make([]byte, 0, 64), requestScope(body, actor, source))
	b = table.AppendKey16(b, uint16(row.Code))
	return string(append(b, requestID...))
}

// Scopes of request ids begin with what the caller has proved to be.
const (
	scopeKey       = "k" // the key that a signed registration brings
	scopeNode      = "n" // a node that signed
	scopeToken     = "t" // a token that acts for nobody else
	scopeNetwork   = "w" // a network's own admin token
	scopeAnonymous = "a" // nothing: where the request came from
)

// requestScope keeps the request ids of different callers apart by what each
// has proved, never by what it says: a remembered reply belongs to who asked.
func requestScope(body protocol.Body, actor Actor, source string) string {
	var brought string
	if r, ok := body.(*protocol.Register); ok {
		if key, err := protocol.ParsePublicKey(r.PublicKey); err == nil {
			brought = string(key[:])
		}
		if r.Proven {
			return scopeKey + brought
		}
	}
	switch {
	case actor.Node != 0:
		return scopeNode + decimal(actor.Node)
	case actor.Token != "":
		return scopeToken + actor.Token
	}
	if b, ok := body.(protocol.RoleBody); ok && !b.Role().NetworkToken.IsZero() {
		return scopeNetwork + string(b.Role().NetworkToken.Sum)
	}
	// Besides its source, the key that an unsigned registration brings keeps
	// programs behind one address apart. It gives others no access.
	return scopeAnonymous + sourceHost(source) + "|" + brought
}

// sourceHost is a source address without its port, which is another one with
// every connection.
func sourceHost(source string) string {
	if i := strings.LastIndexByte(source, ':'); i >= 0 {
		return source[:i]
	}
	return source
}

// remembered finds the earlier decision about a client's request id, nil when
// there is none. The same id with another request is an error, and so is a
// caller whose key or token no longer counts: the reply is not for him.
func (v *view) remembered(key string, actor Actor, hash [32]byte) (*result, *protocol.Error) {
	old, ok := v.once.results.Get(key)
	if !ok || old.expires <= v.meta.now {
		return nil, nil
	}
	if e := v.stillActs(actor, old); e != nil {
		return nil, e
	}
	if old.hash != string(hash[:]) {
		return nil, protocol.Refusef(protocol.CodeRequestIDReused,
			"this request_id already belongs to a different request; use a new one")
	}
	return old, nil
}

// stillActs refuses an actor that has changed since it was recognised, other
// than by the very request that is remembered.
func (v *view) stillActs(a Actor, r *result) *protocol.Error {
	switch {
	case a.Node != 0:
		if v.nodes.signer(a) == nil && (r.signerGen == 0 || r.signerGen != a.KeyGen) {
			return protocol.Refusef(protocol.CodeSignatureInvalid, "signature verification failed")
		}
	case a.Token != "":
		return v.admin(&invocation{actor: a})
	}
	return nil
}

// memory is where the results of a bearer are accounted, and in what parts.
func (st *onceStore) memory(b *bearer) (*shares, share.Parts) {
	if b.principal == "" {
		return &st.strangers, strangerShares
	}
	return &st.known, idShares
}

// roomForResult refuses a request id that could not be remembered.
func (st *onceStore) roomForResult(id string, b *bearer) *protocol.Error {
	if len(id) > protocol.MaxRequestIDBytes {
		return protocol.Errorf(protocol.CodeInvalid, "invalid request_id: too long (max %d bytes)", protocol.MaxRequestIDBytes)
	}
	held, parts := st.memory(b)
	var e *protocol.Error
	switch held.allows(parts, b, 1) {
	case share.Within:
		return nil
	case share.WholeTotal:
		e = protocol.NotAppliedf(protocol.CodeOverloaded, "too many requests with a request_id in the last five minutes; try again later")
	default:
		e = protocol.NotAppliedf(protocol.CodeRateLimited,
			"rate limited: too many requests with a request_id from this caller, or from %s, in the last five minutes; send fewer, or send them without one", b.source)
	}
	e.Stateful = true
	return e
}

// roomFor is roomForResult for a request. A stranger's registration that finds
// no room is taken without being remembered: carried out again it gives the
// same key the same node, and a fleet that comes back after an outage must not
// be refused for its numbers.
func (st *onceStore) roomFor(id string, body protocol.Body, b *bearer) (remember bool, _ *protocol.Error) {
	e := st.roomForResult(id, b)
	if _, register := body.(*protocol.Register); register && b.principal == "" && e != nil && e.Code != protocol.CodeInvalid {
		return false, nil
	}
	return e == nil, e
}

// rememberResult remembers what was decided. signer is the node that signed
// the request, nil when none did: when the request itself has taken its key
// away, that key still stands for the request.
func (x *txn) rememberResult(key string, hash [32]byte, r *Result, expires int64, signer *node, b *bearer) {
	res := &result{index: r.Index, expires: expires, hash: string(hash[:]), reply: r.keep(), refusal: r.Err, bearer: *b}
	if signer != nil && x.nodes.signer(Actor{Node: signer.id, KeyGen: signer.keyGen}) == nil {
		res.signerGen, res.signerKey = signer.keyGen, signer.key
	}
	putResult(x, key, res)
}

// expireResults forgets at most limit client results whose time is over.
func expireResults(x *txn, limit int) {
	for range limit {
		_, key, ok := x.once.byExpiry.First()
		if !ok {
			return
		}
		if r, _ := x.once.results.Get(key); r.expires > x.meta.now {
			return
		}
		dropResult(x, key)
	}
}

func expiryKey(expires int64, key string) string {
	b := table.AppendKey64(make([]byte, 0, 8+len(key)), uint64(max(expires, 0)))
	return string(append(b, key...))
}

// Replay finds the remembered result of a request with a client's id. The
// error is request_id_reused: the id belongs to a different request.
func (r *Root) Replay(c *Call) (Result, bool, *protocol.Error) {
	if c.Options.RequestID == "" || c.Row.Soft || !c.Row.Writes() {
		return Result{}, false, nil
	}
	id, _, _ := r.requestID(c.Options.RequestID)
	old, e := r.remembered(resultKey(c.Row, c.Body, c.Actor, c.Source, id), c.Actor, c.Hash)
	if e != nil || old == nil {
		return Result{}, false, e
	}
	return old.replay(), true, nil
}

// FormerKey is the key that signed a remembered request of a node and was
// taken away from it by that request, as by rotate_key, with its generation:
// who sends the request again has no other to sign with.
func (r *Root) FormerKey(row *protocol.Command, node uint32, requestID string) (key protocol.PublicKey, gen uint32, ok bool) {
	id, _, _ := r.requestID(requestID)
	old, found := r.once.results.Get(resultKey(row, nil, Actor{Node: node}, "", id))
	if !found || old.expires <= r.meta.now || old.signerGen == 0 {
		return key, 0, false
	}
	return old.signerKey, old.signerGen, true
}
