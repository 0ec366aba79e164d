// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// The states of a check.
const (
	doctorOK   = "ok"
	doctorWarn = "warn"
	doctorFail = "fail"
)

// doctorCheck is one thing that was looked at, with what to do about it.
type doctorCheck struct {
	State string `json:"state"`
	Check string `json:"check"`
	Found string `json:"found"`
	Next  string `json:"next,omitempty"`
}

type doctorReport struct {
	Checks []doctorCheck `json:"checks"`
}

func (r *doctorReport) add(state, check, next, found string, args ...any) {
	if state == doctorOK {
		next = ""
	}
	r.Checks = append(r.Checks, doctorCheck{State: state, Check: check, Found: clean(fmt.Sprintf(found, args...)), Next: clean(next)})
}

// doctorCommand looks for what is wrong, from this machine to the cluster.
func doctorCommand(a *app) *cobra.Command {
	return &cobra.Command{Use: "doctor", Short: "look for what is wrong and say what to do", Args: exactly(0), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Look for what is wrong and say what to do: the settings and the identity on this machine, each address, and with\n" +
			"the admin token the cluster, its sinks and the identity provider.\n\nThe exit code is 1 if a check fails.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, done, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer done()
			r := s.examine()
			if err := s.printChecks(r); err != nil {
				return err
			}
			failed := 0
			for _, c := range r.Checks {
				if c.State == doctorFail {
					failed++
				}
			}
			if failed == 0 {
				return nil
			}
			return &failure.Error{Err: fmt.Errorf("%s failed", plural(failed, "check")), Code: protocol.CodeInternal, Exit: failure.Failed,
				Hint: "do what is said under next, then run pilotctl doctor again"}
		}}
}

func (s *session) printChecks(r *doctorReport) error {
	if !s.printer().ForPeople() {
		return s.printValue(r, &doctorReport{})
	}
	for _, c := range r.Checks {
		output.Paragraph(s.stdout, fmt.Sprintf("%-6s", c.State), c.Check+": "+c.Found)
		if c.Next != "" {
			output.Paragraph(s.stdout, "      next: ", c.Next)
		}
	}
	return nil
}

// examine looks at everything in turn. What cannot be asked is a finding.
func (s *session) examine() *doctorReport {
	defer waiting(s.app, "looking")()
	r := &doctorReport{}
	s.examineSettings(r)
	if s.examineAddresses(r) {
		s.examineIdentity(r)
		s.examineCluster(r)
	}
	return r
}

func (s *session) examineSettings(r *doctorReport) {
	from := "no context"
	if s.reach.context != nil {
		from = "context " + s.reach.name
	}
	r.add(doctorOK, "settings", "", "%s, %s", from, plural(len(s.opts.Addrs), "address"))
	if c := s.reach.config; c.readable && c.AdminToken != "" {
		r.add(doctorWarn, "settings", "chmod 600 "+c.path, "%s holds the admin token and can be read by others", c.path)
	}
	if addr := plainRemote(s.opts); addr != "" {
		r.add(doctorWarn, "encryption", "pilotctl context set NAME --addr "+addr+" --tls-pin PIN, with the pin that pilot-registry init prints", "%s is reached without TLS", addr)
		return
	}
	r.add(doctorOK, "encryption", "", "TLS, or this machine")
}

// examineAddresses asks every address for itself: a dead one is not noticed
// while another answers.
func (s *session) examineAddresses(r *doctorReport) (any bool) {
	clusters := map[string]string{}
	for _, addr := range s.opts.Addrs {
		opts := s.opts
		opts.Addrs, opts.AdminToken, opts.RetryFor, opts.Timeout = []string{addr}, "", time.Second, 3*time.Second
		one, err := client.Open(opts)
		if err != nil {
			r.add(doctorFail, "member "+addr, "correct the address with --addr, or: pilotctl context set", "%v", err)
			continue
		}
		began := time.Now()
		id, err := one.ClusterID(s.ctx, client.WithSigner(nil))
		one.Close()
		if err != nil {
			r.add(doctorFail, "member "+addr, hint(client.CodeOf(err), &client.Error{Code: client.CodeOf(err)}), "%v", err)
			continue
		}
		any = true
		clusters[id.ClusterID] = addr
		r.add(doctorOK, "member "+addr, "", "answers in %v", time.Since(began).Round(time.Millisecond))
	}
	if len(clusters) > 1 {
		r.add(doctorFail, "addresses", "give the addresses of one cluster: pilotctl context set", "the addresses are of %d clusters", len(clusters))
	}
	return any
}

func (s *session) examineIdentity(r *doctorReport) {
	const next = "pilotctl register"
	if s.identity == nil || s.identity.NodeID() == 0 {
		r.add(doctorWarn, "identity", next, "%s holds no registered node", s.identityPath)
		return
	}
	if info, err := os.Stat(s.identityPath); err == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		r.add(doctorFail, "identity", "chmod 600 "+s.identityPath, "the key can be read by others")
	}
	id := s.identity.NodeID()
	node, err := s.client.Lookup(s.ctx, id)
	switch {
	case err != nil:
		r.add(doctorFail, "identity", next, "node %d: %v", id, err)
		return
	case node.PublicKey != s.identity.PublicKey().String():
		r.add(doctorFail, "identity", "pilotctl rotate-key, if a rotation was begun; else give the right file with --identity", "node %d has another key", id)
		return
	}
	r.add(doctorOK, "identity", "", "node %d has this key", id)
	info, err := s.client.GetKeyInfo(s.ctx, id)
	if err != nil || info.ExpiresAt == "" {
		return
	}
	at, err := time.Parse(time.RFC3339, info.ExpiresAt)
	if left := time.Until(at); err == nil && left < 7*24*time.Hour {
		r.add(doctorWarn, "key", "pilotctl key set-expiry", "it ends at %s", info.ExpiresAt)
	}
}

func (s *session) examineCluster(r *doctorReport) {
	if s.opts.AdminToken == "" {
		r.add(doctorWarn, "cluster", "give --admin-token-file to have the cluster looked at as well", "not looked at without the admin token")
		return
	}
	status, err := s.client.ClusterStatus(s.ctx)
	if err != nil {
		r.add(doctorFail, "cluster", hint(client.CodeOf(err), &client.Error{Code: client.CodeOf(err)}), "%v", err)
		return
	}
	state := doctorWarn
	if status.LeaderID == "" || !status.Ready {
		state = doctorFail
	}
	for i, problem := range status.Problems {
		next := "pilotctl cluster status"
		if i < len(status.NextSteps) {
			next = status.NextSteps[i]
		}
		r.add(state, "cluster", next, "%s", problem)
	}
	if len(status.Problems) == 0 {
		r.add(doctorOK, "cluster", "", "%s, leader %.8s", plural(len(status.Members), "member"), status.LeaderID)
	}
	for _, m := range status.Members {
		if m.Version != "" && m.Version != protocol.Version {
			r.add(doctorWarn, "version", "upgrade the older of the two", "member %.8s has version %s, pilotctl %s", m.ID, m.Version, protocol.Version)
		}
	}
	s.examineOutside(r)
}

// examineOutside looks at what the cluster talks to.
func (s *session) examineOutside(r *doctorReport) {
	if sinks, err := s.client.AuditSinkList(s.ctx); err == nil {
		for i := range sinks.Sinks {
			switch k := &sinks.Sinks[i]; {
			case k.Stalled != "" || k.Error != "":
				r.add(doctorWarn, "sink "+k.Name, "pilotctl audit sinks -o wide", "%s", k.Error)
			case k.DLQSize > 0:
				r.add(doctorWarn, "sink "+k.Name, "pilotctl webhook dlq list --sink "+k.Name, "%s", plural(k.DLQSize, "dead letter"))
			default:
				r.add(doctorOK, "sink "+k.Name, "", "%s behind", plural(int(k.Lag), "event"))
			}
		}
	}
	idp, err := client.Call[protocol.GetIDPConfigReply](s.ctx, s.client, "get_idp_config", &protocol.GetIDPConfig{})
	if err == nil && idp.KeysError != "" {
		r.add(doctorWarn, "identity provider", "pilotctl idp show", "%s", idp.KeysError)
	}
}
