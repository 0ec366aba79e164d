// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// NamespaceVariable is set in the environment of a process that has a network
// namespace that the run made, see InNamespace.
const NamespaceVariable = "PILOT_LAB_NAMESPACE"

// NoNamespace says why this process cannot make a network namespace; empty when it can.
func NoNamespace() string {
	if os.Geteuid() != 0 {
		return "needs root"
	}
	for _, name := range []string{"iptables", "ip"} {
		if _, err := exec.LookPath(name); err != nil {
			return "needs " + name + " (Debian: apt-get install iptables iproute2)"
		}
	}
	return ""
}

// NoFirewall says why packets cannot be filtered by the kernel here; empty when
// they can: it takes root, iptables, and a namespace in which nobody else lives.
func NoFirewall() string {
	if why := NoNamespace(); why != "" {
		return why
	}
	if os.Getenv(NamespaceVariable) == "" {
		return "needs its own network namespace"
	}
	return ""
}

// Filter has the kernel treat packets from one slot's address to another's, in
// that direction, by an iptables rule, until undo is called. 0 is any address.
func (l *Lab) Filter(from, to int, rule ...string) (undo func() error, err error) {
	match := []string{"INPUT", "-p", "tcp"}
	if from != 0 {
		match = append(match, "-s", l.net.host(from))
	}
	if to != 0 {
		match = append(match, "-d", l.net.host(to))
	}
	match = append(match, rule...)
	l.Note("filter", "", "%s", strings.Join(match, " "))
	if err := iptables("-A", match); err != nil {
		return nil, err
	}
	return func() error { return iptables("-D", match) }, nil
}

// filterTimeout bounds one call of iptables.
const filterTimeout = 10 * time.Second

func iptables(verb string, rule []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), filterTimeout)
	defer cancel()
	return tool(ctx, "iptables", append([]string{"-w", verb}, rule...)...)
}

// loopbackHost is the address from which the relays of the clients' sites dial.
const loopbackHost = "127.0.0.1"

// FilterClients has the kernel treat packets of clients to a slot's wire port.
func (l *Lab) FilterClients(slot int, rule ...string) (undo func() error, err error) {
	return l.Filter(0, slot, append([]string{"-s", loopbackHost}, rule...)...)
}

// InNamespace runs cmd in a new network namespace. NoNamespace says
// whether that is possible.
func InNamespace(cmd *exec.Cmd) error {
	cmd.Env = append(os.Environ(), NamespaceVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM}
	runtime.LockOSThread() // the end of the thread that forked counts as the end of the parent
	defer runtime.UnlockOSThread()
	return cmd.Run()
}

// PrepareNamespace brings up loopback in the namespace that this process was
// started in.
func PrepareNamespace(ctx context.Context) error {
	if err := tool(ctx, "ip", "link", "set", "lo", "up"); err != nil {
		return fmt.Errorf("the new network namespace is of no use: %w", err)
	}
	return nil
}
