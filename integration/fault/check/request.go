// SPDX-License-Identifier: Apache-2.0

package check

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// request is an operation's request, decoded.
type request struct {
	row     *protocol.Command
	body    protocol.Body
	options protocol.Options
	print   string
}

// decodeRequest reads what an operation asked for.
func decodeRequest(op *history.Op) (*request, error) {
	r, err := protocol.ParseRequest(op.Args)
	if err != nil {
		return nil, fmt.Errorf("operation %d: %w", op.ID, err)
	}
	if r.Command == nil || r.Type != op.Command {
		return nil, fmt.Errorf("operation %d: arguments of %q under command %q", op.ID, r.Type, op.Command)
	}
	if e := r.Body.Validate(); e != nil {
		return nil, fmt.Errorf("operation %d: %w", op.ID, e)
	}
	out := &request{row: r.Command, body: r.Body, options: r.Options}
	out.print, err = fingerprint(r.Command, r.Body)
	return out, err
}

// fingerprint is what a client asked for, without what members added: it is
// equal for an operation and for its command in the log.
func fingerprint(row *protocol.Command, body protocol.Body) (string, error) {
	asked := reflect.New(reflect.TypeOf(body).Elem())
	asked.Elem().Set(reflect.ValueOf(body).Elem())
	forgetFacts(asked.Elem())
	raw, err := json.Marshal(asked.Interface())
	return row.Name + string(raw), err
}

// forgetFacts clears the fields that only members set.
func forgetFacts(v reflect.Value) {
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.Anonymous && f.IsExported() {
			v.Field(i).SetZero()
		}
	}
}

// envelopePrint is the fingerprint of a client's command in the log.
func envelopePrint(env *fsm.Envelope) (string, error) {
	row := protocol.ByCode(env.Code)
	if row == nil {
		return "", fmt.Errorf("code %d is not in the table", env.Code)
	}
	body := row.New()
	if err := json.Unmarshal(env.Body, body); err != nil {
		return "", err
	}
	if e := body.Validate(); e != nil {
		return "", e
	}
	return fingerprint(row, body)
}

// subject is what a request is about: the node it names or the key it
// registers, or the command itself when it names neither.
func subject(command string, body []byte) string {
	var s struct {
		NodeID    uint32 `json:"node_id"`
		PublicKey string `json:"public_key"`
	}
	switch err := json.Unmarshal(body, &s); {
	case err != nil:
		return ""
	case s.PublicKey != "":
		return s.PublicKey
	case s.NodeID == 0:
		return command
	}
	return fmt.Sprint("node ", s.NodeID)
}

// callOn is the request as a member decides it on a state, the credentials
// taken for right: workloads sign with the keys they registered.
func (r *request) callOn(root *fsm.Root) *fsm.Call {
	c := &fsm.Call{Row: r.row, Body: r.body, Options: r.options,
		AdminError: protocol.Refusef(protocol.CodeAdminToken, "no admin token")}
	c.Options.RequestID = ""
	if !r.row.Signs(r.body) || r.row.Signer == "public_key" {
		return c
	}
	id := protocol.SignerID(r.row, r.body)
	_, gen, keyless, known := root.NodeKey(id)
	if !known || keyless {
		c.SigError = protocol.Refusef(protocol.CodeNotFound, "node %d: node not found", id)
		return c
	}
	c.Actor.Node, c.Actor.KeyGen = id, gen
	return c
}

// decide is the code that a state answers a request with, "" for success, and
// the reply of a read.
func (r *request) decide(root *fsm.Root) (code string, reply []byte) {
	call := r.callOn(root)
	if r.row.Writes() {
		if e := root.Check(call); e != nil {
			return e.Code, nil
		}
		return "", nil
	}
	res, e := root.Read(call)
	if e != nil {
		return e.Code, nil
	}
	reply, err := json.Marshal(res.Reply)
	if err != nil { // replies hold only strings, numbers and lists of them
		panic(err)
	}
	return "", reply
}
