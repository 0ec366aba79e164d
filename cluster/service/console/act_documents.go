// SPDX-License-Identifier: Apache-2.0

package console

import (
	"encoding/csv"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// documentActions carry out what a document says. The registry itself plans
// them, at a revision, and refuses them when the revision has moved.
var documentActions = []action{
	{Path: "apply-blueprint", Title: "Apply a blueprint", Verb: "Apply", Wire: "provision_network",
		Lead: "A blueprint describes a network, in YAML or JSON. The network is made when there is none of its name.", Fields: blueprintFields, Plan: planBlueprint},
	{Path: "sync-directory", Title: "Apply a directory listing", Verb: "Apply", Wire: "directory_sync",
		Lead: "People get the roles of the listing, and those who are disabled in it leave the network.", Fields: directoryFields, Plan: planDirectory},
}

func blueprintFields(*visit, values) ([]field, *protocol.Error) {
	return []field{
		{Name: "text", Label: "Blueprint", Kind: kindLines, Hint: "name: prod-fleet"},
		{Name: "file", Label: "or a file", Kind: kindFile},
	}, nil
}

// document reads YAML, of which JSON is a part. What the document says is read
// by the command, which refuses what it does not know.
func document(text string) (any, *protocol.Error) {
	if strings.TrimSpace(text) == "" {
		return nil, protocol.Errorf(protocol.CodeInvalid, "choose a file, or put the text into the form")
	}
	var out any
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "it can be read neither as YAML nor as JSON: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return out, nil
}

// dryRun asks the registry what a command would do. It is sent as it is: what no
// leader confirms is no plan.
func dryRun[T any](v *visit, command string, fields map[string]any) (*T, *protocol.Error) {
	asked := map[string]any{"dry_run": true}
	for name, value := range fields {
		asked[name] = value
	}
	reply := v.send(command, asked)
	if reply.Err != nil {
		return nil, reply.Err
	}
	body, err := protocol.ReplyAs[T](reply.Body)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInternal, "%s: %v", command, err)
	}
	return body, nil
}

func planBlueprint(v *visit, in values) (*plan, *protocol.Error) {
	blueprint, e := document(in["text"])
	if e != nil {
		return nil, e
	}
	fields := map[string]any{"blueprint": blueprint}
	would, e := dryRun[protocol.ProvisionNetworkReply](v, "provision_network", fields)
	if e != nil {
		return nil, e
	}
	fields["if_revision"], fields["if_config_revision"] = would.Revision, would.ConfigRevision
	p := &plan{Subject: fmt.Sprintf("Network %s (%d)", would.Name, would.NetworkID), Fields: fields, Effects: would.Actions, Warnings: would.Warnings,
		Back: fmt.Sprintf("/networks/%d", would.NetworkID), Command: "pilotctl blueprint apply blueprint.yaml"}
	if would.Created {
		p.Subject, p.Back = "Network "+would.Name+", which is new", "/networks?q="+would.Name
		p.Changes = differences(blueprint, &protocol.ProvisionedNetwork{})
		return p, nil
	}
	have, e := v.provisioned(would.NetworkID)
	if e != nil {
		return nil, e
	}
	p.Changes = differences(blueprint, have)
	p.Facts = append(p.Facts, fact{"Planned at revision", count(would.Revision)})
	return p, nil
}

func directoryFields(v *visit, in values) ([]field, *protocol.Error) {
	f, _, e := v.networkField(in)
	return []field{f,
		{Name: "text", Label: "Listing", Kind: kindLines, Hint: "external_id,role,disabled"},
		{Name: "file", Label: "or a file", Kind: kindFile, Hint: "CSV with a line of names, YAML or JSON"},
		{Name: "remove_unlisted", Label: "Remove members that are not in the listing", Kind: kindCheck},
	}, e
}

// listing reads a directory listing: CSV whose first line has external_id among
// its names, or YAML or JSON, an object with entries or the entries alone.
func listing(text string) (fields map[string]any, e *protocol.Error) {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if strings.Contains(strings.ToLower(first), "external_id") && !strings.ContainsAny(first, ":{[") {
		entries, e := table(text)
		return map[string]any{"entries": entries}, e
	}
	read, e := document(text)
	if e != nil {
		return nil, e
	}
	switch doc := read.(type) {
	case []any:
		return map[string]any{"entries": doc}, nil
	case map[string]any:
		for name := range doc {
			if name != "entries" && name != "remove_unlisted" && name != "network_id" {
				return nil, protocol.Errorf(protocol.CodeInvalid, "unknown field %s: a listing has entries, remove_unlisted and network_id", protocol.Quote(name))
			}
		}
		return doc, nil
	}
	return nil, protocol.Errorf(protocol.CodeInvalid, "want a list of entries, or an object with entries")
}

func table(text string) ([]any, *protocol.Error) {
	in := csv.NewReader(strings.NewReader(strings.TrimSpace(text)))
	if first, _, _ := strings.Cut(text, "\n"); strings.Count(first, ";") > strings.Count(first, ",") {
		in.Comma = ';'
	}
	rows, err := in.ReadAll()
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "the table cannot be read: %v", err)
	}
	entries := []any{}
	for _, row := range rows[1:] {
		entry := map[string]any{}
		for i, name := range rows[0] {
			name = strings.TrimSpace(name)
			if _, twice := entry[name]; twice {
				return nil, protocol.Errorf(protocol.CodeInvalid, "the column %s is there twice", protocol.Quote(name))
			}
			entry[name] = row[i]
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

func planDirectory(v *visit, in values) (*plan, *protocol.Error) {
	n, e := v.network(in)
	if e != nil {
		return nil, e
	}
	fields, e := listing(in["text"])
	if e != nil {
		return nil, e
	}
	if id, given := fields["network_id"]; given && fmt.Sprint(id) != fmt.Sprint(n.ID) {
		return nil, protocol.Errorf(protocol.CodeInvalid, "the listing is for network %v, not for network %d", id, n.ID)
	}
	if in.yes("remove_unlisted") {
		fields["remove_unlisted"] = true
	}
	p := ofNetwork(n, fields)
	would, e := dryRun[protocol.DirectorySyncReply](v, "directory_sync", fields)
	if e != nil {
		return nil, e
	}
	fields["if_revision"] = would.Revision
	p.Effects, p.Warnings = would.Actions, would.Warnings
	if would.NextCursor != "" {
		p.Warnings = append(p.Warnings, "The plan is longer than is shown here. The whole of it: pilotctl directory plan FILE --network "+fmt.Sprint(n.ID))
	}
	for _, c := range []struct {
		what string
		n    uint32
	}{{"Listed and members", would.Mapped}, {"Listed and not members", would.Unmapped}, {"Roles that change", would.Updated}, {"Hostnames that change", would.Hostnames},
		{"Roles that wait for someone", would.PreAssigned}, {"Members that stay because an entry is nearly theirs", would.NearMisses}, {"Members that are removed", would.Disabled}} {
		p.Facts = append(p.Facts, fact{c.what, count(c.n)})
	}
	p.Facts = append(p.Facts, fact{"Planned at revision", count(would.Revision)})
	p.Command = fmt.Sprintf("pilotctl directory sync people.csv --network %d", n.ID)
	if fields["remove_unlisted"] == true {
		p.Command += " --remove-unlisted"
	}
	if would.Disabled > 0 { // their number is typed, and sent
		p.Type, fields["confirm_removals"] = fmt.Sprint(would.Disabled), would.Disabled
		p.Command += fmt.Sprintf(" --confirm-removals %d", would.Disabled)
	}
	return p, nil
}
