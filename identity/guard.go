// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// URLGuard decides which places the registry may call on somebody's behalf:
// public addresses, and what the operator lists. It decides twice: by the text
// of a URL, so that a mistake is reported when it is made, and by the address
// of every connection, so that no name and no redirect leads around it.
type URLGuard struct {
	// Allow are the exceptions.
	Allow Targets
	// AllowLoopback lets the member call its own machine: for `dev`.
	AllowLoopback bool
	// Resolver resolves names; nil means the system's.
	Resolver *net.Resolver
}

// BlockedError says that a connection was refused because of where it leads.
type BlockedError struct {
	Host string
	IP   netip.Addr
	Kind string
}

// Error says what is blocked and how to allow it.
func (e *BlockedError) Error() string {
	where := e.IP.String()
	if e.Host != "" && e.Host != where {
		where = e.Host + " resolves to " + where + ", which"
	}
	return fmt.Sprintf("%s is %s; the operator can allow it with outbound.allow_targets", where, e.Kind)
}

// CheckURL checks a URL by its text and, when its host is an address, by that
// address. field, when it is not empty, names the setting in the refusal.
func (g *URLGuard) CheckURL(field, raw string) (*url.URL, *protocol.Error) {
	u, e := protocol.ParseWebURL(field, raw)
	if e != nil {
		return nil, e
	}
	host, port := protocol.URLHost(u), urlPort(u)
	if g.Allow.named(host, port) {
		return u, nil
	}
	ip, err := netip.ParseAddr(host)
	var blocked *BlockedError
	switch {
	case err == nil:
		blocked = g.check(ip, port, "")
	case protocol.IsMetadataHost(host):
		return protocol.ParseURL(field, raw)
	case isLocalhost(host) && !g.AllowLoopback:
		blocked = &BlockedError{Host: host, IP: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Kind: string(classLoopback)}
	}
	switch {
	case blocked == nil:
		return u, nil
	case err == nil && protocol.IsLinkLocal(ip):
		return protocol.ParseURL(field, raw)
	}
	return nil, blockedURL(field, blocked)
}

func blockedURL(field string, b *BlockedError) *protocol.Error {
	if field != "" {
		field += ": "
	}
	return protocol.Errorf(protocol.CodeURLRefused, "%sURL cannot be called: %s", field, b.Error())
}

func isLocalhost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func urlPort(u *url.URL) uint16 {
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(n)
	}
	if u.Scheme == "https" {
		return 443
	}
	return 80
}

// check decides about one address.
func (g *URLGuard) check(raw netip.Addr, port uint16, host string) *BlockedError {
	ip := plain(raw)
	is := classify(ip)
	if is == classPublic || is == classLoopback && g.AllowLoopback || g.Allow.allow(ip, port, is, host) {
		return nil
	}
	return &BlockedError{Host: host, IP: ip, Kind: string(is)}
}

// DialContext connects like net.Dialer and refuses addresses that the guard
// does not let through. The address is checked after it was resolved and
// before the first packet is sent.
func (g *URLGuard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	d := net.Dialer{Resolver: g.Resolver, Control: func(_, resolved string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(resolved)
		if err != nil {
			return &BlockedError{Host: host, Kind: string(classReserved)}
		}
		if blocked := g.check(to.Addr(), to.Port(), host); blocked != nil {
			return blocked
		}
		return nil
	}}
	return d.DialContext(ctx, network, address)
}

// ClientOptions shape an HTTP client.
type ClientOptions struct {
	// Timeout bounds a request from the dial to the last byte of the answer.
	Timeout time.Duration
	// RootCAs are trusted instead of the system's when set.
	RootCAs *x509.CertPool
}

// maxAnswerHeader bounds the header of an answer.
const maxAnswerHeader = 16 << 10

// NewHTTPClient makes a client whose every connection passes the guard. It
// follows no redirects (they come back as answers with their status), uses no
// proxy from the environment and keeps no cookies. Its errors do not repeat
// what the receiver answered.
func (g *URLGuard) NewHTTPClient(o ClientOptions) *http.Client {
	return &http.Client{
		Timeout:       o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: discreet{&http.Transport{
			Proxy:                  nil,
			DialContext:            g.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxIdleConns:           32,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        90 * time.Second,
			TLSHandshakeTimeout:    o.Timeout,
			MaxResponseHeaderBytes: maxAnswerHeader,
		}},
	}
}

// Cause renders why a call failed without the URL that was called, which may
// carry a secret, and without anything that could not stand in one line.
func Cause(err error) string {
	var blocked *BlockedError
	if errors.As(err, &blocked) {
		return blocked.Error()
	}
	var u *url.Error
	if errors.As(err, &u) {
		if u.Timeout() {
			return "timeout"
		}
		err = u.Err
	}
	return Clean(err.Error())
}

// maxForeignText bounds text of others that is repeated in an answer.
const maxForeignText = 256

// Clean makes somebody else's text safe to repeat: no control characters,
// valid UTF-8, at most 256 bytes.
func Clean(s string) string {
	var out strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			r = ' '
		case !printable(r):
			continue
		}
		if out.Len()+len(string(r)) > maxForeignText {
			break
		}
		out.WriteRune(r)
	}
	return strings.TrimSpace(out.String())
}

// printable leaves out control and format characters: those that move a
// terminal's cursor and those that reorder text.
func printable(r rune) bool { return unicode.IsPrint(r) && r != unicode.ReplacementChar }
