// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"bufio"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Wire is one plain connection with one request in flight: what a client of
// any age does, without an SDK in between.
type Wire struct {
	net.Conn
	r   *bufio.Reader
	buf []byte
}

// dialTimeout bounds the wait for a connection on this machine.
const dialTimeout = 5 * time.Second

// Dial connects to a member.
func Dial(addr string) (*Wire, error) { return DialFrom("", addr) }

// DialFrom connects to a member from an address of this machine, such as
// 127.0.0.2; "" is any.
func DialFrom(source, addr string) (*Wire, error) {
	d := net.Dialer{Timeout: dialTimeout}
	if source != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
	}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Wire{Conn: c, r: bufio.NewReader(c)}, nil
}

// Frame encodes a request.
func Frame(v map[string]any) []byte {
	body, err := json.Marshal(v)
	if err != nil { // strings, numbers and lists always encode
		panic(err)
	}
	return protocol.AppendFrame(nil, body)
}

// Exchange sends a prepared frame and returns the reply's body, which is
// valid until the next call.
func (w *Wire) Exchange(frame []byte, timeout time.Duration) ([]byte, error) {
	if err := w.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	if _, err := w.Write(frame); err != nil {
		return nil, err
	}
	reply, err := protocol.ReadFrame(w.r, protocol.MaxClientReplyBytes, w.buf)
	if err != nil {
		return nil, err
	}
	w.buf = reply
	return reply, nil
}

// Call sends a request and decodes the reply, errors included.
func (w *Wire) Call(v map[string]any) (map[string]any, error) {
	reply, err := w.Exchange(Frame(v), 15*time.Second)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	return m, json.Unmarshal(reply, &m)
}

// Agent is a registered node.
type Agent struct {
	ID  uint32
	Key ed25519.PrivateKey
}

// NewAgent makes a key that is not registered yet.
func NewAgent() (Agent, error) {
	_, private, err := ed25519.GenerateKey(nil)
	return Agent{Key: private}, err
}

// PublicKey is the agent's key as on the wire.
func (a Agent) PublicKey() string {
	return base64.StdEncoding.EncodeToString(a.Key.Public().(ed25519.PublicKey))
}

// Sign signs a challenge.
func (a Agent) Sign(text string) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(a.Key, []byte(text)))
}

// Register registers a new agent.
func (w *Wire) Register() (Agent, error) {
	a, err := NewAgent()
	if err != nil {
		return a, err
	}
	reply, err := w.Call(map[string]any{"type": "register", "listen_addr": ":4000", "public_key": a.PublicKey()})
	if err != nil {
		return a, err
	}
	id, ok := reply["node_id"].(float64)
	if !ok {
		return a, fmt.Errorf("register: %v", reply)
	}
	a.ID = uint32(id)
	return a, nil
}
