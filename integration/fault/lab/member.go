// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Member is a member of the cluster, or was one.
type Member struct {
	// Name is unique in the lab and never used again.
	Name string
	// Slot is the place it has on the network; a replacement takes it over.
	Slot int
	// ID is the cluster's name of it.
	ID       string
	Dir      string
	LogPath  string
	NonVoter bool

	lab    *Lab
	binary string
	args   []string
	env    []string

	// Guarded by the lab's lock.
	runs     int
	proc     *process
	wanted   bool // it should be up
	lost     bool // removed or damaged: never started again
	dark     bool // without power
	removed  time.Time
	paused   bool
	expected map[string]string // end → who foresaw it
}

// newMember prepares names and arguments; its data directory is made by init or join.
func (l *Lab) newMember(slot int, nonvoter bool) *Member {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.named++
	name := fmt.Sprintf("m%d", l.named)
	m := &Member{Name: name, Slot: slot, NonVoter: nonvoter, lab: l, binary: l.Binary, expected: map[string]string{},
		Dir: filepath.Join(l.Dir, name), LogPath: filepath.Join(l.Dir, name+".log")}
	m.args = []string{"run", "--data-dir", m.Dir, "--wire-listen", l.net.addr(slot, wirePort), "--wire-tls", "off",
		"--peer-listen", l.net.addr(slot, peerPort), "--peer-advertise", l.net.addr(slot, peerPort),
		"--ops-listen", l.net.addr(slot, opsPort), "--rate-limits-enabled=false", "--raft-stable-for", "200ms"}
	for _, kv := range l.Set {
		if path, value, ok := strings.Cut(kv, "="); ok {
			m.args = append(m.args, "--"+strings.NewReplacer(".", "-", "_", "-").Replace(path)+"="+value)
		}
	}
	return m
}

// readID learns the member's id from its data directory, and makes it one of the lab's.
func (m *Member) readID() error {
	raw, err := os.ReadFile(filepath.Join(m.Dir, "member.json"))
	if err != nil {
		return err
	}
	var file struct {
		MemberID string `json:"member_id"`
	}
	if err := json.Unmarshal(raw, &file); err != nil || file.MemberID == "" {
		return fmt.Errorf("%s: no member id: %w", m.Name, err)
	}
	m.ID = file.MemberID
	m.lab.mu.Lock()
	defer m.lab.mu.Unlock()
	m.lab.members = append(m.lab.members, m)
	return nil
}

// Wire is the member's own address for clients, past all relays.
func (m *Member) Wire() string { return m.lab.net.addr(m.Slot, wirePort) }

// Ops is the address of health, metrics and status.
func (m *Member) Ops() string { return m.lab.net.addr(m.Slot, opsPort) }

// socket is short: the kernel allows 107 bytes.
func (m *Member) socket() string { return filepath.Join(m.lab.Dir, m.Name+".sock") }

// Start runs a member's process with its own environment.
func (l *Lab) Start(m *Member, env ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.lost {
		return fmt.Errorf("%s does not belong to the cluster any more", m.Name)
	}
	m.wanted = true
	if m.running() {
		return nil
	}
	if m.dark {
		return fmt.Errorf("%s has no power", m.Name)
	}
	if err := m.launch(append(env, l.faultEnv(m)...)); err != nil {
		return err
	}
	l.events.add("start", m.Name, "run %d, pid %d", m.runs, m.proc.cmd.Process.Pid)
	return l.linksTo(m.Slot, true)
}

// faultEnv tells a member where its peers are to be dialled and where it is controlled.
func (l *Lab) faultEnv(m *Member) []string {
	routes := map[string]string{}
	for slot := 1; slot < MaxSlots; slot++ {
		if slot != m.Slot {
			routes[l.net.addr(slot, peerPort)] = l.links.peers[[2]int{m.Slot, slot}].Addr()
		}
	}
	raw, err := json.Marshal(routes)
	if err != nil { // strings always encode
		panic(err)
	}
	env := []string{"PILOT_FAULT_REACHED=" + l.reachedFile(), "PILOT_FAULT_SOCKET=" + m.socket(), "PILOT_FAULT_ROUTES=" + string(raw)}
	if !l.NoJournal {
		env = append(env, "PILOT_FAULT_JOURNAL="+m.journalPath(m.runs+1))
	}
	return env
}

func (m *Member) running() bool {
	if m.proc == nil {
		return false
	}
	select {
	case <-m.proc.exited:
		return false
	default:
		return true
	}
}

// Running reports whether the member's process is there, paused or not.
func (l *Lab) Running(m *Member) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return m.running()
}

// Up lists the members of today whose processes run and are not paused.
func (l *Lab) Up() []*Member {
	var out []*Member
	for _, m := range l.Members() {
		l.mu.Lock()
		up := m.running() && !m.paused
		l.mu.Unlock()
		if up {
			out = append(out, m)
		}
	}
	return out
}

// PID is the member's process id, 0 when it is down.
func (l *Lab) PID(m *Member) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !m.running() {
		return 0
	}
	return m.proc.cmd.Process.Pid
}

// linksTo lets the relays in front of a slot listen, or refuse.
func (l *Lab) linksTo(slot int, up bool) error {
	var errs []error
	for _, set := range []map[[2]int]*Link{l.links.peers, l.links.sites} {
		for key, link := range set {
			switch {
			case key[1] != slot:
			case up:
				errs = append(errs, link.Up())
			default:
				link.Down()
			}
		}
	}
	return errors.Join(errs...)
}

// ended notes the end of a process and starts it again where a supervisor would.
func (l *Lab) ended(m *Member, p *process, e Exit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := e.End()
	e.Expected = m.expected[name]
	if e.Expected == "" {
		e.Expected = m.expected[Aborted]
	}
	l.exits = append(l.exits, e)
	l.events.add("exit", m.Name, "%s (%s)", e, e.Expected)
	if m.proc == p {
		m.paused = false
		_ = l.linksTo(m.Slot, false) // closing listeners does not fail
	}
	if name == Damaged {
		m.wanted = false
	}
	if m.wanted && !l.StayDown && (name == Stalled || name == Killed) {
		l.wg.Add(1)
		go l.startAgain(m)
	}
}

// supervisorPause is how long a supervisor waits before it starts a member again.
const supervisorPause = 300 * time.Millisecond

func (l *Lab) startAgain(m *Member) {
	defer l.wg.Done()
	select {
	case <-l.closed:
		return
	case <-time.After(supervisorPause):
	}
	l.mu.Lock()
	again := m.wanted && !m.lost
	l.mu.Unlock()
	if !again {
		return
	}
	if err := l.Start(m); err != nil {
		l.Note("error", m.Name, "not started again: %v", err)
	}
}

// SetBinary makes the member's next starts use another binary.
func (l *Lab) SetBinary(m *Member, path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m.binary = path
}

// command runs a command of the members' binary to its end.
func (l *Lab) command(ctx context.Context, binary string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), "HOME="+l.Dir) // what init keeps for pilotctl is of this lab
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Tails are the ends of the members' logs, for error messages.
func (l *Lab) Tails() string {
	var out strings.Builder
	for _, m := range l.Everyone() {
		fmt.Fprintf(&out, "--- %s\n%s\n", m.Name, tail(m.LogPath, 0))
	}
	return out.String()
}
