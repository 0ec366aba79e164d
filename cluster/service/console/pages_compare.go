// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"net/http"

	"github.com/pilotregistry/pilotregistry/protocol"
)

type compareData struct {
	Network *protocol.ProvisionedNetwork
	YAML    string
	// Compared says that a blueprint was pasted, Problem why it cannot be read.
	Compared bool
	Problem  *protocol.Error
	Changes  []change
}

// comparePage shows a network as a blueprint, and what another blueprint says
// otherwise. What is pasted is not shown again: it may have a join token.
func (c *Console) comparePage(v *visit) (*content, *protocol.Error) {
	id, e := v.networkID()
	if e != nil {
		return nil, e
	}
	n, e := v.provisioned(id)
	if e != nil {
		return nil, e
	}
	raw, e := blueprintYAML(n)
	if e != nil {
		return nil, e
	}
	d := &compareData{Network: n, YAML: string(raw)}
	out := &content{Template: "compare", Title: fmt.Sprintf("What is %s as a blueprint?", n.Name), Data: d, Command: "pilotctl blueprint diff blueprint.yaml"}
	if v.r.Method != http.MethodPost {
		return out, nil
	}
	in := values{"text": v.r.PostFormValue("text")}
	if e := v.readFile("file", in); e != nil {
		return nil, e
	}
	pasted, e := document(in["text"])
	if _, is := pasted.(map[string]any); e == nil && !is {
		e = protocol.Errorf(protocol.CodeInvalid, "a blueprint is an object, as the one of the network below")
	}
	if d.Problem = e; e != nil {
		out.Status = http.StatusBadRequest
		return out, nil
	}
	d.Compared, d.Changes = true, differences(pasted, n)
	return out, nil
}
