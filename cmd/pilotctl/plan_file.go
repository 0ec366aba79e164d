// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// planFile is what plan --out keeps: what was looked at, not its contents,
// which hold secrets.
type planFile struct {
	// Kind is blueprint or directory.
	Kind string `json:"plan"`
	// File is the SHA-256 of what was planned, options included.
	File     string `json:"sha256"`
	Network  string `json:"network"`
	Revision uint64 `json:"revision"`
	// Config is the revision of the registry-wide configuration, of blueprints.
	Config  uint64   `json:"config_revision,omitempty"`
	Actions []string `json:"actions"`
}

func newPlan(kind string, planned any, network string, revision uint64, actions []string) (*planFile, error) {
	sum, err := fingerprint(planned)
	return &planFile{Kind: kind, File: sum, Network: network, Revision: revision, Actions: actions}, err
}

func fingerprint(planned any) (string, error) {
	encoded, err := json.Marshal(planned)
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:]), err
}

func (p *planFile) save(path string) error {
	encoded, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(encoded, '\n'), 0o600)
}

// revisionFlags are the ways to say on what state a change was decided.
type revisionFlags struct {
	revision uint64
	plan     string
}

func addRevision(cmd *cobra.Command) *revisionFlags {
	f := &revisionFlags{}
	cmd.Flags().Uint64Var(&f.revision, "revision", 0, "refuse when the network is not at this `revision` any more")
	cmd.Flags().StringVar(&f.plan, "plan", "", "carry out this plan `file`: refuse when the file or the network changed since")
	must(cmd.RegisterFlagCompletionFunc("revision", cobra.NoFileCompletions))
	return f
}

// change is how a change is asked for.
type change struct {
	dryRun     bool
	ifRevision *uint64
	// ifConfig is the same for the registry-wide configuration.
	ifConfig *uint64
	// confirm is how many members may be removed, planned how many the plan
	// removes that is carried out.
	confirm, planned *uint32
}

func (f *revisionFlags) change(cmd *cobra.Command, kind string, planned any) (change, error) {
	wanted, given, err := f.wanted(cmd, kind, planned)
	if !given || err != nil {
		return change{}, err
	}
	c := change{ifRevision: &wanted.Revision}
	if wanted.Config != 0 {
		c.ifConfig = &wanted.Config
	}
	if f.plan != "" {
		n := uint32(len(removed(wanted.Actions, actionDisabled, actionUnlisted)))
		c.planned = &n
	}
	return c, nil
}

// wanted has the revisions to insist on; given is false for any.
func (f *revisionFlags) wanted(cmd *cobra.Command, kind string, planned any) (p planFile, given bool, err error) {
	if f.plan == "" {
		return planFile{Revision: f.revision}, cmd.Flags().Changed("revision"), nil
	}
	if cmd.Flags().Changed("revision") {
		return p, false, usagef(cmd, "--revision and --plan exclude each other")
	}
	data, err := os.ReadFile(f.plan)
	if err != nil {
		return p, false, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil || p.Kind != kind {
		return p, false, usagef(cmd, "%s is not a plan for this; make one with: pilotctl %s plan --out", f.plan, kind)
	}
	sum, err := fingerprint(planned)
	if err == nil && sum != p.File {
		err = &failure.Error{Err: fmt.Errorf("what is to be applied is not what %s was made for", f.plan), Code: protocol.CodeConflict, Exit: failure.Conflict,
			Hint: "plan again and look at the new plan"}
	}
	return p, true, err
}

func addOut(cmd *cobra.Command) *string {
	out := cmd.Flags().String("out", "", "keep the plan in this `file`, for --plan")
	return out
}

// plan shows what would change, keeps it when asked to, and ends with
// errPending when something would.
func (s *session) plan(kind string, planned any, out string, typed any, look func() (json.RawMessage, error)) error {
	raw, err := look()
	if err != nil {
		return err
	}
	var reply struct {
		Name      string   `json:"name"`
		NetworkID uint16   `json:"network_id"`
		Revision  uint64   `json:"revision"`
		Config    uint64   `json:"config_revision"`
		Actions   []string `json:"actions"`
		// Changes of a directory that are not actions.
		PreAssigned int `json:"pre_assigned"`
		Hostnames   int `json:"hostnames"`
	}
	if err := json.Unmarshal(raw, &reply); err != nil {
		return unreadable(err, raw)
	}
	if out != "" {
		p, err := newPlan(kind, planned, cmp.Or(reply.Name, fmt.Sprint(reply.NetworkID)), reply.Revision, reply.Actions)
		if err == nil {
			p.Config = reply.Config
			err = p.save(out)
		}
		if err != nil {
			return err
		}
		s.say("plan kept in %s; carry it out with --plan %s", out, out)
	}
	if err := s.print(raw, typed); err != nil {
		return err
	}
	if pending(reply.Actions) || reply.PreAssigned > 0 || reply.Hostnames > 0 {
		return errPending
	}
	return nil
}

// pending reports whether actions change anything: finding the network does not.
func pending(actions []string) bool {
	return slices.ContainsFunc(actions, func(action string) bool { return !strings.HasPrefix(action, "found existing network ") })
}
