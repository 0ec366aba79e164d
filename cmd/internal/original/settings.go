// SPDX-License-Identifier: Apache-2.0

package original

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func (r *reader) readPreAssign() error {
	list, _, err := r.keyed("rbac_pre_assign", r.top.PreAssign, 16)
	if err != nil {
		return err
	}
	r.Doc.RBACPreAssign = map[string][]fsm.DocPreAssign{}
	inFile, taken := 0, 0
	for _, e := range list {
		waiting, err := items(e.raw)
		if err != nil {
			r.leftOut("rbac_pre_assign of network "+e.key, "", err.Error())
			continue
		}
		inFile += len(waiting)
		persons := map[string]bool{}
		for i, raw := range waiting {
			object := fmt.Sprintf("role %d that waits in network %s", i+1, e.key)
			if p, ok := r.preAssign(object, e.id, raw, persons); ok {
				r.Doc.RBACPreAssign[e.key] = append(r.Doc.RBACPreAssign[e.key], p)
				taken++
			}
		}
	}
	r.count("rbac_pre_assign", inFile, taken)
	return nil
}

func (r *reader) preAssign(object string, net uint32, raw []byte, persons map[string]bool) (p fsm.DocPreAssign, ok bool) {
	if err := decode(&r.notes, object, raw, &p); err != nil {
		r.leftOut(object, "", err.Error())
		return p, false
	}
	person := identity.IDKeys(p.ExternalID).MatchOf(p.ExternalID)
	switch {
	case net == 0 || !r.networkIDs[uint16(net)]:
		r.leftOut(object, "", "the network is not there")
	case p.ExternalID == "" || len(p.ExternalID) > protocol.MaxTextBytes || protocol.HasControl(p.ExternalID):
		r.leftOut(object, "", fmt.Sprintf("its external_id is empty, longer than %d bytes, or has a control character", protocol.MaxTextBytes))
	case persons[person]:
		r.leftOut(object, "", "another role waits for the same external_id, and the first one counts")
	default:
		ok, persons[person] = true, true
	}
	if ok && !slices.Contains([]string{protocol.RoleOwner, protocol.RoleAdmin, protocol.RoleMember}, p.Role) {
		r.changed(object, "role", fmt.Sprintf("%s is none, and counts as member", label(p.Role)))
		p.Role = protocol.RoleMember
	}
	return p, ok
}

// fileExport is the audit export as the file has it.
type fileExport struct {
	Format   string `json:"format"`
	Endpoint string `json:"endpoint"`
	Token    string `json:"token"`
	Index    string `json:"index"`
	Source   string `json:"source"`
}

func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

func (r *reader) readConfig() error {
	if present(r.top.IDP) {
		r.readIDP()
	}
	if present(r.top.Export) {
		r.readExport()
	}
	return nil
}

func (r *reader) readIDP() {
	const object = "idp_config"
	var d fsm.DocIDP
	if err := decode(&r.notes, object, r.top.IDP, &d); err != nil {
		r.leftOut(object, "", err.Error())
		r.count(object, 1, 0)
		return
	}
	idp := protocol.IDP{Type: d.Type, URL: d.URL, Issuer: d.Issuer, ClientID: d.ClientID, TenantID: d.TenantID, Domain: d.Domain}
	e := idp.Check()
	if e == nil {
		e = protocol.CheckURL("url", d.URL)
	}
	switch {
	case d.Type == "" && d.URL == "": // nothing is configured
		return
	case !protocol.ValidIDPType(d.Type):
		r.leftOut(object, "", "its type is none that the registry knows")
	case e != nil:
		r.leftOut(object, "", e.Text)
	default:
		r.Doc.IDPConfig = &d
		r.count(object, 1, 1)
		return
	}
	r.count(object, 1, 0)
}

func (r *reader) readExport() {
	const object = "audit_export_config"
	var f fileExport
	err := decode(&r.notes, object, r.top.Export, &f)
	if err == nil && f.Format == "" && f.Endpoint == "" {
		return
	}
	if err == nil && !slices.Contains([]string{protocol.FormatJSON, protocol.FormatSplunk, protocol.FormatCEF}, f.Format) {
		r.changed(object, "format", fmt.Sprintf("%s is none, and the original sends json then; it is json now", label(f.Format)))
		f.Format = protocol.FormatJSON
	}
	sink := protocol.SinkConfig{Name: protocol.SinkNameExport, Kind: protocol.SinkExport, Format: f.Format, Endpoint: f.Endpoint, Index: f.Index, Source: f.Source}
	if err == nil {
		err = sink.Check().AsError()
	}
	for _, t := range sink.Targets() {
		if err == nil {
			err = protocol.CheckURL(t.Field, t.URL).AsError()
		}
	}
	if err == nil && len(f.Token) > protocol.MaxSinkText {
		err = fmt.Errorf("its token has more than %d bytes", protocol.MaxSinkText)
	}
	if err != nil {
		r.leftOut(object, "", err.Error())
		r.count(object, 1, 0)
		return
	}
	r.Doc.AuditExportConfig = &fsm.DocExport{Format: f.Format, Endpoint: f.Endpoint, Index: f.Index, Source: f.Source}
	r.ExportToken = protocol.Secret(f.Token)
	r.count(object, 1, 1)
}
