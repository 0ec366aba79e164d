// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// memberLog is what a process has printed so far.
type memberLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *memberLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *memberLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// awaitText waits until a process has printed what matches.
func (l *memberLog) awaitText(t *testing.T, want string) {
	t.Helper()
	await(t, "a log with "+want, func() (any, bool) {
		text := l.String()
		return text, regexp.MustCompile(want).MatchString(text)
	})
}

// startMember starts a member with settings of a file and returns its log.
func startMember(t *testing.T, o *operator, dir, peer, config string, prepare func(*exec.Cmd)) (*exec.Cmd, *memberLog) {
	t.Helper()
	out := &memberLog{}
	cmd := exec.Command(o.path, "run", "--config", config, "--data-dir", dir, "--peer-listen", peer, "--peer-advertise", peer, "--ops-listen", "")
	cmd.Stdout, cmd.Stderr = out, out
	prepare(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // it may have ended
			_ = cmd.Wait()
		}
	})
	return cmd, out
}

// writeCertificate puts a new certificate into files.
func writeCertificate(t *testing.T, certFile, keyFile string) (pin string) {
	t.Helper()
	cert, key, err := server.SelfSigned(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string][]byte{certFile: cert, keyFile: key} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if pin, err = server.Pin(pair); err != nil {
		t.Fatal(err)
	}
	return pin
}

func servedPin(t *testing.T, addr string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the pin is what is looked at
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return server.PinDER(conn.ConnectionState().PeerCertificates[0].Raw)
}

// SIGHUP takes the log level and the certificate as they are now, says what
// has to wait, changes nothing when the file is wrong, and ends nobody. Files
// of the certificate that change are read without it. systemd
// is told that the member serves, is alive, and stops.
func TestSIGHUPReloadsAndSystemdIsTold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	o := &operator{t: t, ctx: ctx, path: binary(t, "cmd/pilot-registry")}
	home := t.TempDir()
	dir, peer, wire := filepath.Join(home, "m1"), freeAddr(t), freeAddr(t)
	config, certFile, keyFile := filepath.Join(home, "config.yaml"), filepath.Join(home, "cert.pem"), filepath.Join(home, "key.pem")
	o.run("init", "--data-dir", dir, "--peer-advertise", peer)
	settings := func(level, more string) {
		text := fmt.Sprintf("log: {level: %s}\nwire: {listen: %q, tls: files, tls_cert: %s, tls_key: %s%s}\n", level, wire, certFile, keyFile, more)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := writeCertificate(t, certFile, keyFile)
	settings("warn", "")
	socket := filepath.Join(home, "notify")
	told, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer told.Close()
	member, log := startMember(t, o, dir, peer, config, func(cmd *exec.Cmd) {
		cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=300000")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // as a service, without a terminal
	})
	for _, want := range []string{"READY=1", "STATUS=ready", "WATCHDOG=1", "WATCHDOG=1"} {
		awaitTold(ctx, t, told, want)
	}
	if got := servedPin(t, wire); got != first {
		t.Errorf("the certificate served has pin %s, want %s", got, first)
	}
	second := writeCertificate(t, certFile, keyFile)
	settings("debug", ", idle_timeout: 7m")
	hangUp := func() {
		t.Helper()
		if err := member.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	hangUp()
	log.awaitText(t, `reloaded: log_level=debug changed_at_the_next_start=wire.idle_timeout`)
	if got := servedPin(t, wire); got != second {
		t.Errorf("after a reload the certificate served has pin %s, want %s", got, second)
	}
	plain, err := net.Dial("tcp", wire)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, err := plain.Write([]byte("no TLS at all, as long as a record\n")); err != nil {
		t.Fatal(err)
	}
	log.awaitText(t, `\[DEBUG\] pilot-registry.wire: connection ended`)
	if err := os.WriteFile(config, []byte("log: {level: loud}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hangUp()
	log.awaitText(t, `reload: the settings cannot be read, so nothing has changed.*loud`)
	if got := servedPin(t, wire); got != second {
		t.Errorf("after a reload in vain the certificate served has pin %s, want %s", got, second)
	}
	certificateIsChanged(t, log, wire, certFile, keyFile)
	if err := member.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	awaitTold(ctx, t, told, "STOPPING=1")
	if err := member.Wait(); err != nil {
		t.Errorf("the member ended with %v\n%s", err, log)
	}
}

// certificateIsChanged changes the files without a signal: to something that
// cannot be used, then to another certificate.
func certificateIsChanged(t *testing.T, log *memberLog, wire, certFile, keyFile string) {
	t.Helper()
	inUse := servedPin(t, wire)
	if err := os.WriteFile(certFile, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	log.awaitText(t, `a certificate was changed and cannot be used: error="wire.tls_cert: .*the certificate in use stays`)
	if got := servedPin(t, wire); got != inUse {
		t.Errorf("with files that cannot be used the certificate served has pin %s, want %s", got, inUse)
	}
	third := writeCertificate(t, certFile, keyFile)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	log.awaitText(t, "certificate read again: listener=wire ends="+pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	if got := servedPin(t, wire); got != third {
		t.Errorf("with other files the certificate served has pin %s, want %s", got, third)
	}
}

// awaitTold reads what is said to systemd until a line is there.
func awaitTold(ctx context.Context, t *testing.T, told *net.UnixConn, want string) {
	t.Helper()
	deadline, _ := ctx.Deadline()
	_ = told.SetReadDeadline(deadline)
	buf := make([]byte, 4096)
	for {
		n, err := told.Read(buf)
		if err != nil {
			t.Fatalf("systemd was not told %s: %v", want, err)
		}
		for line := range strings.Lines(string(buf[:n])) {
			if strings.TrimSpace(line) == want {
				return
			}
		}
	}
}

// terminal makes a terminal; closing the first file closes it.
func terminal(t *testing.T) (own, theirs *os.File) {
	t.Helper()
	own, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("skipped: no terminal can be made here: %v", err)
	}
	t.Cleanup(func() { _ = own.Close() }) // closed before
	if err := unix.IoctlSetPointerInt(int(own.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(own.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Skipf("skipped: no terminal can be made here: %v", err)
	}
	return own, theirs
}

// The terminal of a member is closed: it stops as with SIGTERM, leadership
// handed over, instead of dying in the middle.
func TestHangUpStopsAMemberInGoodOrder(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	o := &operator{t: t, ctx: ctx, path: binary(t, "cmd/pilot-registry")}
	home := t.TempDir()
	dir, peer, config := filepath.Join(home, "m1"), freeAddr(t), filepath.Join(home, "config.yaml")
	o.run("init", "--data-dir", dir, "--peer-advertise", peer)
	if err := os.WriteFile(config, []byte("wire: {listen: \"127.0.0.1:0\", tls: \"off\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	own, theirs := terminal(t)
	member, log := startMember(t, o, dir, peer, config, func(cmd *exec.Cmd) {
		cmd.Stdin = theirs
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	})
	theirs.Close()
	o.await(regexp.MustCompile(`ready: true`), "status", "--data-dir", dir)
	if err := own.Close(); err != nil {
		t.Fatal(err)
	}
	if err := member.Wait(); err != nil || !strings.Contains(log.String(), "finishing what is in flight") {
		t.Errorf("a member whose terminal was closed ended with %v\n%s", err, log)
	}
}
