// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// blueprint is a blueprint as people write it, in the registry's names.
type blueprint struct {
	Name              string                     `json:"name"`
	JoinRule          string                     `json:"join_rule,omitempty"`
	JoinToken         string                     `json:"join_token,omitempty"`
	Enterprise        bool                       `json:"enterprise,omitempty"`
	Policy            *blueprintPolicy           `json:"policy,omitempty"`
	Roles             []blueprintRole            `json:"roles,omitempty"`
	IdentityProvider  *blueprintIdentityProvider `json:"identity_provider,omitempty"`
	Webhooks          *blueprintWebhooks         `json:"webhooks,omitempty"`
	AuditExport       *blueprintAuditExport      `json:"audit_export,omitempty"`
	NetworkAdminToken string                     `json:"network_admin_token,omitempty"`
	ExprPolicy        json.RawMessage            `json:"expr_policy,omitempty"`
}

type blueprintPolicy struct {
	MaxMembers   *uint32  `json:"max_members,omitempty"`
	AllowedPorts []uint16 `json:"allowed_ports,omitempty"`
	Description  string   `json:"description,omitempty"`
}

type blueprintRole struct {
	ExternalID string `json:"external_id"`
	Role       string `json:"role"`
}

type blueprintIdentityProvider struct {
	Type     string `json:"type"`
	URL      string `json:"url"`
	Issuer   string `json:"issuer,omitempty"`
	ClientID string `json:"client_id,omitempty"`
	TenantID string `json:"tenant_id,omitempty"`
	Domain   string `json:"domain,omitempty"`
}

type blueprintWebhooks struct {
	AuditURL    string `json:"audit_url,omitempty"`
	IdentityURL string `json:"identity_url,omitempty"`
}

type blueprintAuditExport struct {
	Format   string `json:"format"`
	Endpoint string `json:"endpoint"`
	Token    string `json:"token,omitempty"`
	Index    string `json:"index,omitempty"`
	Source   string `json:"source,omitempty"`
}

var (
	joinRules     = []string{protocol.JoinOpen, protocol.JoinToken, protocol.JoinInvite}
	roleNames     = []string{"owner", "admin", "member"}
	providerTypes = []string{"oidc", "saml", "webhook", "entra_id", "ldap"}
	exportFormats = []string{"json", "splunk_hec", "syslog_cef"}
)

// readBlueprint reads a blueprint and checks it as far as that needs no
// registry.
func readBlueprint(path string) (*blueprint, *document, error) {
	data, err := readDocument(path)
	if err != nil {
		return nil, nil, err
	}
	d := &document{file: path}
	b := &blueprint{}
	if text, ok := d.decode(data); ok {
		if root := d.parse(text); root != nil {
			d.readBlueprint(root, b)
		}
	}
	return b, d, nil
}

func (d *document) readBlueprint(root *yaml.Node, b *blueprint) {
	at := map[string]*yaml.Node{} // where keys are, for problems found after them
	note := func(read field) field { return func(n *yaml.Node, path string) { at[path] = n; read(n, path) } }
	d.object(root, "", map[string]field{
		"name":                note(d.text(&b.Name)),
		"join_rule":           note(d.oneOf(joinRules, &b.JoinRule)),
		"join_token":          d.text(&b.JoinToken),
		"enterprise":          note(d.flag(&b.Enterprise)),
		"network_admin_token": d.text(&b.NetworkAdminToken),
		"policy":              d.blueprintPolicy(b),
		"expr_policy":         d.exprPolicy(&b.ExprPolicy),
		"roles":               d.blueprintRoles(b),
		"identity_provider":   d.blueprintIdentityProvider(b),
		"webhooks": func(n *yaml.Node, path string) {
			b.Webhooks = &blueprintWebhooks{}
			d.object(n, path, map[string]field{"audit_url": d.url(&b.Webhooks.AuditURL), "identity_url": d.url(&b.Webhooks.IdentityURL)})
		},
		"audit_export": d.blueprintAuditExport(b),
	})
	if root.Kind != yaml.MappingNode {
		return
	}
	d.need(root, "", "name", b.Name)
	if e := protocol.CheckNetworkName(b.Name); e != nil && b.Name != "" {
		d.bad(at["name"], "name", "%s", e.Text)
	}
	if b.JoinRule == protocol.JoinToken && b.JoinToken == "" {
		d.bad(at["join_rule"], "join_token", "is required when join_rule is token")
	}
	if b.JoinRule == protocol.JoinInvite && !b.Enterprise {
		d.bad(at["join_rule"], "join_rule", "invite needs enterprise: true")
	}
}

func (d *document) blueprintPolicy(b *blueprint) field {
	return func(n *yaml.Node, path string) {
		p := &blueprintPolicy{}
		b.Policy = p
		d.object(n, path, map[string]field{
			"max_members": d.whole(0, protocol.MaxPolicyMembers, func(v int64) { m := uint32(v); p.MaxMembers = &m }),
			"description": func(n *yaml.Node, path string) {
				d.text(&p.Description)(n, path)
				if len(p.Description) > protocol.MaxPolicyDescriptionBytes {
					d.bad(n, path, "too long: %d bytes (max %d)", len(p.Description), protocol.MaxPolicyDescriptionBytes)
				}
			},
			"allowed_ports": func(n *yaml.Node, path string) {
				p.AllowedPorts = []uint16{}
				d.list(n, path, d.whole(1, 65535, func(v int64) {
					if !slices.Contains(p.AllowedPorts, uint16(v)) {
						p.AllowedPorts = append(p.AllowedPorts, uint16(v))
					}
				}))
				if len(n.Content) > protocol.MaxPolicyPorts {
					d.bad(n, path, "too many: %d (max %d)", len(n.Content), protocol.MaxPolicyPorts)
				}
			},
		})
	}
}

// exprPolicy reads an expression policy: an object, or its JSON as text.
func (d *document) exprPolicy(to *json.RawMessage) field {
	return func(n *yaml.Node, path string) {
		var value any
		if err := n.Decode(&value); err != nil {
			d.bad(n, path, "cannot be read: %v", err)
			return
		}
		text, isText := value.(string)
		if !isText {
			raw, err := json.Marshal(value)
			if err != nil {
				d.bad(n, path, "cannot be JSON: %v", err)
				return
			}
			text = string(raw)
		}
		if _, e := protocol.ParseExprPolicy(text); e != nil {
			d.bad(n, path, "%s", strings.TrimPrefix(e.Text, "expr_policy: "))
			return
		}
		*to = protocol.ExprPolicyJSON(text)
	}
}

func (d *document) blueprintRoles(b *blueprint) field {
	return func(n *yaml.Node, path string) {
		first := map[string]string{}
		d.list(n, path, func(n *yaml.Node, path string) {
			var r blueprintRole
			d.object(n, path, map[string]field{"external_id": d.externalID(&r.ExternalID), "role": d.role(&r.Role)})
			d.need(n, path, "external_id", r.ExternalID)
			d.need(n, path, "role", r.Role)
			d.once(n, path, r.ExternalID, first)
			b.Roles = append(b.Roles, r)
		})
	}
}

func (d *document) blueprintIdentityProvider(b *blueprint) field {
	return func(n *yaml.Node, path string) {
		p := &blueprintIdentityProvider{}
		b.IdentityProvider = p
		d.object(n, path, map[string]field{
			"type": d.oneOf(providerTypes, &p.Type), "url": d.url(&p.URL), "issuer": d.text(&p.Issuer),
			"client_id": d.text(&p.ClientID), "tenant_id": d.text(&p.TenantID), "domain": d.text(&p.Domain),
		})
		d.need(n, path, "type", p.Type)
		d.need(n, path, "url", p.URL)
	}
}

func (d *document) blueprintAuditExport(b *blueprint) field {
	return func(n *yaml.Node, path string) {
		e := &blueprintAuditExport{}
		b.AuditExport = e
		d.object(n, path, map[string]field{
			"format": d.oneOf(exportFormats, &e.Format), "endpoint": d.text(&e.Endpoint), "token": d.text(&e.Token),
			"index": d.text(&e.Index), "source": d.text(&e.Source),
		})
		d.need(n, path, "format", e.Format)
		d.need(n, path, "endpoint", e.Endpoint)
	}
}

// need reports a key that is missing or empty, unless something else is wrong
// with it.
func (d *document) need(n *yaml.Node, path, key, value string) {
	if n.Kind == yaml.MappingNode && value == "" {
		d.badOnce(n, strings.TrimPrefix(path+"."+key, "."), "is required")
	}
}

// badOnce complains unless there is a complaint about the same place already.
func (d *document) badOnce(n *yaml.Node, path, text string) {
	if !slices.ContainsFunc(d.problems, func(p problem) bool { return p.Path == path }) {
		d.bad(n, path, "%s", text)
	}
}

// once reports an external id that stands in the list already.
func (d *document) once(n *yaml.Node, path, externalID string, first map[string]string) {
	id := protocol.FoldExternalID(strings.TrimSpace(externalID))
	if before, again := first[id]; again && id != "" {
		d.bad(n, path, "%s is listed at %s already (case does not matter)", externalID, before)
		return
	}
	first[id] = path
}

// oneOf reads one of a few words.
func (d *document) oneOf(words []string, to *string) field {
	return func(n *yaml.Node, path string) {
		before := len(d.problems)
		d.text(to)(n, path)
		if len(d.problems) == before && !slices.Contains(words, *to) && *to != "" {
			d.bad(n, path, "%q is not one of %s", *to, strings.Join(words, ", "))
		}
	}
}

func (d *document) externalID(to *string) field {
	return func(n *yaml.Node, path string) {
		d.text(to)(n, path)
		if len(*to) > protocol.MaxTextBytes {
			d.bad(n, path, "too long: %d bytes (max %d)", len(*to), protocol.MaxTextBytes)
		}
	}
}

// url reads the address of a web service.
func (d *document) url(to *string) field {
	return func(n *yaml.Node, path string) {
		before := len(d.problems)
		d.text(to)(n, path)
		if *to == "" || len(d.problems) > before {
			return
		}
		u, err := url.Parse(*to)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			d.bad(n, path, "%q is not an http or https URL", *to)
		}
	}
}
