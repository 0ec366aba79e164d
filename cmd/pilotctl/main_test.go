// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"pilotctl": main})
}

// TestScripts runs testdata/script against a registry made of a map, behind
// the real front door.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup:         setup,
		Cmds:          map[string]func(ts *testscript.TestScript, neg bool, args []string){"exits": exits},
	})
}

func setup(env *testscript.Env) error {
	registry := newRegistry()
	addr, err := serve(env, server.Config{Backend: registry})
	if err != nil {
		return err
	}
	certPEM, keyPEM, err := server.SelfSigned(time.Now())
	if err != nil {
		return err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return err
	}
	pin, err := server.Pin(cert)
	if err != nil {
		return err
	}
	secured, err := serve(env, server.Config{Backend: registry, TLS: server.TLSConfig(cert)})
	if err != nil {
		return err
	}
	if err := os.WriteFile(env.WorkDir+"/ca.pem", certPEM, 0o600); err != nil {
		return err
	}
	home := env.WorkDir + "/home"
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	env.Setenv("HOME", home)
	env.Setenv("GORACE", "atexit_sleep_ms=0") // with -race every process would sleep a second
	env.Setenv("PILOT_ADDR", addr)
	env.Setenv("PLAIN_ADDR", addr)
	env.Setenv("TLS_ADDR", secured)
	env.Setenv("TLS_PIN", pin)
	env.Setenv("DEAD_ADDR", deadAddr())
	return nil
}

func serve(env *testscript.Env, cfg server.Config) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s, err := server.New(cfg)
	if err != nil {
		return "", err
	}
	go s.Serve(l)
	env.Defer(func() { s.Close() })
	return l.Addr().String(), nil
}

// deadAddr is an address where nobody listens.
func deadAddr() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// exits runs a command and checks its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s exited with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// TestHelp compares the help of every command with a golden file.
func TestHelp(t *testing.T) {
	t.Parallel()
	const file = "testdata/help.golden"
	var out strings.Builder
	var walk func(path []string, cmd *cobra.Command)
	walk = func(path []string, cmd *cobra.Command) {
		if cmd.Name() == "completion" || cmd.Name() == "help" { // cobra's own
			return
		}
		out.WriteString("$ " + strings.Join(append([]string{"pilotctl"}, path...), " ") + " --help\n")
		var text strings.Builder
		if code := run(append(path, "--help"), &text, &text); code != failure.OK {
			t.Errorf("%v --help exits with %d", path, code)
		}
		help := text.String()
		if len(path) > 0 { // the global flags are shown once
			help, _, _ = strings.Cut(help, "\nGlobal Flags:")
		}
		out.WriteString(help + "\n")
		for _, sub := range cmd.Commands() {
			walk(append(append([]string(nil), path...), sub.Name()), sub)
		}
	}
	walk(nil, (&app{}).rootCommand())
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(golden) != out.String() {
		t.Errorf("the help has changed; look at it and run: go test ./cmd/pilotctl -run TestHelp -update")
	}
}

// Every leaf says what it does, checks its arguments and completes no files by accident.
func TestCommandsAreComplete(t *testing.T) {
	t.Parallel()
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd.Short == "" {
			t.Errorf("%s: no help", cmd.CommandPath())
		}
		if !cmd.HasSubCommands() && (cmd.Args == nil || cmd.ValidArgsFunction == nil) {
			t.Errorf("%s: arguments are not checked or not completed", cmd.CommandPath())
		}
	}
	walk((&app{}).rootCommand())
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"2031-02-03T04:05:06Z": "2031-02-03T04:05:06Z", "2031-02-03T04:05:06+01:00": "2031-02-03T04:05:06+01:00",
		"36h": "2030-01-02T12:00:00Z", "30d": "2030-01-31T00:00:00Z",
		"": "", "0d": "", "-5h": "", "soon": "", "5": "", "99999d": "",
	} {
		got, err := expiry(text, now)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// A member without a leader answers after its request timeout, and late when
// it is busy. A caller that has hung up by then learns that nobody knows.
func TestAMemberWithoutALeaderIsHeard(t *testing.T) {
	t.Setenv("PILOT_ADDR", "127.0.0.1:1,127.0.0.1:2")
	g := &globalFlags{timeout: 15 * time.Second}
	r, err := g.reach(&cobra.Command{})
	if err != nil {
		t.Fatal(err)
	}
	o, err := g.clientOptions(&cobra.Command{}, r)
	if err != nil {
		t.Fatal(err)
	}
	if requestTimeout := 7 * time.Second; o.Timeout < requestTimeout+2*time.Second || o.Timeout > g.timeout-2*time.Second {
		t.Errorf("a reply is awaited for %v of %v", o.Timeout, g.timeout)
	}
}
