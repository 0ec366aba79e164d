// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	dialTimeout  = 5 * time.Second
	backoffStart = 20 * time.Millisecond
	backoffMax   = 500 * time.Millisecond
)

// DialFunc opens the bare TCP connection to a member; TLS follows. proto and
// memberID say what for. Host names are resolved here, at every dial.
type DialFunc func(ctx context.Context, proto, memberID, addr string) (net.Conn, error)

// NetDial is the DialFunc of production.
func NetDial(ctx context.Context, _, _, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", fault.Route(addr))
}

// ClientConfig says how to reach the other members.
type ClientConfig struct {
	Identity *Identity
	// Dial is NetDial when nil.
	Dial DialFunc
	// Addr tells a member's current peer address.
	Addr func(memberID string) (string, bool)
	// Known, when set, hears where members were reached.
	Known  *Known
	Logger hclog.Logger
}

// Client calls other members, over one connection to each.
type Client struct {
	cfg    ClientConfig
	ctx    context.Context
	cancel context.CancelFunc
	mu     sync.Mutex
	peers  map[string]*remote
	wg     sync.WaitGroup
}

// NewClient makes a client; it dials when first used.
func NewClient(cfg ClientConfig) *Client {
	if cfg.Dial == nil {
		cfg.Dial = NetDial
	}
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Client{cfg: cfg, ctx: ctx, cancel: cancel, peers: map[string]*remote{}}
}

// Call sends one request and waits for its answer, until ctx ends. The error is
// a *protocol.Error when the peer answered with one, else a *TransportError.
func (c *Client) Call(ctx context.Context, memberID string, typ byte, payload []byte) ([]byte, error) {
	if len(payload) > MaxFrame {
		return nil, protocol.NotAppliedf(protocol.CodeTooLarge, "request of %d bytes between members (max %d)", len(payload), MaxFrame)
	}
	conn, err := c.remote(memberID).get(ctx)
	if err != nil {
		return nil, &TransportError{Member: memberID, Err: err}
	}
	return conn.call(ctx, typ, payload)
}

// Close ends all connections and waits for their goroutines.
func (c *Client) Close() {
	c.cancel()
	c.CloseConns()
	c.wg.Wait()
}

// CloseConns drops all connections; later calls dial again.
func (c *Client) CloseConns() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.peers {
		r.drop()
	}
}

func (c *Client) remote(id string) *remote {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.peers[id]
	if r == nil {
		r = &remote{client: c, id: id}
		c.peers[id] = r
	}
	return r
}

// remote is one peer: its connection, or the dial under way, or when to try next.
type remote struct {
	client *Client
	id     string

	mu      sync.Mutex
	conn    *clientConn
	dialing chan struct{}
	backoff time.Duration
	next    time.Time
	lastErr error
}

// get returns the live connection, joining a dial that is under way. While the
// peer is backed off it fails at once with the last dial's error.
func (r *remote) get(ctx context.Context) (*clientConn, error) {
	for {
		r.mu.Lock()
		if r.conn != nil && !r.conn.dead() {
			conn := r.conn
			r.mu.Unlock()
			return conn, nil
		}
		if r.client.ctx.Err() != nil {
			r.mu.Unlock()
			return nil, ErrClosed
		}
		wait := r.dialing
		if wait == nil {
			if r.lastErr != nil && time.Now().Before(r.next) {
				err := r.lastErr
				r.mu.Unlock()
				return nil, err
			}
			wait = make(chan struct{})
			r.dialing = wait
			r.client.wg.Add(1)
			go r.dial(wait)
		}
		r.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// dial runs on the client's context: a caller that gives up does not abort it for the others.
func (r *remote) dial(done chan struct{}) {
	defer r.client.wg.Done()
	conn, err := r.connect()
	r.mu.Lock()
	defer r.mu.Unlock()
	defer close(done)
	r.dialing = nil
	if err == nil {
		r.conn, r.lastErr, r.backoff = conn, nil, 0
		return
	}
	r.backoff = min(max(2*r.backoff, backoffStart), backoffMax)
	r.next = time.Now().Add(r.backoff/2 + rand.N(r.backoff/2))
	r.lastErr = err
}

func (r *remote) connect() (*clientConn, error) {
	c := r.client
	addr, ok := c.cfg.Addr(r.id)
	if !ok {
		return nil, fmt.Errorf("no address known for member %s", r.id)
	}
	ctx, cancel := context.WithTimeout(c.ctx, dialTimeout)
	defer cancel()
	tc, err := dialMember(ctx, c.cfg.Dial, c.cfg.Identity, ProtoRPC, r.id, addr)
	if err != nil {
		return nil, err
	}
	c.cfg.Known.note(r.id, tc.RemoteAddr())
	return newClientConn(c, r.id, tc), nil
}

func (r *remote) drop() {
	r.mu.Lock()
	conn := r.conn
	r.conn = nil
	r.mu.Unlock()
	if conn != nil {
		conn.fail(ErrClosed)
	}
}

// dialMember connects, verifies that the member meant answered, and reads its verdict.
func dialMember(ctx context.Context, dial DialFunc, id *Identity, proto, memberID, addr string) (*tls.Conn, error) {
	raw, err := dial(ctx, proto, memberID, addr)
	if err != nil {
		return nil, err
	}
	// The context bounds the handshake and the verdict, whatever the connection does.
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	conn := tls.Client(raw, id.clientConfig(proto, memberID))
	err = conn.HandshakeContext(ctx)
	if err == nil {
		err = readVerdict(conn)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = raw.Close()
		if ctx.Err() != nil && !errors.Is(err, ErrForeignCluster) && !errors.Is(err, ErrWrongMember) {
			err = fmt.Errorf("handshake with %s: %w", addr, ctx.Err())
		}
		return nil, err
	}
	return conn, nil
}

// Connected reports whether a connection to the member is up now. It does not dial.
func (c *Client) Connected(memberID string) bool {
	c.mu.Lock()
	r := c.peers[memberID]
	c.mu.Unlock()
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conn != nil && !r.conn.dead()
}
