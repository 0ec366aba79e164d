// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// TestBlueprintChecks goes through docs/protocol/identity.md#provision_network: texts, and
// which of two mistakes is told.
func TestBlueprintChecks(t *testing.T) {
	t.Parallel()
	const bad = "invalid blueprint: "
	for blueprint, want := range map[string]string{
		`"x"`: "blueprint is required", `null`: "blueprint is required", `[]`: "blueprint is required", `{}`: bad + "name is required",
		`{"name":5}`: "parse blueprint: name cannot be a number",
		`{"name":"n","policy":{"allowed_ports":[70000]}}`: "parse blueprint: policy.allowed_ports cannot be a number 70000",
		`{"name":"n","policy":{"max_members":"x"}}`:       "parse blueprint: policy.max_members cannot be a string",
		`{"name":"n","roles":{}}`:                         "parse blueprint: roles cannot be a object",
		`{"name":"n","join_rule":"closed","roles":[{}]}`:  bad + `invalid join_rule "closed" (must be open, token, or invite)`,
		`{"name":"n","join_rule":"token","roles":[{}]}`:   bad + "join_token is required when join_rule is token",
		`{"name":"n","roles":[{"role":"x"}]}`:             bad + "role entry: external_id is required",
		`{"name":"n","roles":[{"external_id":"x","role":"owner"},{"external_id":"y","role":"king"}],"identity_provider":{}}`: bad + `invalid role "king" for y`,
		`{"name":"n","identity_provider":{"type":"kerberos"},"audit_export":{}}`:                                             bad + `invalid identity_provider type "kerberos"`,
		`{"name":"n","identity_provider":{"type":"oidc"}}`:                                                                   bad + "identity_provider.url is required",
		`{"name":"n","audit_export":{"format":"xml"},"webhooks":{"audit_url":"x\u0000"}}`:                                    bad + `invalid audit_export format "xml"`,
		`{"name":"n","audit_export":{"format":"json"}}`:                                                                      bad + "audit_export.endpoint is required",
		`{"name":"n","identity_provider":{"type":"oidc","url":"file:///etc/passwd"}}`:                                        bad + `identity_provider.url: URL must use http or https scheme, got "file"`,
		`{"name":"n","audit_export":{"format":"splunk_hec","endpoint":"http://169.254.169.254/x"}}`:                          bad + "audit_export.endpoint: URL cannot target link-local address 169.254.169.254",
		`{"name":"n","webhooks":{"identity_url":"http://Metadata.google.internal"}}`:                                         bad + "webhooks.identity_url: URL cannot target cloud metadata endpoint Metadata.google.internal",
		`{"name":"n","audit_export":{"format":"syslog_cef","endpoint":"udp://siem:514"}}`:                                    "",
		`{"name":"n","policy":{"max_members":-1}}`:                                                                           bad + "policy: invalid max_members (must be integer 0-10000)",
		`{"name":"n","policy":{"allowed_ports":[0]}}`:                                                                        bad + "policy: invalid port number in allowed_ports (must be integer 1-65535)",
		`{"name":"n","policy":{"description":"` + strings.Repeat("x", 257) + `"}}`:                                           bad + "policy: policy description too long (max 256 chars)",
		`{"name":"n","join_rule":"invite"}`:                                                                                  bad + "enterprise feature: invite-only networks require the enterprise flag",
		`{"name":"Bad Name"}`:                                                                                                "provision network: network name must be lowercase alphanumeric with hyphens, start/end with alphanumeric",
		`{"name":"backbone"}`:                                                                                                `provision network: network name "backbone" is reserved`,
		`{"NAME":"n","Enterprise":true,"join_rule":"invite","roles":[{"External_ID":"x","role":"Admin"}]}`:                   "",
	} {
		r := parse(t, `{"type":"provision_network","blueprint":`+blueprint+`}`).Body.(*protocol.ProvisionNetwork)
		got := ""
		e := r.Check()
		for _, target := range r.Targets() {
			if e == nil {
				e = protocol.CheckURL(target.Field, target.URL)
			}
		}
		if e != nil {
			got = e.Text
		}
		if got != want {
			t.Errorf("%s: %q, want %q", blueprint, got, want)
		}
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://x": "", "http://127.0.0.1:8080/p?q": "", "http://10.0.0.1": "", "http://[::1]:1": "",
		"ftp://x": `f: URL must use http or https scheme, got "ftp"`, "x": `f: URL must use http or https scheme, got ""`, "https://": "f: URL must have a host",
		"http://[fe80::1%25eth0]/": "f: URL cannot target link-local address fe80::1%eth0", "http://[::ffff:169.254.1.1]": "f: URL cannot target link-local address ::ffff:169.254.1.1",
		"http://[ff02::1]": "f: URL cannot target link-local address ff02::1", "http://ec2.internal.": "f: URL cannot target cloud metadata endpoint ec2.internal.",
		"http://a\x00": "f: invalid URL: net/url: invalid control character in URL",
	} {
		got := ""
		if e := protocol.CheckURL("f", raw); e != nil {
			got = e.Text
		}
		if got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}

func TestUploadParts(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]string{
		``: "", `,"upload_id":"u","part":1,"parts":1`: "", `,"part":1,"parts":2`: "upload_id required with part and parts",
		`,"upload_id":"u"`: "invalid parts: want 1 to 1024", `,"upload_id":"u","part":3,"parts":2`: "invalid part: want 1 to 2, the number of parts",
		`,"upload_id":"u","parts":2`: "invalid part: want 1 to 2, the number of parts", `,"upload_id":"u","part":1,"parts":1025`: "invalid parts: want 1 to 1024",
		`,"upload_id":"` + strings.Repeat("u", 65) + `","part":1,"parts":2`: "invalid upload_id: too long (max 64 bytes)",
	} {
		for _, command := range []string{"directory_sync", "provision_network"} {
			got := ""
			if e := parse(t, `{"type":"`+command+`"`+fields+`}`).Body.Validate(); e != nil {
				got = e.Text
			}
			if got != want {
				t.Errorf("%s %s: %q, want %q", command, fields, got, want)
			}
		}
	}
}
