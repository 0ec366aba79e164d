// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// rsyslogd is the path of Debian's syslog server; a test without it is skipped.
func rsyslogd(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"rsyslogd", "/usr/sbin/rsyslogd"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("rsyslogd is not installed (Debian: apt-get install rsyslog)")
	return ""
}

// rsyslogTLS reports whether Debian's syslog server can take TLS.
func rsyslogTLS() bool {
	found, err := filepath.Glob("/usr/lib/*/rsyslog/lmnsd_ossl.so")
	return err == nil && len(found) > 0
}

// rsyslogInputs are how rsyslog is told to listen, by the scheme of a sink.
// TLS is configured by the files ca.pem, cert.pem and key.pem of its folder.
var rsyslogInputs = map[string]string{
	"tcp": `module(load="imtcp") input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="$DIR/port" ruleset="r")`,
	"udp": `module(load="imudp") input(type="imudp" address="127.0.0.1" port="$PORT" ruleset="r")`,
	"tls": `global(defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="$DIR/ca.pem"
  defaultNetstreamDriverCertFile="$DIR/cert.pem" defaultNetstreamDriverKeyFile="$DIR/key.pem")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="$DIR/port" ruleset="r")`,
}

// startRsyslog runs a syslog server that writes the messages that it gets to a
// file, and returns the endpoint for a sink, and the file.
func startRsyslog(t *testing.T, scheme string, ca *authority) (endpoint, out string) {
	t.Helper()
	bin, dir := rsyslogd(t), t.TempDir()
	if scheme == "tls" {
		if !rsyslogTLS() {
			t.Skip("rsyslogd cannot take TLS here (Debian: apt-get install rsyslog-openssl)")
		}
		ca.files(dir)
	}
	portFile, conf := filepath.Join(dir, "port"), filepath.Join(dir, "conf")
	out = filepath.Join(dir, "out")
	port := freeUDPPort(t)
	input := strings.NewReplacer("$DIR", dir, "$PORT", port).Replace(rsyslogInputs[scheme])
	if err := os.WriteFile(conf, fmt.Appendf(nil, `
global(workDirectory=%q maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off")
template(name="t" type="string" string="%%app-name%% %%msgid%% %%msg%%\n")
ruleset(name="r") { action(type="omfile" file=%q template="t" asyncWriting="off" flushOnTXEnd="on") }
%s
`, dir, out, input), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-n", "-f", conf, "-i", filepath.Join(dir, "pid"))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("rsyslogd said: %s", said.String())
		}
	})
	if scheme != "udp" {
		await(t, "rsyslogd to listen", func() (any, bool) {
			raw, err := os.ReadFile(portFile)
			port = strings.TrimSpace(string(raw))
			return err, port != ""
		})
	}
	return scheme + "://127.0.0.1:" + port, out
}

// freeUDPPort is a port that nobody has right now.
func freeUDPPort(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, port, err := net.SplitHostPort(c.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// tlsSyslog takes what arrives over TLS.
type tlsSyslog struct {
	mu  sync.Mutex
	got strings.Builder
}

func (s *tlsSyslog) listen(t *testing.T, ca *authority) (addr string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", ca.tls())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.read(bufio.NewReader(conn))
		}
	}()
	return l.Addr().String()
}

// read takes messages with their length in front (RFC 5425).
func (s *tlsSyslog) read(r *bufio.Reader) {
	for {
		var n int
		if _, err := fmt.Fscanf(r, "%d ", &n); err != nil {
			return
		}
		message := make([]byte, n)
		if _, err := io.ReadFull(r, message); err != nil {
			return
		}
		s.mu.Lock()
		fmt.Fprintf(&s.got, "%s\n", message)
		s.mu.Unlock()
	}
}

func (s *tlsSyslog) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

// arrives waits until a syslog receiver has every recorded event after one, in order.
func (s *sender) arrives(what string, received func() string, after uint64) {
	s.t.Helper()
	await(s.t, what, func() (any, bool) {
		got := received()
		rest := got
		entries := s.send(fmt.Sprintf(`{"type":"get_audit_log","admin_token":"$TOKEN","after_seq":%d,"limit":1000}`, after))["entries"].([]any)
		for _, e := range entries {
			e := e.(map[string]any)
			header := fmt.Sprintf("CEF:0|Pilot|Registry|1.0|%s|%s|%d|", e["action"], e["action"], severity(e["action"].(string)))
			_, line, found := strings.Cut(rest, header)
			line, rest, _ = strings.Cut(line, "\n")
			if !found || !strings.Contains(line, fmt.Sprintf(" externalId=%v ", e["seq"])) {
				return fmt.Sprintf("%v in\n%s", e, got), false
			}
		}
		return got, len(entries) > 0
	})
}

// severity is what the product page says.
func severity(action string) int {
	switch {
	case strings.Contains(action, "kick"), strings.Contains(action, "delete"):
		return 6
	case strings.Contains(action, "promote"), strings.Contains(action, "demote"):
		return 4
	}
	return 3
}

// Events reach Debian's syslog server over TCP, UDP and TLS, and another
// receiver over TLS, as CEF.
func TestExampleSyslog(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	c := harness.Start(t, harness.Options{Set: []string{"outbound.ca_file=" + ca.File}})
	w := follower(t, c)
	sink := func(w *sender, name, endpoint string) {
		w.t.Helper()
		w.send(fmt.Sprintf(`{"type":"audit_sink_put","admin_token":"$TOKEN","name":%q,"kind":"export","format":"syslog_cef","endpoint":%q}`, name, endpoint))
	}
	t.Run("tls", func(t *testing.T) {
		w := w.in(t)
		receiver := &tlsSyslog{}
		sink(w, "tls", "tls://"+receiver.listen(t, ca))
		configured := w.newest()
		promoted(t, w)
		w.arrives("the events over TLS", receiver.text, configured)
	})
	for _, scheme := range []string{"tcp", "udp", "tls"} {
		t.Run("rsyslog/"+scheme, func(t *testing.T) {
			w := w.in(t)
			endpoint, out := startRsyslog(t, scheme, ca)
			if scheme == "udp" {
				awaitUDP(t, endpoint, out) // what is sent before it listens is lost
			}
			sink(w, "rsyslog-"+scheme, endpoint)
			configured := w.newest()
			w.changes(5)
			network := w.send(`{"type":"create_network","admin_token":"$TOKEN","name":"gone","join_rule":"open","node_id":1}`)["network_id"]
			w.send(fmt.Sprintf(`{"type":"delete_network","admin_token":"$TOKEN","network_id":%v,"node_id":1}`, network))
			w.arrives("the events at rsyslogd", func() string {
				raw, _ := os.ReadFile(out) // not there yet
				return string(raw)
			}, configured)
		})
	}
}

// awaitUDP sends messages to a syslog server until one is in its file.
func awaitUDP(t *testing.T, endpoint, out string) {
	t.Helper()
	c, err := net.Dial("udp", strings.TrimPrefix(endpoint, "udp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	await(t, "rsyslogd to listen", func() (any, bool) {
		_, err := c.Write([]byte("<108>1 - - test - ready - ready")) // refused while nobody listens
		_, missing := os.Stat(out)
		return err, missing == nil
	})
}

// newest is the number of the newest event.
func (s *sender) newest() uint64 {
	s.t.Helper()
	entries := s.send(`{"type":"get_audit_log","admin_token":"$TOKEN","limit":1}`)["entries"].([]any)
	return uint64(entries[0].(map[string]any)["seq"].(float64))
}
