// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Bounds of what is kept of the identity provider's keys: bytes of the keys,
// and keys and bytes of what is said of them.
const (
	maxJWKSBytes = 128 << 10
	maxJWKSTexts = 64
	maxJWKSText  = 512
)

// PutJWKS is the body of KindPutJWKS: what the leader got from the identity
// provider whose URL is configured.
type PutJWKS struct {
	Term uint64 `json:"term"`
	URL  string `json:"url"`
	// Doc are the usable keys, checked; empty when Failed says why there are none.
	Doc []byte `json:"doc,omitempty"`
	// Issuer and HS256 are the configuration that the keys were chosen for.
	Issuer string `json:"issuer,omitempty"`
	HS256  bool   `json:"hs256,omitempty"`
	// Keys and LeftOut are for people to read; at most 64 each.
	Keys    []string  `json:"keys,omitempty"`
	LeftOut []LeftOut `json:"left_out,omitempty"`
	// Failed is why the last fetch brought nothing. Keys that are there stay.
	Failed string `json:"failed,omitempty"`
}

// LeftOut is a key of the provider that is not used, and why.
type LeftOut struct {
	Key string `json:"key"`
	Why string `json:"why"`
}

func (b *PutJWKS) check() *protocol.Error {
	long := len(b.Failed) > maxJWKSText || len(b.Issuer) > maxJWKSText*4 || len(b.Keys) > maxJWKSTexts || len(b.LeftOut) > maxJWKSTexts
	for _, k := range b.Keys {
		long = long || len(k) > maxJWKSText
	}
	for _, l := range b.LeftOut {
		long = long || len(l.Key)+len(l.Why) > 2*maxJWKSText
	}
	switch {
	case (len(b.Doc) == 0) == (b.Failed == "") || len(b.Doc) > maxJWKSBytes:
		return protocol.Errorf(protocol.CodeInvalid, "invalid put_jwks: want 1 to %d bytes of keys, or why there are none", maxJWKSBytes)
	case long:
		return protocol.Errorf(protocol.CodeInvalid, "invalid put_jwks: a text is too long")
	}
	return nil
}

func decidePutJWKS(v *view, b *PutJWKS) (effect, *protocol.Error) {
	if e := v.fenced(b.Term); e != nil {
		return nil, e
	}
	idp := v.cluster.config().idp
	if !idp.BuiltIn() || idp.URL != b.URL {
		return nil, protocol.Refusef(protocol.CodeConflict, "another identity provider is configured")
	}
	if e := b.check(); e != nil {
		return nil, e
	}
	return func(x *txn) any {
		old, had := x.cluster.jwks.Get(b.URL)
		if !had {
			old = &jwks{}
		}
		next := *old
		if b.Failed != "" {
			if old.failed == "" {
				next.failing = x.meta.now
			}
			next.failed = b.Failed
		} else {
			next = jwks{doc: b.Doc, fetched: x.meta.now, issuer: b.Issuer, hs256: b.HS256, keys: b.Keys, leftOut: b.LeftOut}
			if string(old.doc) != string(b.Doc) {
				x.begin(protocol.EventIDPKeysChanged).str("url", shownURL(b.URL)).end()
			}
		}
		putJWKS(x, b.URL, &next)
		return ok("put_jwks")
	}, nil
}

// jwks is what is known of the identity provider's keys.
type jwks struct {
	// doc are the keys as the leader fetched and checked them, empty when that
	// never worked; fetched is when, in Unix milliseconds of log time.
	doc     []byte
	fetched int64
	issuer  string
	hs256   bool
	keys    []string
	leftOut []LeftOut
	// failed is why fetching fails since failing; "" when it works.
	failed  string
	failing int64
}

func (j *jwks) AppendTo(dst []byte, _ uint32) []byte {
	dst = table.AppendVarint(table.AppendBytes(dst, j.doc), j.fetched)
	dst = append(table.AppendString(dst, j.issuer), table.BoolByte(j.hs256))
	dst = table.AppendUvarint(table.AppendStrings(dst, j.keys), uint64(len(j.leftOut)))
	for _, l := range j.leftOut {
		dst = table.AppendString(table.AppendString(dst, l.Key), l.Why)
	}
	return table.AppendVarint(table.AppendString(dst, j.failed), j.failing)
}

func readJWKS(d *table.Decoder, _ uint32) *jwks {
	j := &jwks{doc: append([]byte(nil), d.Bytes()...), fetched: d.Varint(), issuer: d.Text(), hs256: d.Bool(), keys: d.Texts()}
	n := d.Uvarint()
	if n > uint64(d.Left()) {
		d.Fail()
		return j
	}
	for range n {
		j.leftOut = append(j.leftOut, LeftOut{d.Text(), d.Text()})
	}
	j.failed, j.failing = d.Text(), d.Varint()
	return j
}

func (j *jwks) leftOutTexts() (texts []string) {
	for _, l := range j.leftOut {
		texts = append(texts, protocol.Quote(l.Key)+": "+l.Why)
	}
	return texts
}

// keysOf is what is known of a provider's keys, nil for nothing.
func (st *clusterStore) keysOf(idp protocol.IDP) *jwks {
	j, ok := st.jwks.Get(idp.URL)
	if !ok || !idp.BuiltIn() {
		return nil
	}
	return j
}

// JWKS are the keys of the identity provider with the log time, in Unix
// milliseconds, at which they were fetched. The slice must not be changed.
func (r *Root) JWKS() (doc []byte, fetched int64, ok bool) {
	j := r.cluster.keysOf(r.cluster.config().idp)
	if j == nil || len(j.doc) == 0 {
		return nil, 0, false
	}
	return j.doc, j.fetched, true
}

// KeyStatus is what is known of the identity provider's keys besides them.
type KeyStatus struct {
	// Issuer and HS256 are what the keys were chosen for.
	Issuer string
	HS256  bool
	// Keys are those in use, LeftOut those that cannot be used.
	Keys    []string
	LeftOut []LeftOut
	// Failed is why fetching fails, "" when it works, Failing since when, in
	// Unix milliseconds of log time.
	Failed  string
	Failing int64
}

// KeyStatus says how the identity provider's keys are; the zero value before
// the first fetch. The slices must not be changed.
func (r *Root) KeyStatus() KeyStatus {
	j := r.cluster.keysOf(r.cluster.config().idp)
	if j == nil {
		return KeyStatus{}
	}
	return KeyStatus{Issuer: j.issuer, HS256: j.hs256, Keys: j.keys, LeftOut: j.leftOut, Failed: j.failed, Failing: j.failing}
}
