// SPDX-License-Identifier: Apache-2.0

package original

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// plainDoc is a document without its way of encoding itself.
type plainDoc fsm.ReplicationDoc

// written is a store file as it is written.
type written struct {
	plainDoc
	Networks map[string]writtenNetwork `json:"networks"`
}

type writtenNetwork struct {
	fsm.DocNetwork
	Token string `json:"token,omitempty"`
}

// Write renders a state as a store file. What the file cannot hold stands in
// the notes.
func Write(root *fsm.Root) ([]byte, []Note, error) {
	doc := root.ReplicationDocument().(*fsm.ReplicationDoc)
	var n notes
	w := written{plainDoc: plainDoc(*doc), Networks: map[string]writtenNetwork{}}
	for _, k := range sorted(doc.Networks) {
		w.Networks[k] = writeNetwork(&n, root, doc.Networks[k])
	}
	writeConfig(&n, root, &w)
	noteNodes(&n, root)
	if kept := int(root.EventSeq()); kept > len(doc.AuditLog) {
		n.leftOut("audit_log", "", fmt.Sprintf("the file has the newest %d events; actors, sources and hash chains of all are left out", len(doc.AuditLog)))
	}
	raw, err := json.Marshal(&w)
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(raw)
	raw = append(raw[:len(raw)-1], `,"checksum":"`...)
	raw = append(raw, hex.EncodeToString(sum[:])...)
	return append(raw, `"}`...), n.list, nil
}

// writeNetwork gives a network that is joined with a token another one: its own
// is known as a hash only, and with none everybody could join.
func writeNetwork(n *notes, root *fsm.Root, d fsm.DocNetwork) writtenNetwork {
	object := "network " + decimal(uint32(d.ID))
	w := writtenNetwork{DocNetwork: d}
	if _, has := root.NetworkTokenKey(d.ID); has {
		var b [32]byte
		_, _ = rand.Read(b[:]) // never fails since Go 1.24
		w.Token = base64.RawURLEncoding.EncodeToString(b[:])
		n.changed(object, "token", "the join token is kept as a hash only; another one stands in the file")
	}
	if _, has := root.NetworkAdminToken(d.ID); has {
		n.leftOut(object, "admin_token", "the network's admin token is kept as a hash only")
	}
	return w
}

// writeConfig adds the addresses in full, which a stream of the state has without their query.
func writeConfig(n *notes, root *fsm.Root, w *written) {
	if idp, ok := root.IDP(); ok {
		w.IDPConfig = &fsm.DocIDP{Type: idp.Type, URL: idp.URL, Issuer: idp.Issuer, ClientID: idp.ClientID, TenantID: idp.TenantID, Domain: idp.Domain}
		if idp.RoleClaim != "" || idp.ExternalIDClaim != "" || idp.RefuseHS256 {
			n.leftOut("idp_config", "", "the file has no claims, no mapping of roles and no refusal of HS256")
		}
	}
	for _, s := range root.Sinks() {
		switch {
		case s.Name == protocol.SinkNameExport && s.Format != protocol.FormatFile:
			w.AuditExportConfig = &fsm.DocExport{Format: s.Format, Endpoint: s.Endpoint, Index: s.Index, Source: s.Source}
			if !s.Secret.IsZero() {
				n.leftOut("audit_export_config", "token", "it is encrypted with the cluster's keyring; configure the export again")
			}
		case s.Kind != protocol.SinkLog:
			n.leftOut("sink "+s.Name, "", "the file has the audit export only")
		}
	}
}

// noteNodes names the nodes of which the file has less than the state.
func noteNodes(n *notes, root *fsm.Root) {
	root.Inspect().EachNode(func(s fsm.NodeSummary) bool {
		object := "node " + decimal(s.ID)
		if !s.Online {
			n.leftOut(object, "", "it is offline, and the file has live nodes only: its id, key, memberships and trust are in the file, hostname, tags and the rest are not")
		}
		if s.Ends != 0 {
			n.leftOut(object, "networks", "a membership or role of it ends, which the file cannot say: it would last")
		}
		return true
	})
}
