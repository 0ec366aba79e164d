// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// terminal is a terminal as a program has it, and what the program writes there.
func terminal(t *testing.T) (program *os.File, screen io.Reader) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there is no terminal to try with: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Skipf("there is no terminal to try with: %v", err)
	}
	program, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there is no terminal to try with: %v", err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return program, master
}

// slowRegistry answers a request when it is let go.
func slowRegistry(t *testing.T) (addr string, answer func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	goOn := make(chan struct{})
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		<-goOn
		_, _ = conn.Write(protocol.AppendFrame(nil, []byte(`{"type":"error","error":"node 7: node not found","code":"not_found"}`)))
		_, _ = io.Copy(io.Discard, conn)
	}()
	return l.Addr().String(), func() { close(goOn) }
}

// A person at a terminal sees that a command which takes long works on; a
// script sees only what it asked for.
func TestWaitingIsShownOnATerminal(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	addr, answer := slowRegistry(t)
	stderr, screen := terminal(t)
	var stdout strings.Builder
	ended := make(chan int, 1)
	go func() { ended <- run([]string{"lookup", "7", "--addr", addr, "--timeout", "1m"}, &stdout, stderr) }()
	seen := bufio.NewReader(screen)
	if text := readTo(t, seen, "[1s]"); !strings.Contains(text, "lookup") {
		t.Errorf("the screen shows %q", text)
	}
	answer()
	if text := readTo(t, seen, "node not found"); !strings.Contains(text, "\r") {
		t.Errorf("the error does not begin on a cleared line: %q", text)
	}
	if code := <-ended; code != 3 || stdout.String() != "" {
		t.Errorf("exit %d, stdout %q", code, stdout.String())
	}
}

// readTo reads until a text has come.
func readTo(t *testing.T, r *bufio.Reader, text string) string {
	t.Helper()
	var all strings.Builder
	for !strings.Contains(all.String(), text) {
		c, err := r.ReadByte()
		if err != nil {
			t.Fatalf("%v before %q came: %q", err, text, all.String())
		}
		all.WriteByte(c)
	}
	return all.String()
}

// A pipe that has seen enough ends what would follow for ever.
func TestTailEndsWithItsReader(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	s, err := server.New(server.Config{Backend: newRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(adminToken), 0o600); err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	ended := make(chan int, 1)
	go func() {
		ended <- run([]string{"audit", "tail", "--after", "0", "--addr", l.Addr().String(), "--admin-token-file", token}, write, io.Discard)
	}()
	lines := bufio.NewReader(read)
	for range auditLast - auditFirst + 1 {
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	_ = read.Close()
	select {
	case code := <-ended:
		if code != 0 {
			t.Errorf("exit %d", code)
		}
	case <-time.After(time.Minute):
		t.Fatal("tail goes on without a reader")
	}
}
