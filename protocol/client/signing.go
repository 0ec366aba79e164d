// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// askAgain is how long a server that takes no signed requests is believed to
// take none: it may be upgraded.
const askAgain = 10 * time.Minute

// signing is what the client knows about how the server wants signatures.
type signing struct {
	// turn is taken by the one call that may ask the server.
	turn chan struct{}
	// cluster is the id that requests are bound to, empty while it is not known.
	cluster string
	// legacyUntil is until when challenges are signed instead.
	legacyUntil time.Time
}

// cluster finds out what to bind a signature to. An empty id means that the
// server does not take signed requests.
func (c *Client) cluster(ctx context.Context) (string, error) {
	if c.opts.LegacySignatures {
		return "", nil
	}
	if c.opts.ClusterID != "" {
		return c.opts.ClusterID, nil
	}
	s := &c.signing
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return "", &Error{Code: CodeCanceled, Text: fmt.Sprintf("the cluster's id was not learnt: %v", ctx.Err()), Outcome: protocol.OutcomeNotApplied, causes: []error{ctx.Err()}}
	}
	if s.cluster != "" || time.Now().Before(s.legacyUntil) {
		return s.cluster, nil
	}
	reply, err := c.ClusterID(ctx, WithSigner(nil), WithAdminToken(""))
	var failed *Error
	switch {
	case errors.As(err, &failed) && answered(failed):
		// A server of an older version, or another registry.
		s.legacyUntil = time.Now().Add(askAgain)
		return "", nil
	case err != nil:
		return "", err
	case !reply.SignedRequests || reply.ClusterID == "":
		s.legacyUntil = time.Now().Add(askAgain)
		return "", nil
	}
	s.cluster = reply.ClusterID
	return s.cluster, nil
}

// learnedAnotherCluster asks again which cluster this is, after a signature was
// refused, and reports whether it is another one than before: it was restored
// from a backup.
func (c *Client) learnedAnotherCluster(ctx context.Context) bool {
	if c.opts.LegacySignatures || c.opts.ClusterID != "" {
		return false
	}
	s := &c.signing
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return false
	}
	if s.cluster == "" {
		return false
	}
	reply, err := c.ClusterID(ctx, WithSigner(nil), WithAdminToken(""))
	if err != nil || reply.ClusterID == "" || reply.ClusterID == s.cluster {
		return false
	}
	s.cluster = reply.ClusterID
	return true
}

// answered reports whether a failure is the server's decision about the
// question itself: it does not know cluster_id.
func answered(e *Error) bool {
	return e.Code == protocol.CodeUnknownCommand || e.Code == protocol.CodeNotImplemented ||
		e.Code == protocol.CodeInternal && e.Outcome == protocol.OutcomeRejected // the original registry has no codes
}

// encode renders a request, signed where it has to be: as a signed request, or
// with the signature of its challenge for servers that know no better.
func (c *Client) encode(ctx context.Context, row *protocol.Command, body protocol.Body, o *callOptions) ([]byte, error) {
	refuse := func(code, format string, args ...any) ([]byte, error) {
		return nil, &Error{Code: code, Text: fmt.Sprintf(format, args...), Outcome: protocol.OutcomeRejected, Command: row.Name}
	}
	cluster := ""
	if signs(row, body, o.signer) {
		var err error
		if cluster, err = c.cluster(ctx); err != nil {
			return nil, err
		}
	}
	if cluster == "" {
		cred, err := credentials(row, body, o)
		if err != nil {
			return nil, err
		}
		encoded, err := protocol.EncodeRequest(row, body, cred, o.Options)
		if err != nil {
			return refuse(protocol.CodeInvalid, "encode request: %v", err)
		}
		return encoded, nil
	}
	var cred protocol.Credentials
	if usesAdminToken(row, o.signer) {
		cred.AdminToken = protocol.Secret(o.adminToken)
	}
	// The nonce is the request id; an id of another form travels inside.
	opts, nonce := o.Options, NewRequestID()
	if protocol.ValidNonce(opts.RequestID) {
		nonce, opts.RequestID = opts.RequestID, ""
	}
	payload, err := protocol.EncodeRequest(row, body, cred, opts)
	if err != nil {
		return refuse(protocol.CodeInvalid, "encode request: %v", err)
	}
	s := &protocol.Signed{TS: time.Now().UnixMilli(), Nonce: nonce, Payload: string(payload)}
	if row.Signer != "public_key" {
		s.NodeID = protocol.SignerID(row, body)
	}
	return seal(s, row, o.signer, cluster)
}

// seal signs a signed request and renders it.
func seal(s *protocol.Signed, row *protocol.Command, signer Signer, cluster string) ([]byte, error) {
	signature, err := signer.Sign(s.Text(cluster))
	if err == nil && len(signature) == 0 {
		err = errors.New("empty signature")
	}
	if err != nil {
		return nil, &Error{Code: CodeNoSigner, Text: fmt.Sprintf("the signer did not sign this %s: %v", row.Name, err),
			Outcome: protocol.OutcomeNotApplied, Command: row.Name, causes: []error{err}}
	}
	s.Signature = protocol.Secret(base64.StdEncoding.EncodeToString(signature))
	return s.Encode()
}

// credentials signs the request and decides whether the admin token goes with it.
func credentials(row *protocol.Command, body protocol.Body, o *callOptions) (protocol.Credentials, error) {
	var cred protocol.Credentials
	if signs(row, body, o.signer) {
		challenge := protocol.ChallengeText(row, body)
		signature, err := o.signer.Sign([]byte(challenge))
		if err == nil && len(signature) == 0 {
			err = errors.New("empty signature")
		}
		if err != nil {
			return cred, &Error{Code: CodeNoSigner, Text: fmt.Sprintf("the signer did not sign %q: %v", challenge, err),
				Outcome: protocol.OutcomeNotApplied, Command: row.Name, causes: []error{err}}
		}
		cred.Signature = protocol.Secret(base64.StdEncoding.EncodeToString(signature))
	}
	if usesAdminToken(row, o.signer) {
		cred.AdminToken = protocol.Secret(o.adminToken)
	}
	if row.Auth == protocol.AuthSignature && cred.Signature == "" && cred.AdminToken == "" {
		return cred, &Error{Code: CodeNoSigner, Text: "this command has to be signed by the node, and there is no key to sign with",
			Outcome: protocol.OutcomeNotApplied, Command: row.Name}
	}
	return cred, nil
}

func signs(row *protocol.Command, body protocol.Body, s Signer) bool {
	if s == nil || !row.Signs(body) {
		return false
	}
	if r, ok := body.(*protocol.Register); ok { // proof of possession, only of the key that is registered
		key, err := protocol.ParsePublicKey(r.PublicKey)
		return err == nil && key == s.PublicKey()
	}
	if row.Auth == protocol.AuthOpen && protocol.SignerID(row, body) == 0 {
		return false // a request that names no node acts for none
	}
	return true
}

// usesAdminToken keeps the token away from commands that ignore it.
func usesAdminToken(row *protocol.Command, s Signer) bool {
	switch row.Auth {
	case protocol.AuthSignature: // good for keyless nodes only
		return s == nil
	case protocol.AuthOpen: // an operator may have closed writes; list_nodes wants it for network 0
		return row.Writes() || row.Lists
	}
	return true
}
