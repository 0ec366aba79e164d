// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Exporter hands events to a receiver, in order. Deliver returns how many of
// them the receiver has, from the first on; fewer than all only with an
// error. An exporter is used by one goroutine at a time.
type Exporter interface {
	Deliver(ctx context.Context, events []protocol.AuditEvent) (done int, err error)
	Close() error
}

// Options say what an exporter is to do and what it may use.
type Options struct {
	Sink protocol.SinkConfig
	// Secret is the token or the signing secret in clear, empty when there is none.
	Secret    string
	ClusterID string
	// Client sends requests; its policy on redirects is not used. Nil is a
	// client made of Dial and TLS that uses no proxy.
	Client *http.Client
	// Dial opens connections. Nil is the network of this machine.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLS is for connections of syslog, and of HTTP without a Client.
	TLS *tls.Config
	// Log writes a line of the structured log. It is needed for the kind log.
	Log func(msg string, args ...any)

	// timeout replaces the bounds below in tests.
	timeout time.Duration
}

// Bounds of one try.
const (
	exportTimeout  = 10 * time.Second
	webhookTimeout = 5 * time.Second
)

func (o *Options) bound(d time.Duration) time.Duration {
	if o.timeout > 0 {
		return o.timeout
	}
	return d
}

func (o *Options) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if o.Dial != nil {
		return o.Dial(ctx, network, addr)
	}
	return (&net.Dialer{}).DialContext(ctx, network, addr)
}

// Open makes the exporter of a sink. Nothing is sent before the first event.
func Open(o Options) (Exporter, error) {
	switch s := o.Sink; {
	case s.Kind == protocol.SinkLog:
		return openLog(o)
	case s.Kind == protocol.SinkWebhook:
		return openWebhook(o)
	case s.Kind != protocol.SinkExport:
		return nil, errors.New("the sink is of no known kind")
	case s.Format == protocol.FormatFile:
		return openFile(o)
	case s.Format == protocol.FormatSplunk:
		return openHEC(o)
	case s.Format == protocol.FormatJSON:
		if o.Sink.Batch {
			return openPoster(o, "application/x-ndjson", JSON)
		}
		return openPoster(o, "application/json", JSON)
	case s.Format != protocol.FormatCEF:
		return nil, errors.New("the export is of no known format")
	case strings.HasPrefix(s.Endpoint, "http://"), strings.HasPrefix(s.Endpoint, "https://"):
		return openPoster(o, "text/plain", CEF)
	}
	return openSyslog(o)
}

// endpoint parses an address without showing it in the error.
func endpoint(s string, schemes ...string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return nil, errors.New("the endpoint is not a URL with a host")
	}
	for _, scheme := range schemes {
		if u.Scheme == scheme {
			return u, nil
		}
	}
	return nil, errors.New("the endpoint's scheme is not one of " + strings.Join(schemes, ", "))
}
