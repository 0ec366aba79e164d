// SPDX-License-Identifier: Apache-2.0

package console

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

type auditData struct {
	Filter  map[string]string
	Entries []protocol.AuditEntry
	Chains  []chainRow
	Next    string
	// Follow is what the page asks to be told, "" for nothing.
	Follow string
}

// chainRow is the end of a chain, with what was verified of it.
type chainRow struct {
	protocol.AuditChainEnd
	Verified *verified
}

// auditFilters are the fields of get_audit_log that the page filters by.
var auditFilters = []string{"action", "node_id", "network_id", "external_id", "class", "since", "until"}

// auditFilter reads the filter in an address: as it is, and as fields of get_audit_log.
func auditFilter(q url.Values) (filter map[string]string, fields map[string]any, e *protocol.Error) {
	filter, fields = map[string]string{}, map[string]any{}
	for _, name := range auditFilters {
		value := strings.TrimSpace(q.Get(name))
		if value == "" {
			continue
		}
		filter[name], fields[name] = value, value
		if name == "node_id" || name == "network_id" {
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return nil, nil, protocol.Errorf(protocol.CodeInvalid, "invalid %s: %s is not a number", name, protocol.Quote(value))
			}
			fields[name] = n
		}
	}
	return filter, fields, nil
}

func (c *Console) auditPage(v *visit) (*content, *protocol.Error) {
	q := v.r.URL.Query()
	filter, fields, e := auditFilter(q)
	if e != nil {
		return nil, e
	}
	d := &auditData{Filter: filter}
	fields["limit"] = perPage
	if cursor := q.Get("cursor"); cursor != "" {
		fields["cursor"] = cursor
	}
	log, e := ask[protocol.GetAuditLogReply](v, "get_audit_log", fields)
	if e != nil {
		return nil, e
	}
	d.Entries = log.Entries
	if q.Get("cursor") == "" && filter["until"] == "" { // the newest are shown, so others may come
		d.Follow = "after=0"
		if len(d.Entries) > 0 {
			d.Follow = "after=" + strconv.FormatUint(d.Entries[0].Seq, 10)
		}
		for name, value := range filter {
			d.Follow += "&" + name + "=" + url.QueryEscape(value)
		}
	}
	if log.NextCursor != "" {
		q.Set("cursor", log.NextCursor)
		d.Next = (&url.URL{Path: v.r.URL.Path, RawQuery: q.Encode()}).String()
	}
	chain, e := ask[protocol.AuditChainReply](v, "audit_chain", nil)
	if e != nil {
		return nil, e
	}
	for _, end := range chain.Chains {
		row := chainRow{AuditChainEnd: end}
		if row.Verified, e = v.verifyEnd(end); e != nil {
			return nil, e
		}
		d.Chains = append(d.Chains, row)
	}
	return &content{Template: "audit", Title: "What happened?", Data: d, Command: auditCommand(d.Filter)}, nil
}

// auditCommand shows the same events on the command line. Those of a person are
// part of what the registry knows of that person.
func auditCommand(filter map[string]string) string {
	if person := filter["external_id"]; person != "" {
		return "pilotctl person export " + quoted(person)
	}
	command := "pilotctl audit list"
	for _, name := range auditFilters {
		if value := filter[name]; value != "" {
			command += " --" + strings.TrimSuffix(name, "_id") + " " + quoted(value)
		}
	}
	return command
}

// quoted is a word for a shell. What stands in the address of a page may come
// from a link of somebody else's, and the command is there to be copied.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

type identityData struct {
	IDP *protocol.GetIDPConfigReply
	// Checked is what a token is worth that was looked at, Refused why it was not.
	Checked *protocol.ValidateTokenReply
	Refused *protocol.Error
}

func (c *Console) identityPage(v *visit) (*content, *protocol.Error) {
	idp, e := ask[protocol.GetIDPConfigReply](v, "get_idp_config", nil)
	if e != nil {
		return nil, e
	}
	return &content{Template: "identity", Title: "Who vouches for people?", Data: &identityData{IDP: idp}, Command: "pilotctl idp show"}, nil
}

// checkToken says what an identity token is worth. It is kept nowhere.
func (c *Console) checkToken(v *visit) (*content, *protocol.Error) {
	page, e := c.identityPage(v)
	if e != nil {
		return nil, e
	}
	d := page.Data.(*identityData)
	d.Checked, d.Refused = ask[protocol.ValidateTokenReply](v, "validate_token", map[string]any{"token": strings.TrimSpace(v.r.PostFormValue("token"))})
	if d.Refused != nil && d.Refused.Code == protocol.CodeAdminToken {
		return nil, d.Refused
	}
	page.Command = "pilotctl idp validate --token-file ./token.jwt"
	return page, nil
}
