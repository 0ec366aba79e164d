// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

var update = flag.Bool("update", false, "append new rows to testdata/codes.golden")

// page is the list of features, class by class.
var page = map[protocol.PageClass]string{
	protocol.PageAdmin: "create_network, set_network_enterprise, get_audit_log, set_webhook, get_webhook, get_webhook_dlq, set_identity_webhook, set_external_id, " +
		"get_identity, provision_network, set_audit_export, get_audit_export, set_idp_config, get_idp_config, get_provision_status, directory_sync, " +
		"directory_status, validate_token",
	protocol.PageSignatureEnterprise: "invite_to_network, respond_invite, kick_member, promote_member, demote_member, transfer_ownership, set_network_policy, set_key_expiry",
	protocol.PageSignatureOrAdmin: "join_network, leave_network, delete_network, rename_network, resolve, deregister, set_visibility, set_hostname, set_tags, " +
		"set_task_exec",
	protocol.PageSignature: "report_trust, revoke_trust, request_handshake, poll_handshakes, respond_handshake, heartbeat, punch, rotate_key",
	protocol.PageOpen: "register, lookup, list_networks, list_nodes, check_trust, resolve_hostname, beacon_register, beacon_list, get_member_role, " +
		"get_network_policy, get_key_info, poll_invites, update_polo_score, set_polo_score, get_polo_score",
	protocol.PageReplication: "subscribe_replication",
}

func TestPageCommands(t *testing.T) {
	t.Parallel()
	total := 0
	for class, count := range map[protocol.PageClass]int{
		protocol.PageAdmin: 18, protocol.PageSignatureEnterprise: 8, protocol.PageSignatureOrAdmin: 10,
		protocol.PageSignature: 8, protocol.PageOpen: 15, protocol.PageReplication: 1,
	} {
		want := strings.Split(page[class], ", ")
		var got []string
		for _, c := range protocol.Commands {
			if c.Page == class {
				got = append(got, c.Name)
			}
		}
		sort.Strings(want)
		sort.Strings(got)
		if !reflect.DeepEqual(got, want) || len(got) != count {
			t.Errorf("class %s has %d rows\n got %v\nwant %v", class, len(got), got, want)
		}
		total += len(got)
	}
	if total != 60 {
		t.Errorf("%d commands of the page, want 60", total)
	}
}

// TestCodesAreAppendOnly compares with a golden file, because codes are kept
// in replicated logs: a line that is there may never change or go.
func TestCodesAreAppendOnly(t *testing.T) {
	t.Parallel()
	const file = "testdata/codes.golden"
	var lines []string
	codes, names := map[protocol.Code]bool{}, map[string]bool{}
	for i, c := range protocol.Commands {
		if c.Code == 0 || codes[c.Code] || names[c.Name] {
			t.Errorf("%s: code %d or name is missing or used twice", c.Name, c.Code)
		}
		codes[c.Code], names[c.Name] = true, true
		if c.Code >= 0x8000 {
			t.Errorf("%s: code %d is in the range of internal kinds", c.Name, c.Code)
		}
		if row := &protocol.Commands[i]; protocol.ByName(c.Name) != row || protocol.ByCode(c.Code) != row || protocol.Must(c.Name) != row {
			t.Errorf("%s is not found", c.Name)
		}
		lines = append(lines, fmt.Sprintf("%d %s", c.Code, c.Name))
	}
	got := strings.Join(lines, "\n") + "\n"
	golden, err := os.ReadFile(file)
	if err != nil && !(*update && os.IsNotExist(err)) {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got, string(golden)) {
		t.Fatalf("a row of %s was changed, moved or removed; codes are append-only", file)
	}
	if got == string(golden) {
		return
	}
	if !*update {
		t.Fatalf("new rows are not in %s: run go test ./protocol -update", file)
	}
	if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownRows(t *testing.T) {
	t.Parallel()
	if protocol.ByName("fly") != nil || protocol.ByName("") != nil || protocol.ByCode(0) != nil || protocol.ByCode(60000) != nil {
		t.Error("a row that is not there was found")
	}
	defer func() {
		if recover() == nil {
			t.Error("Must did not panic")
		}
	}()
	protocol.Must("fly")
}

var fieldPattern = regexp.MustCompile(`\{([^}]*)\}`)

// wireFields are the fields of a request type that a client may set.
func wireFields(b protocol.Body) map[string]reflect.StructField {
	out := map[string]reflect.StructField{}
	t := reflect.TypeOf(b)
	if t.Kind() != reflect.Pointer {
		return out
	}
	t = t.Elem()
	for i := range t.NumField() {
		f := t.Field(i)
		name, ok := f.Tag.Lookup("wire")
		if !ok {
			name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
		}
		if f.IsExported() && name != "" && name != "-" {
			out[name] = f
		}
	}
	return out
}

func TestRowsAreComplete(t *testing.T) {
	t.Parallel()
	for i := range protocol.Commands {
		c := &protocol.Commands[i]
		fail := func(format string, args ...any) { t.Errorf("%s: %s", c.Name, fmt.Sprintf(format, args...)) }
		if c.Group == "" || c.Auth == "" || c.Mode == "" || c.Feature != "" && !slices.ContainsFunc(protocol.Features, func(f protocol.Feature) bool { return f.Name == c.Feature }) {
			fail("group, auth, mode or level is missing")
		}
		if c.Doc == "" || strings.ContainsAny(c.Doc, "\n") || strings.HasSuffix(c.Doc, ".") || strings.ToLower(c.Doc[:1]) != c.Doc[:1] {
			fail("doc %q should be one lower case line without a full stop", c.Doc)
		}
		for _, e := range c.Events {
			if _, ok := protocol.Events[e]; !ok {
				fail("event %q is not in Events", e)
			}
		}
		if c.Mode == protocol.ModeWrite && len(c.Events) == 0 {
			fail("a write without audit event")
		}
		if (c.Challenge == "") != (c.Signer == "") {
			fail("challenge %q but signer %q", c.Challenge, c.Signer)
		}
		switch c.Auth {
		case protocol.AuthSignature, protocol.AuthSignatureOrAdmin, protocol.AuthRole:
			if c.Auth == protocol.AuthRole && len(c.Roles) == 0 {
				t.Errorf("%s asks for a role and names none", c.Name)
			}
			if c.Challenge == "" {
				fail("signed without a challenge")
			}
		case protocol.AuthAdmin, protocol.AuthReplication:
			if c.Challenge != "" {
				fail("a challenge that nobody signs")
			}
		}
		checkTypes(t, c)
	}
}

// checkTypes checks a row against its request and reply types.
func checkTypes(t *testing.T, c *protocol.Command) {
	body := c.New()
	if reflect.TypeOf(body).Kind() != reflect.Pointer {
		t.Errorf("%s: no request type", c.Name)
		return
	}
	fields := wireFields(body)
	for _, m := range fieldPattern.FindAllStringSubmatch(c.Challenge, -1) {
		if computed, is := body.(protocol.Challenger); is {
			if _, ok := computed.ChallengeField(m[1]); ok {
				continue
			}
		}
		f, ok := fields[m[1]]
		if !ok {
			t.Errorf("%s: challenge field %s is not in %T", c.Name, m[1], body)
			continue
		}
		switch f.Type.Kind() {
		case reflect.String, reflect.Uint16, reflect.Uint32:
		default:
			t.Errorf("%s: challenge field %s cannot be rendered", c.Name, m[1])
		}
	}
	if _, ok := fields[c.Signer]; c.Signer != "" && !ok {
		t.Errorf("%s: signer %s is not in %T", c.Name, c.Signer, body)
	}
	if c.Mode == protocol.ModeStream {
		return
	}
	reply := reflect.TypeOf(c.NewReply())
	if reply.Kind() != reflect.Pointer || reply.Elem().Kind() != reflect.Struct {
		t.Errorf("%s: no reply type", c.Name)
		return
	}
	checkReply(t, c.Name, reply.Elem())
}

// checkReply holds replies to the wire's order of members, and keeps them from
// having one called error, which clients take for a failure.
func checkReply(t *testing.T, command string, reply reflect.Type) {
	var names []string
	for i := range reply.NumField() {
		if reply.Field(i).Anonymous {
			continue // what a later version adds
		}
		name, _, _ := strings.Cut(reply.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	for _, name := range names {
		if name == "error" && command == "validate_token" {
			continue // the protocol has it: why a token is not verified
		}
		if name == "" || name == "error" || name == "code" {
			t.Errorf("%s: reply member %q", command, name)
		}
	}
	if !sort.StringsAreSorted(names) {
		t.Errorf("%s: reply members are not in alphabetical order: %v", command, names)
	}
	if f, ok := reply.FieldByName("Type"); !ok || f.Tag.Get("json") != "type" {
		t.Errorf("%s: reply without type", command)
	}
}

func TestReplyTypes(t *testing.T) {
	t.Parallel()
	for _, c := range protocol.Commands {
		want := c.Name + "_ok"
		switch c.Name {
		case "get_webhook_dlq":
			want = "webhook_dlq_ok"
		case "subscribe_replication":
			want = "replication_snapshot"
		}
		if got := c.ReplyType(); got != want {
			t.Errorf("%s: %s", c.Name, got)
		}
	}
}

// TestRateClasses compares with docs/protocol/README.md#rate-limits: nothing else is limited but
// the beacons, which anybody may announce and list.
func TestRateClasses(t *testing.T) {
	t.Parallel()
	want := map[string]protocol.RateClass{
		"register": protocol.RateRegistration, "resolve": protocol.RateResolve, "heartbeat": protocol.RateHeartbeat,
		"lookup": protocol.RateQuery, "resolve_hostname": protocol.RateQuery, "list_nodes": protocol.RateQuery,
		"beacon_register": protocol.RateBeacon, "beacon_list": protocol.RateQuery,
	}
	for _, c := range protocol.Commands {
		if c.Rate != want[c.Name] {
			t.Errorf("%s: rate class %q, want %q", c.Name, c.Rate, want[c.Name])
		}
	}
}

func TestWrites(t *testing.T) {
	t.Parallel()
	for mode, want := range map[protocol.Mode]bool{
		protocol.ModeWrite: true, protocol.ModeReadThenWrite: true, protocol.ModeRead: false,
		protocol.ModeStream: false, protocol.ModeLocal: false, protocol.ModeCluster: false,
	} {
		if got := (&protocol.Command{Mode: mode}).Writes(); got != want {
			t.Errorf("%s: %v", mode, got)
		}
	}
}

func TestCommandNames(t *testing.T) {
	t.Parallel()
	names := protocol.CommandNames()
	if len(names) != len(protocol.Commands) || !sort.StringsAreSorted(names) {
		t.Errorf("%v", names)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	pattern := regexp.MustCompile(`^[a-z_]+\.[a-z_]+$`)
	for action, class := range protocol.Events {
		if !pattern.MatchString(action) {
			t.Errorf("action %q", action)
		}
		if class != protocol.ClassSecurity && class != protocol.ClassActivity || class.String() == "unknown" {
			t.Errorf("%s: class %v", action, class)
		}
	}
	if protocol.EventClass(9).String() != "unknown" {
		t.Error("class 9 has a name")
	}
}
