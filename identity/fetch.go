// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// FetchTimeout bounds the fetch of a key set, discovery included.
const FetchTimeout = 5 * time.Second

// wellKnown is where a provider describes itself (OpenID Connect Discovery 1.0).
const wellKnown = "/.well-known/openid-configuration"

// Fetcher gets key sets of identity providers.
type Fetcher struct {
	Guard  *URLGuard
	Client *http.Client
}

// FetchJWKS gets a provider's key set. url may be the key set itself, the
// provider's discovery document, or the issuer's URL; issuer, when it is not
// empty, is what a discovery document has to name. It returns where the keys were.
func (f *Fetcher) FetchJWKS(ctx context.Context, url, issuer string, allowHS256 bool) (set *KeySet, from string, failed *protocol.Error) {
	ctx, cancel := context.WithTimeout(ctx, FetchTimeout)
	defer cancel()
	raw, from, err := f.find(ctx, url, issuer)
	if err == nil {
		set, err = ParseJWKS(raw, allowHS256)
	}
	if err != nil {
		return nil, "", protocol.NotAppliedf(protocol.CodeJWKS, "JWKS: %s", Clean(err.Error()))
	}
	return set, from, nil
}

// find gets the document with the keys, by way of discovery if it has to.
func (f *Fetcher) find(ctx context.Context, url, issuer string) (raw []byte, from string, err error) {
	raw, err = f.get(ctx, url)
	switch {
	case err == nil && hasKeys(raw):
		return raw, url, nil
	case err == nil && isDiscovery(raw):
		from, err = f.jwksURI(raw, url, issuer)
	case unreachable(err):
		return nil, "", err
	default:
		from, err = f.discover(ctx, url, issuer, neither(raw, err))
	}
	if err == nil {
		raw, err = f.get(ctx, from)
	}
	return raw, from, err
}

// neither says why a document is not used: it did not come, or is not a key set
// and no discovery document.
func neither(raw []byte, err error) error {
	if err != nil {
		return err
	}
	why := ""
	var any map[string]json.RawMessage
	if err := json.Unmarshal(raw, &any); err != nil {
		why = ": " + problem(err, raw, &any)
	}
	return errors.New("the document is neither a key set nor a discovery document" + why)
}

// discover treats a URL that is not a key set as an issuer URL. When that fails
// too, what went wrong first is what counts.
func (f *Fetcher) discover(ctx context.Context, url, issuer string, first error) (string, error) {
	if strings.HasSuffix(url, wellKnown) {
		return "", first
	}
	where := strings.TrimSuffix(url, "/") + wellKnown
	raw, err := f.get(ctx, where)
	if err != nil || !isDiscovery(raw) {
		return "", first
	}
	return f.jwksURI(raw, where, issuer)
}

// statusError is an answer with a status other than 200.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("JWKS endpoint returned status %d", int(s)) }

// unreachable reports a failure after which asking for another document is useless.
func unreachable(err error) bool {
	var status statusError
	if errors.As(err, &status) {
		return status >= 500 || status == http.StatusTooManyRequests
	}
	return err != nil
}

func (f *Fetcher) get(ctx context.Context, url string) ([]byte, error) {
	if _, e := f.Guard.CheckURL("", url); e != nil {
		return nil, e
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch JWKS: %s", Cause(err))
	}
	req.Header.Set("Accept", "application/json")
	res, err := f.Client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch JWKS: %s", Cause(err))
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, statusError(res.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, MaxJWKSBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read JWKS: %s", Cause(err))
	}
	if len(raw) > MaxJWKSBytes {
		return nil, fmt.Errorf("the document is longer than %d bytes", MaxJWKSBytes)
	}
	return raw, nil
}

// discovery are the members of a discovery document that are read.
type discovery struct {
	Issuer  string          `json:"issuer"`
	JWKSURI string          `json:"jwks_uri"`
	Keys    json.RawMessage `json:"keys"`
}

func isDiscovery(raw []byte) bool {
	var d discovery
	return json.Unmarshal(raw, &d) == nil && d.JWKSURI != "" && d.Keys == nil
}

func hasKeys(raw []byte) bool {
	var d discovery
	return json.Unmarshal(raw, &d) == nil && d.Keys != nil
}

// jwksURI reads where the keys are, from a discovery document that was found
// at a URL and must be the one of the issuer: the configured one, or else the
// one under whose URL it was found.
func (f *Fetcher) jwksURI(raw []byte, at, issuer string) (string, error) {
	var d discovery
	if err := json.Unmarshal(raw, &d); err != nil {
		return "", fmt.Errorf("parse discovery document: %s", problem(err, raw, &d))
	}
	base, found := strings.CutSuffix(at, wellKnown)
	switch {
	case issuer != "" && d.Issuer != issuer:
		return "", fmt.Errorf("the discovery document is of issuer %q, want %q", Clean(d.Issuer), issuer)
	case issuer == "" && (!found || d.Issuer != base && d.Issuer != base+"/"):
		return "", fmt.Errorf("the discovery document is of issuer %q, which does not match its URL; set the issuer", Clean(d.Issuer))
	case strings.HasPrefix(at, "https:") && !strings.HasPrefix(d.JWKSURI, "https:"):
		return "", errors.New("the discovery document names a jwks_uri without https")
	}
	if _, e := f.Guard.CheckURL("jwks_uri", d.JWKSURI); e != nil {
		return "", e
	}
	return d.JWKSURI, nil
}
