// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// idp is an OpenID provider, run by a library that others use as their
// provider. It gives tokens for the client credentials grant.
type idp struct {
	t       *testing.T
	handler http.Handler
	*idpStore
}

// idpStore is what the provider asks its operator for. Everything that other
// grants need is missing.
type idpStore struct {
	op.Storage
	mu       sync.Mutex
	keys     []*signingKey // the newest signs
	audience string
	lifetime time.Duration
}

const idpSecret = "client-secret"

// newIDP makes a provider for an issuer; it is to be served below the issuer's path.
func newIDP(t *testing.T, issuer string) *idp {
	t.Helper()
	p := &idp{t: t, idpStore: &idpStore{}}
	p.rotate(t)
	provider, err := op.NewProvider(&op.Config{CryptoKey: [32]byte{1}}, p.idpStore, op.StaticIssuer(issuer),
		op.WithCustomKeysEndpoint(op.NewEndpoint("/.well-known/jwks")), op.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	if err != nil {
		t.Fatal(err)
	}
	p.handler = provider
	return p
}

// rotate makes a new key and takes the old ones out of the key set.
func (s *idpStore) rotate(t *testing.T) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = []*signingKey{{id: fmt.Sprintf("key-%x", key.N.Bytes()[:4]), key: key}}
}

// token has the provider issue a token at its token endpoint.
func (p *idp) token(subject, audience string, lifetime time.Duration) string {
	p.t.Helper()
	p.mu.Lock()
	p.audience, p.lifetime = audience, lifetime
	p.mu.Unlock()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"openid"}, "client_id": {subject}, "client_secret": {idpSecret}}
	r := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := httptest.NewRecorder()
	p.handler.ServeHTTP(answer, r)
	var reply struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &reply); err != nil || reply.AccessToken == "" {
		p.t.Fatalf("the provider answered %d %s", answer.Code, answer.Body)
	}
	return reply.AccessToken
}

// signingKey is a key of the provider, private and public.
type signingKey struct {
	id     string
	key    *rsa.PrivateKey
	public bool
}

func (k *signingKey) ID() string                                  { return k.id }
func (k *signingKey) Use() string                                 { return "sig" }
func (k *signingKey) Algorithm() jose.SignatureAlgorithm          { return jose.RS256 }
func (k *signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k *signingKey) Key() any {
	if k.public {
		return k.key.Public()
	}
	return k.key
}

func (s *idpStore) SigningKey(context.Context) (op.SigningKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[0], nil
}

func (s *idpStore) KeySet(context.Context) (out []op.Key, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		out = append(out, &signingKey{k.id, k.key, true})
	}
	return out, nil
}

func (s *idpStore) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}

func (s *idpStore) ClientCredentials(_ context.Context, id, secret string) (op.Client, error) {
	if secret != idpSecret {
		return nil, errors.New("wrong secret")
	}
	return idpClient{id: id}, nil
}

func (s *idpStore) ClientCredentialsTokenRequest(_ context.Context, id string, scopes []string) (op.TokenRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &oidc.JWTTokenRequest{Issuer: id, Subject: id, Audience: oidc.Audience{s.audience}, Scopes: scopes}, nil
}

func (s *idpStore) CreateAccessToken(context.Context, op.TokenRequest) (string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return rand.Text(), time.Now().Add(s.lifetime), nil
}

func (s *idpStore) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return nil, nil
}

// idpClient is a client that gets JWTs for its own credentials.
type idpClient struct {
	op.Client
	id string
}

func (c idpClient) GetID() string { return c.id }
func (c idpClient) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeClientCredentials}
}
func (c idpClient) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }
func (c idpClient) ClockSkew() time.Duration            { return 0 }
func (c idpClient) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}
