// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// noted is a provisioner that answers from a script and notes what it was asked.
type noted struct {
	actions  []string
	revision uint64
	last     change
	listing  listing
	calls    int
}

func (n *noted) provision(_ *session, b *blueprint, c change) (json.RawMessage, error) {
	n.last = c
	n.calls++
	if c.ifRevision != nil && *c.ifRevision != n.revision {
		return nil, &failure.Error{Err: errors.New("the network is at another revision"), Code: protocol.CodeConflict, Exit: failure.Conflict}
	}
	return json.Marshal(provisionReply{Name: b.Name, NetworkID: 5, Revision: n.revision, Actions: n.actions})
}

func (n *noted) syncDirectory(_ *session, l *listing, c change) (json.RawMessage, error) {
	n.last, n.listing = c, *l
	n.calls++
	return json.Marshal(directoryReply{Mapped: 1, Disabled: 2, Revision: n.revision, Actions: n.actions})
}

// try runs a command line and checks its exit code.
func (n *noted) try(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	var out, errs strings.Builder
	if got := (&app{stdout: &out, stderr: &errs, provisioner: n}).run(args); got != want {
		t.Fatalf("%v: exit %d, want %d\n%s%s", args, got, want, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

func TestPlanAndApply(t *testing.T) {
	n := &noted{actions: []string{"found existing network 5 (lab)", "applied network policy"}, revision: 7}
	file, plan := write(t, "lab.yaml", "name: lab\njoin_token: secret-word\n"), t.TempDir()+"/plan"

	out, errs := n.try(t, failure.Pending, "blueprint", "plan", file, "--out", plan)
	if !strings.Contains(out, "  - applied network policy\n") || !n.last.dryRun || strings.Contains(errs, "error:") {
		t.Errorf("plan: %s%s%+v", out, errs, n.last)
	}
	kept, err := os.ReadFile(plan)
	if info, e := os.Stat(plan); err != nil || e != nil || info.Mode().Perm() != 0o600 || strings.Contains(string(kept), "secret-word") {
		t.Errorf("plan file: %v %v %s", err, e, kept)
	}

	n.try(t, failure.OK, "blueprint", "apply", file, "--plan", plan)
	if n.last.dryRun || n.last.ifRevision == nil || *n.last.ifRevision != 7 {
		t.Errorf("apply: %+v", n.last)
	}
	n.try(t, failure.OK, "provision", file)
	if n.last.ifRevision != nil {
		t.Errorf("without a plan: %+v", n.last)
	}
	n.try(t, failure.OK, "blueprint", "apply", file, "--revision", "7")

	n.revision = 8 // somebody else changed the network
	n.try(t, failure.Conflict, "blueprint", "apply", file, "--plan", plan)
	n.try(t, failure.Conflict, "blueprint", "apply", file, "--revision", "7")

	n.calls = 0
	other := write(t, "lab.yaml", "name: lab\nenterprise: true\n")
	if _, errs := n.try(t, failure.Conflict, "blueprint", "apply", other, "--plan", plan); !strings.Contains(errs, "is not what") {
		t.Error(errs)
	}
	n.try(t, failure.Usage, "blueprint", "apply", file, "--plan", plan, "--revision", "7")
	n.try(t, failure.Usage, "directory", "sync", write(t, "p.csv", "external_id\na\n"), "--network", "5", "--plan", plan)
	n.try(t, failure.Usage, "blueprint", "apply", file, "--plan", file)
	n.try(t, failure.Failed, "blueprint", "apply", file, "--plan", plan+"-none")
	n.try(t, failure.Usage, "blueprint", "apply", write(t, "bad.yaml", "name: Bad_Name\n"))
	if n.calls != 0 {
		t.Errorf("something was sent %d times", n.calls)
	}

	n.actions = n.actions[:1]
	n.try(t, failure.OK, "blueprint", "plan", file)
}

func TestDirectorySync(t *testing.T) {
	n := &noted{actions: []string{"disabled a (node 2)", "role b: member → admin (node 3)", "removed unlisted c (node 4)"}}
	file := write(t, "people.csv", "external_id,role\na,\nb,admin\n")

	n.try(t, failure.Usage, "directory", "plan", file) // no network
	n.try(t, failure.Pending, "directory", "plan", file, "--network", "5", "--remove-unlisted")
	if !n.last.dryRun || n.listing.NetworkID != 5 || !n.listing.RemoveUnlisted || len(n.listing.Entries) != 2 {
		t.Errorf("plan: %+v %+v", n.last, n.listing)
	}
	_, errs := n.try(t, failure.OK, "directory", "sync", file, "--network", "5", "--confirm-removals", "2")
	if !strings.Contains(errs, "removed 2 members from network 5: a (node 2), c (node 4)\n") || n.last.confirm == nil || *n.last.confirm != 2 {
		t.Errorf("sync: %s %+v", errs, n.last)
	}
	// The flag wins over the file; options of the file stay.
	inFile := write(t, "people.yaml", "network_id: 4\nremove_unlisted: true\nentries: [{external_id: a}]\n")
	n.try(t, failure.OK, "directory-sync", inFile, "--network", "5", "--confirm-removals", "2")
	if n.listing.NetworkID != 5 || !n.listing.RemoveUnlisted || n.last.dryRun {
		t.Errorf("file and flag: %+v %+v", n.listing, n.last)
	}
	n.actions = nil
	if _, errs := n.try(t, failure.OK, "directory", "plan", inFile); n.listing.NetworkID != 4 || strings.Contains(errs, "removed") {
		t.Errorf("file alone: %+v %s", n.listing, errs)
	}
}

// Nobody is removed for not being listed unless their number was given: what
// is listed may be cut off.
func TestUnlistedMembersGoOnlyByTheirNumber(t *testing.T) {
	n := &noted{actions: []string{"disabled a (node 2)", "removed unlisted c (node 4)"}}
	file := write(t, "people.csv", "external_id\na\n")
	sync := []string{"directory", "sync", file, "--network", "5", "--remove-unlisted"}
	for _, wrong := range [][]string{nil, {"--confirm-removals", "1"}, {"--confirm-removals", "3"}} {
		_, errs := n.try(t, failure.Conflict, append(sync[:len(sync):len(sync)], wrong...)...)
		if !strings.Contains(errs, "would remove 2 members in all, these for not being listed: c (node 4)\n") || !strings.Contains(errs, "--confirm-removals 2") || !n.last.dryRun {
			t.Errorf("%v: %s %+v", wrong, errs, n.last)
		}
	}
	n.try(t, failure.OK, append(sync[:len(sync):len(sync)], "--confirm-removals", "2")...)
	if n.last.dryRun {
		t.Errorf("%+v", n.last)
	}
	plan := t.TempDir() + "/plan"
	n.try(t, failure.Pending, "directory", "plan", file, "--network", "5", "--remove-unlisted", "--out", plan)
	n.try(t, failure.OK, append(sync[:len(sync):len(sync)], "--plan", plan)...)
	if n.last.dryRun || *n.last.confirm != 2 {
		t.Errorf("%+v", n.last)
	}
	n.actions = n.actions[:1] // only by name
	n.try(t, failure.OK, sync...)
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	limit, none := uint32(5), uint32(0)
	registry := &blueprint{Name: "lab", JoinRule: "open", Policy: &blueprintPolicy{MaxMembers: &limit, AllowedPorts: []uint16{80}},
		Roles:       []blueprintRole{{"alice@x", "owner"}, {"carl@x", "member"}},
		AuditExport: &blueprintAuditExport{Format: "json", Endpoint: "https://a"}}
	for name, test := range map[string]struct {
		file blueprint
		want []difference
	}{
		"silent":      {blueprint{}, []difference{}},
		"equal roles": {blueprint{Roles: []blueprintRole{{"carl@x", "member"}, {"Alice@X", "owner"}}}, []difference{}},
		"roles are the whole list": {blueprint{Roles: []blueprintRole{{"alice@x", "admin"}, {"bob@x", "member"}}},
			[]difference{{"roles.alice@x", "owner", "admin"}, {"roles.bob@x", "", "member"}, {"roles.carl@x", "member", ""}}},
		"settings": {blueprint{JoinRule: "invite", Enterprise: true, Policy: &blueprintPolicy{MaxMembers: &none}, AuditExport: &blueprintAuditExport{Format: "json", Endpoint: "https://b", Token: "t"}},
			[]difference{{"audit_export.endpoint", "https://a", "https://b"}, {"enterprise", "", "true"}, {"join_rule", "open", "invite"}, {"policy.max_members", "5", "0"}}},
	} {
		if got := differences(&test.file, registry); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
