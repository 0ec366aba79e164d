// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	// DefaultPort is the registry's conventional port.
	DefaultPort = "9000"
	// MaxResend is the longest time a request is sent again: the registry
	// remembers a request id for five minutes.
	MaxResend = 2 * time.Minute

	dialTimeout = 5 * time.Second
	// idleTimeout is below the server's, so a resting connection is rarely found closed.
	idleTimeout = 4 * time.Minute
)

// Options configure a Client. Addrs is required; a zero field means its default.
type Options struct {
	// Addrs are members of one cluster, host:port or host. The first that works is used.
	Addrs []string
	// Shuffle starts at a random address, to spread clients over the members.
	Shuffle bool

	// TLS, CAFile and Pin switch to TLS; with none of them connections are
	// plain. TLS is used as given. CAFile verifies the server by the CAs in a PEM
	// file, Pin by the SHA-256 of its leaf certificate and nothing else.
	TLS    *tls.Config
	CAFile string
	Pin    string

	// Signer signs what has to be signed. Identity is the usual one.
	// IdentityFile is the file of one: it is read, or made with a new key when
	// it does not exist, and Register keeps the node id in it. Give one of them.
	Signer       Signer
	Identity     *Identity
	IdentityFile string
	// ClusterID is the cluster whose members Addrs are: requests are signed for
	// it and no other, and no challenge is signed instead. Without it the client
	// asks the server, whose word is as good as what proves its identity.
	ClusterID string
	// LegacySignatures signs challenges, as older clients do, also where the
	// server takes signed requests. Such signatures can be replayed.
	LegacySignatures bool
	// AdminToken goes with commands that can use it.
	AdminToken string

	// Consistency and MaxStaleness are the read level of all reads; default linearizable.
	Consistency  protocol.Level
	MaxStaleness time.Duration

	// Timeout is how long to wait for one reply before the connection is given
	// up; default 15 s. The context bounds the whole call.
	Timeout time.Duration
	// RetryFor is how long a call is tried again; default and limit MaxResend,
	// negative never.
	RetryFor time.Duration
	// UnreachableFor shortens RetryFor for calls of which nothing was sent
	// because no address accepts connections; default RetryFor.
	UnreachableFor time.Duration
	// NoRequestIDs leaves request ids away. Writes are then never sent twice,
	// and a lost reply is an unknown outcome.
	NoRequestIDs bool
	// MaxConns is the number of connections, each with one request in flight; default 4.
	MaxConns int
	// Dialer opens connections; default a net.Dialer with keep-alive.
	Dialer func(ctx context.Context, network, addr string) (net.Conn, error)

	// Logger hears of every attempt that failed (debug), of registrations (info)
	// and of what keeps a node or a watch waiting (warn); default nothing. No
	// token, key or signature is logged.
	Logger *slog.Logger
}

func (o *Options) setDefaults() error {
	addrs, err := normalAddrs(o.Addrs)
	if err != nil {
		return err
	}
	o.Addrs = addrs
	if o.TLS, err = o.tlsConfig(); err != nil {
		return err
	}
	if err := o.readIdentity(); err != nil {
		return err
	}
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	if o.RetryFor == 0 || o.RetryFor > MaxResend {
		o.RetryFor = MaxResend
	}
	if o.UnreachableFor <= 0 {
		o.UnreachableFor = o.RetryFor
	}
	if o.MaxConns <= 0 {
		o.MaxConns = 4
	}
	if o.Dialer == nil {
		o.Dialer = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	opts := o.level()
	return asError(opts.Validate(protocol.Must("lookup")))
}

// readIdentity makes one signer of Signer, Identity and IdentityFile.
func (o *Options) readIdentity() error {
	if o.IdentityFile != "" {
		if o.Identity != nil || o.Signer != nil {
			return errors.New("IdentityFile, Identity and Signer exclude each other: give one")
		}
		id, err := LoadIdentity(o.IdentityFile)
		if errors.Is(err, fs.ErrNotExist) {
			if id, err = NewIdentity(); err == nil {
				err = id.Save(o.IdentityFile) // before the key is registered, so that none is lost
			}
		}
		if err != nil {
			return err
		}
		o.Identity = id
	}
	if o.Signer == nil && o.Identity != nil {
		o.Signer = o.Identity
	}
	return nil
}

func asError(e *protocol.Error) error {
	if e == nil {
		return nil
	}
	return &Error{Code: e.Code, Text: e.Text, Outcome: protocol.OutcomeRejected}
}

// level is the read level as request options.
func (o *Options) level() protocol.Options {
	return protocol.Options{Consistency: o.Consistency, MaxStalenessMS: uint64(max(o.MaxStaleness, 0) / time.Millisecond)}
}

func normalAddrs(list []string) ([]string, error) {
	var out []string
	for _, a := range list {
		a = strings.TrimSpace(a)
		if a == "" {
			continue
		}
		if strings.ContainsAny(a, "/ \t") {
			return nil, fmt.Errorf("invalid address %q: want host:port, without a scheme, path or space", a)
		}
		if _, _, err := net.SplitHostPort(a); err != nil {
			a = net.JoinHostPort(strings.Trim(a, "[]"), DefaultPort)
		}
		_, port, err := net.SplitHostPort(a)
		if n, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil || n == 0 {
			return nil, fmt.Errorf("invalid address %q: want host:port, the port from 1 to 65535", a)
		}
		out = append(out, a)
	}
	if len(out) == 0 {
		return nil, errors.New("no registry address given")
	}
	return out, nil
}

func (o *Options) tlsConfig() (*tls.Config, error) {
	given := 0
	for _, set := range []bool{o.TLS != nil, o.CAFile != "", o.Pin != ""} {
		if set {
			given++
		}
	}
	switch {
	case given > 1:
		return nil, errors.New("TLS, CAFile and Pin exclude each other: give one")
	case o.CAFile != "":
		return caConfig(o.CAFile)
	case o.Pin != "":
		return PinConfig(o.Pin)
	}
	return o.TLS, nil
}

func caConfig(file string) (*tls.Config, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read CA file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read CA file: no certificate in %s", file)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// ErrPinMismatch is the cause of an untrusted_server error when the leaf
// certificate is not the pinned one.
var ErrPinMismatch = errors.New("certificate fingerprint mismatch")

// PinConfig accepts exactly the server whose leaf certificate has the given
// pin: 64 hexadecimal digits, the SHA-256 of its DER. Chain, name and expiry
// are not checked.
func PinConfig(pin string) (*tls.Config, error) {
	want := strings.ToLower(strings.TrimSpace(pin))
	if raw, err := hex.DecodeString(want); err != nil || len(raw) != sha256.Size {
		return nil, errors.New("invalid TLS pin: want 64 hexadecimal digits, the SHA-256 of the server's certificate")
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// The pin replaces the chain check; without it nothing verifies.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errors.New("no certificate presented")
			}
			sum := sha256.Sum256(s.PeerCertificates[0].Raw)
			if got := hex.EncodeToString(sum[:]); got != want {
				return fmt.Errorf("%w: got %s, want %s", ErrPinMismatch, got, want)
			}
			return nil
		},
	}, nil
}
