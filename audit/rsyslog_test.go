// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// A real syslog server has every event in its file, as it was sent.
func TestRsyslog(t *testing.T) {
	bin, err := exec.LookPath("rsyslogd")
	if err != nil {
		t.Skip("rsyslogd is not installed: syslog was only tested against this package's own receivers")
	}
	dir := t.TempDir()
	port, out := filepath.Join(dir, "port"), filepath.Join(dir, "out")
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, `
global(workDirectory=%q maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off")
module(load="imtcp")
template(name="t" type="string" string="%%pri%% %%app-name%% %%msgid%% %%msg%%\n")
ruleset(name="r") { action(type="omfile" file=%q template="t" asyncWriting="off" flushOnTXEnd="on") }
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName=%q ruleset="r")
`, dir, out, port), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bin, "-n", "-f", conf, "-i", filepath.Join(dir, "pid"))
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	await := func(path string, lines int) string {
		for end := time.Now().Add(30 * time.Second); ; {
			b, err := os.ReadFile(path)
			if err == nil && len(b) > 0 && strings.Count(string(b), "\n") >= lines {
				return string(b)
			}
			if time.Now().After(end) {
				t.Fatalf("%s has %q, %v", path, b, err)
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	x := openSyslogSink(t, "tcp://127.0.0.1:"+strings.TrimSpace(await(port, 0)), nil)
	events := some(1, 200)
	events[3].Attrs[2].Value = nasty
	events[4].Attrs = []protocol.AuditAttr{{Key: "name", Value: strings.Repeat("ä", 10_000)}}
	deliver(t, x, events)
	var want strings.Builder
	for i := range events {
		fmt.Fprintf(&want, "108 pilot-registry member.kicked %s\n", fullCEF(&events[i]))
	}
	if got := await(out, len(events)); got != want.String() {
		t.Errorf("rsyslog has\n%s\nwant\n%s", got, want.String())
	}
}
