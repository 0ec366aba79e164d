// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// The optional binary mode of newer clients (docs/protocol/binary.md): after a preamble,
// frames carry a type byte. Everything is mapped onto the same typed requests
// and replies, so limits, checks and answers are those of JSON.
const (
	binaryMagic   = 0x50494C54 // "PILT"; as a JSON frame length it is far above the limit
	binaryVersion = 0x01

	binaryJSON      = 0x00
	binaryHeartbeat = 0x01
	binaryLookup    = 0x02
	binaryResolve   = 0x03
	binaryReply     = 0x80
	binaryError     = 0xFF

	signatureBytes   = 64
	binaryErrorBytes = 65000
	binaryListMax    = 1024 // clients refuse longer lists
	unknownKeyAge    = 0xFFFFFFFF
)

// binaryNames are the native requests.
var binaryNames = map[byte]string{binaryHeartbeat: "heartbeat", binaryLookup: "lookup", binaryResolve: "resolve"}

func (c *conn) serveBinary() error {
	version, err := c.in.ReadByte()
	if err != nil {
		return c.frameError(err)
	}
	if version != binaryVersion {
		c.srv.cfg.Metrics.Malformed("binary")
		_ = c.writeBinary(appendBinaryError(nil, fmt.Sprintf("unsupported wire version %d", version))) // it is closed anyway
		return fmt.Errorf("unknown binary protocol version %d", version)
	}
	for {
		n, err := c.readHeader()
		if err != nil {
			return err
		}
		kind, req, refused, err := c.readBinary(n)
		if err != nil {
			return err
		}
		if err := c.answerBinary(kind, req, refused); err != nil {
			return err
		}
		c.srv.long.release(c, &c.longHeld)
	}
}

// readBinary reads a frame of n bytes and turns it into the request it stands
// for, or says what is wrong with it.
func (c *conn) readBinary(n uint32) (kind byte, req *protocol.Request, refused *protocol.Error, err error) {
	buf := bodies.Get().(*[]byte)
	defer giveBody(buf)
	frame, err := c.readBody(n, c.srv.cfg.MaxRequest+1, buf)
	if err != nil {
		return 0, nil, nil, err
	}
	kind = frame[0]
	if kind != binaryJSON {
		req, refused = parseBinary(kind, frame[1:])
		return kind, req, refused, nil
	}
	if req, err = protocol.ParseRequest(frame[1:]); err != nil {
		c.srv.cfg.Metrics.Malformed("not_an_object")
	}
	return kind, req, nil, err
}

func (c *conn) answerBinary(kind byte, req *protocol.Request, refused *protocol.Error) error {
	if kind == binaryJSON {
		if req.Command != nil && req.Command.Mode == protocol.ModeStream {
			c.writeBinary(appendBinaryError(nil, "replication not supported over binary protocol: open a connection without the binary preamble"))
			return errors.New("stream on a binary connection")
		}
		return c.answer(req, Reply.JSON, func(reply []byte) error {
			return c.writeParts([]byte{binaryJSON}, reply)
		})
	}
	if refused != nil {
		if !c.begin() {
			return errDraining
		}
		c.srv.cfg.Metrics.Request(c.srv.ctx, "unknown", refused.Code, 0)
		if err := c.writeBinary(appendBinaryError(nil, refused.Text)); err != nil {
			return err
		}
		c.replied = true
		if !c.end() {
			return errDraining
		}
		return nil
	}
	return c.answer(req, func(r Reply) ([]byte, error) { return encodeBinary(kind, r), nil }, c.writeBinary)
}

// writeBinary writes a frame whose body already begins with its type byte.
func (c *conn) writeBinary(body []byte) error { return c.writeFrame(body) }

// parseBinary turns a native frame into the request it stands for.
func parseBinary(kind byte, payload []byte) (*protocol.Request, *protocol.Error) {
	want, ok := map[byte]int{binaryHeartbeat: 4 + signatureBytes, binaryLookup: 4, binaryResolve: 8 + signatureBytes}[kind]
	if !ok {
		return nil, protocol.Errorf(protocol.CodeUnknownCommand, "unknown message type 0x%02x", kind)
	}
	if len(payload) < want {
		return nil, protocol.Errorf(protocol.CodeInvalid, "%s request too short: %d bytes (want %d)", binaryNames[kind], len(payload), want)
	}
	payload = payload[:want] // later versions may say more
	id := func(at int) uint32 { return binary.BigEndian.Uint32(payload[at:]) }
	signature := func(at int) protocol.Secret {
		return protocol.Secret(base64.StdEncoding.EncodeToString(payload[at:]))
	}
	request := func(name string, body protocol.Body) *protocol.Request {
		return &protocol.Request{Type: name, Command: protocol.Must(name), Body: body}
	}
	var req *protocol.Request
	switch kind {
	case binaryHeartbeat:
		req = request("heartbeat", &protocol.NodeRequest{NodeID: id(0)})
		req.Signature = signature(4)
	case binaryLookup:
		req = request("lookup", &protocol.NodeRequest{NodeID: id(0)})
	case binaryResolve:
		req = request("resolve", &protocol.Resolve{NodeID: id(0), RequesterID: id(4)})
		req.Signature = signature(8)
	}
	return req, nil
}

// encodeBinary renders a reply as the body of a native frame.
func encodeBinary(kind byte, r Reply) []byte {
	if r.Err != nil {
		return appendBinaryError(nil, r.Err.Text)
	}
	out, err := []byte{kind | binaryReply}, error(nil)
	switch kind {
	case binaryHeartbeat:
		out, err = appendAs(out, r.Body, appendHeartbeat)
	case binaryLookup:
		out, err = appendAs(out, r.Body, appendLookup)
	case binaryResolve:
		out, err = appendAs(out, r.Body, appendResolve)
	}
	if err != nil {
		return appendBinaryError(nil, "internal error: reply does not fit the binary form: "+err.Error())
	}
	return out
}

// appendAs appends a reply in the native form of its type.
func appendAs[T any](out []byte, body any, form func([]byte, *T) ([]byte, error)) ([]byte, error) {
	reply, err := protocol.ReplyAs[T](body)
	if err != nil {
		return nil, err
	}
	return form(out, reply)
}

func appendHeartbeat(out []byte, r *protocol.HeartbeatReply) ([]byte, error) {
	out = binary.BigEndian.AppendUint64(out, uint64(r.Time))
	return append(out, flag(r.KeyExpiryWarning, 0)), nil
}

func appendLookup(out []byte, r *protocol.LookupReply) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(r.PublicKey)
	if err != nil {
		return nil, err
	}
	if len(r.ExternalID) > 255 { // half an identity would be another identity
		return nil, errors.New("external_id is longer than 255 bytes; use JSON")
	}
	out = binary.BigEndian.AppendUint32(out, r.NodeID)
	out = append(out, flag(r.Public, 0)|flag(r.TaskExec, 1), 0, 0, 0, 0)
	networks := r.Networks[:min(len(r.Networks), binaryListMax)]
	out = binary.BigEndian.AppendUint16(out, uint16(len(networks)))
	for _, n := range networks {
		out = binary.BigEndian.AppendUint16(out, n)
	}
	out = appendText8(out, string(key))
	out = appendText8(out, r.Hostname)
	tags := r.Tags[:min(len(r.Tags), 255)]
	out = append(out, byte(len(tags)))
	for _, t := range tags {
		out = appendText8(out, t)
	}
	out = appendText16(out, r.RealAddr)
	return appendText8(out, r.ExternalID), nil
}

func appendResolve(out []byte, r *protocol.ResolveReply) ([]byte, error) {
	out = binary.BigEndian.AppendUint32(out, r.NodeID)
	out = appendText16(out, r.RealAddr)
	lan := r.LANAddrs[:min(len(r.LANAddrs), binaryListMax)]
	out = binary.BigEndian.AppendUint16(out, uint16(len(lan)))
	for _, a := range lan {
		out = appendText16(out, a)
	}
	age := uint32(unknownKeyAge)
	if r.KeyAgeDays != nil && *r.KeyAgeDays >= 0 && *r.KeyAgeDays < unknownKeyAge {
		age = uint32(*r.KeyAgeDays)
	}
	return binary.BigEndian.AppendUint32(out, age), nil
}

func appendBinaryError(out []byte, text string) []byte {
	text = text[:min(len(text), binaryErrorBytes)]
	out = append(out, binaryError)
	return appendText16(out, text)
}

func appendText8(out []byte, s string) []byte {
	s = s[:min(len(s), 255)]
	return append(append(out, byte(len(s))), s...)
}

func appendText16(out []byte, s string) []byte {
	s = s[:min(len(s), 1<<16-1)]
	return append(binary.BigEndian.AppendUint16(out, uint16(len(s))), s...)
}

func flag(set bool, bit uint) byte {
	if set {
		return 1 << bit
	}
	return 0
}
