// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/cmd/internal/contexts"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// surveyEvery is how often dev looks at its members.
const surveyEvery = 100 * time.Millisecond

// readyMember and readyDocument are the ready file.
type readyMember struct {
	ID   string `json:"id"`
	Wire string `json:"wire"`
	Peer string `json:"peer"`
	Ops  string `json:"ops"`
	// PID is left out while the process does not run: kill 0 would end the
	// process group of whoever reads the file.
	PID int `json:"pid,omitempty"`
}

type readyDocument struct {
	Members []readyMember `json:"members"`
	// Nodes is the same list under its former name, for scripts that read it.
	Nodes  []readyMember `json:"nodes"`
	Leader string        `json:"leader"`
}

// survey asks every member. The leader is the member that leads and serves
// reads of its term, as itself says; complete is true when all members serve
// and have a vote, so that any one of them can be lost.
func (d *dev) survey(ctx context.Context) (leader string, complete bool) {
	var term uint64
	ready, voters := 0, 0
	for i := range d.members {
		s, err := d.status(ctx, i)
		if err != nil || s.MemberID != memberID(d.dir(i)) {
			continue // not there, or a stranger on our port
		}
		if s.Ready {
			ready++
		}
		if s.Ready && s.LeaderID == s.MemberID && s.Term >= term {
			leader, term, voters = s.MemberID, s.Term, 0
			for _, m := range s.Members {
				if m.Suffrage == "voter" {
					voters++
				}
			}
		}
	}
	return leader, ready == len(d.members) && voters == len(d.members)
}

var surveyClient = &http.Client{Timeout: time.Second}

func (d *dev) status(ctx context.Context, i int) (s protocol.ClusterStatusReply, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.addr(opsPortOffset, i)+"/status", nil)
	if err != nil {
		return s, err
	}
	resp, err := surveyClient.Do(req)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// watch keeps the ready file current until ctx ends.
func (d *dev) watch(ctx context.Context) error {
	var h heralded
	for {
		leader, complete := d.survey(ctx)
		if err := d.herald(&h, leader, complete); err != nil {
			return err
		}
		if !pause(ctx, surveyEvery) {
			return nil
		}
	}
}

// heralded is what the ready file and the terminal have been told.
type heralded struct {
	greeted bool
	doc     []byte
	leader  string
}

// herald writes what has changed to the ready file. The first time all members
// must serve. Afterwards a process that ended is news also without a leader.
func (d *dev) herald(h *heralded, leader string, complete bool) error {
	if !h.greeted && (leader == "" || !complete || !d.allRun()) {
		return d.deadMember()
	}
	if leader == "" { // an election alone is not news
		if same, err := json.Marshal(d.document(h.leader)); err != nil || bytes.Equal(same, h.doc) {
			return err
		}
	}
	doc, err := json.Marshal(d.document(leader))
	if err != nil {
		return err
	}
	if !bytes.Equal(doc, h.doc) {
		if err := d.announce(doc); err != nil {
			return err
		}
		h.doc, h.leader = doc, leader
	}
	if !h.greeted {
		h.greeted = true
		d.greet(leader)
	}
	return nil
}

// allRun reports whether every member is a process of this dev.
func (d *dev) allRun() bool {
	for _, m := range d.members {
		if m.pid() == 0 {
			return false
		}
	}
	return true
}

func (d *dev) document(leader string) readyDocument {
	doc := readyDocument{Leader: leader}
	for i, m := range d.members {
		doc.Members = append(doc.Members, readyMember{ID: memberID(m.dir), Wire: d.addr(0, i), Peer: d.addr(peerPortOffset, i),
			Ops: d.addr(opsPortOffset, i), PID: m.pid()})
	}
	doc.Nodes = doc.Members
	return doc
}

func memberID(dir string) string {
	var m struct {
		MemberID string `json:"member_id"`
	}
	raw, err := os.ReadFile(filepath.Join(dir, "member.json"))
	if err != nil || json.Unmarshal(raw, &m) != nil {
		return ""
	}
	return m.MemberID
}

// announce replaces the ready file atomically.
func (d *dev) announce(doc []byte) error {
	if d.readyFile == "" {
		return nil
	}
	tmp := d.readyFile + ".tmp"
	if err := os.WriteFile(tmp, append(doc, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, d.readyFile)
}

// greet prints what to try next and writes the settings of clients to a file
// that a shell can read.
func (d *dev) greet(leader string) {
	reached := contexts.Context{AdminTokenFile: d.adminFile}
	for i := range d.size {
		reached.Addrs = append(reached.Addrs, d.addr(0, i))
	}
	env := "export PILOT_ADDR=" + strings.Join(reached.Addrs, ",") + "\n"
	if !d.noTLS {
		pin, err := wirePin(d.dir(0))
		if err != nil {
			fmt.Fprintln(d.out, "warning:", err)
		}
		reached.TLSPin = pin
		env += "export PILOT_TLS_PIN=" + pin + "\n"
	}
	if d.adminFile != "" {
		path, err := filepath.Abs(d.adminFile)
		if err != nil {
			path = d.adminFile
		}
		env += "export PILOT_ADMIN_TOKEN=\"$(cat '" + path + "')\"\n"
	}
	file := filepath.Join(d.dataDir, "env")
	if err := os.WriteFile(file, []byte(env), 0o600); err != nil {
		fmt.Fprintln(d.out, "warning:", err)
	}
	enter := ". " + file
	if current := remember(d.out, d.context, reached); current == d.context && current != "" {
		enter = "pilotctl context show      (it is in use; or: . " + file + ")"
	} else if current != "" {
		enter += "      (or: pilotctl context use " + d.context + ")"
	}
	fmt.Fprintf(d.out, "cluster of %d members is up\n", d.size)
	for i, n := range d.document(leader).Members {
		mark := ""
		if n.ID == leader {
			mark = "  leader"
		}
		fmt.Fprintf(d.out, "  n%d  clients %s  ops http://%s  pid %d%s\n", i+1, n.Wire, n.Ops, n.PID, mark)
	}
	where := ""
	if d.adminFile != "" {
		where = " (the admin token is in " + d.adminFile + ")"
	}
	killed := "it comes back"
	if d.restart == "never" {
		killed = "it stays down"
	}
	fmt.Fprintf(d.out, `
Try, in another terminal:
  %s
  bin/pilotctl --identity alice.json register --hostname alice
  bin/pilotctl --identity bob.json --addr %s register --hostname bob
  bin/pilotctl cluster status
  or open http://%s/ in a browser%s
  kill -9 PID        (any pid above: nothing acknowledged is lost, and %s)
Ctrl-C stops all members. Logs: %s/n*.log
`, enter, d.addr(0, d.size-1), d.addr(opsPortOffset, 0), where, killed, d.dataDir)
}
