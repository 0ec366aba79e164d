// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

func allLoopback(addrs []string) bool {
	for _, a := range addrs {
		h, _, err := net.SplitHostPort(a)
		if err != nil {
			return false
		}
		if h == "localhost" {
			h = "127.0.0.1"
		}
		ip := net.ParseIP(h)
		if ip == nil || ip.To4() == nil || !ip.IsLoopback() {
			return false
		}
	}
	return true
}

// starter starts a fresh registry for a scenario.
type starter struct {
	command string        // of the shell
	members int           // how many addresses the command is given
	wait    time.Duration // until every address answers
	output  string        // file for the command's output
}

// run starts the command in its own process group and waits until every
// address answers list_networks. It returns how to stop it.
func (s *starter) run(r *Runner, sc *Scenario, out *os.File) (stop func(), err error) {
	addrs, err := freeAddrs(s.members)
	if err != nil {
		return nil, err
	}
	r.addrs = addrs
	dir, err := os.MkdirTemp("", "replay-*")
	if err != nil {
		return nil, err
	}
	tok := r.admin
	if slices.Contains(sc.Needs, "no-admin-token") {
		tok = ""
	}
	r.repl = ""
	if slices.Contains(sc.Needs, "replication-token") {
		r.repl = "replay-replication-token"
	}
	c := exec.Command("sh", "-c", s.command)
	c.Env = append(os.Environ(), "REPLAY_ADDR="+addrs[0], "REPLAY_ADDRS="+strings.Join(addrs, ","),
		"REPLAY_ADMIN_TOKEN="+tok, "REPLAY_REPLICATION_TOKEN="+r.repl, "REPLAY_DIR="+dir)
	if out != nil {
		c.Stdout, c.Stderr = out, out
	}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return awaitAnswers(c, dir, addrs, s.wait)
}

// awaitAnswers waits until a registry that has been started answers on every
// address. It ends one that does not.
func awaitAnswers(c *exec.Cmd, dir string, addrs []string, wait time.Duration) (func(), error) {
	exited := make(chan struct{})
	go func() {
		c.Wait()
		close(exited)
	}()
	stop := func() {
		syscall.Kill(-c.Process.Pid, syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(2 * time.Second):
		}
		syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		<-exited
		os.RemoveAll(dir)
	}
	deadline := time.Now().Add(wait)
	for _, a := range addrs {
		for !answers(a) {
			select {
			case <-exited:
				stop()
				return nil, fmt.Errorf("the -exec command ended before it answered")
			case <-time.After(10 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				stop()
				return nil, fmt.Errorf("no answer from %s within %v", a, wait)
			}
		}
	}
	return stop, nil
}

// freeAddrs finds loopback ports that nobody listens on.
func freeAddrs(n int) ([]string, error) {
	var out []string
	for i := 0; i < n; i++ {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		out = append(out, ln.Addr().String())
	}
	return out, nil
}

func answers(addr string) bool {
	c, err := dial(addr, "", time.Second)
	if err != nil {
		return false
	}
	defer c.c.Close()
	c.c.Write(frame([]byte(`{"type":"list_networks"}`)))
	v, err := c.readReply(2 * time.Second)
	m, ok := v.(map[string]any)
	return err == nil && ok && m["type"] == "list_networks_ok"
}
