// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// load reads the configuration as run does.
func load(t *testing.T, yaml string, args ...string) (*config, error) {
	t.Helper()
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	read := configFlags(flags)
	if yaml != "" {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return read()
}

func TestFlagsWinOverEnvironmentOverFile(t *testing.T) {
	t.Setenv("PILOT_REGISTRY_RATE_LIMITS_QUERY", "222")
	t.Setenv("PILOT_REGISTRY_RATE_LIMITS_RESOLVE", "222")
	c, err := load(t, "rate_limits:\n  registration: 111\n  query: 111\n  resolve: 111\nraft:\n  heartbeat_timeout: 3s\n", "--rate-limits-resolve", "333")
	if err != nil {
		t.Fatal(err)
	}
	if c.Rate.Registration != 111 || c.Rate.Query != 222 || c.Rate.Resolve != 333 || c.Rate.Heartbeat != 50 || c.Raft.HeartbeatTimeout != 3*time.Second {
		t.Errorf("%+v", c.Rate)
	}
}

// Each setting says where its value comes from, and of an address only what is
// no secret.
func TestSettingsNameTheirSource(t *testing.T) {
	t.Setenv("PILOT_REGISTRY_RATE_LIMITS_QUERY", "222")
	c, err := load(t, "rate_limits:\n  query: 111\n  resolve: 111\nlog:\n  level: info\nops:\n  otlp_endpoint: https://collector.example.net:4318/v1?key=secret\n", "--rate-limits-heartbeat", "333")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range c.effective() {
		source, _, _ := strings.Cut(s.Source, "/")
		got[s.Name] = s.Value + " " + source
		if s.Meaning == "" {
			t.Errorf("%s has no meaning", s.Name)
		}
	}
	for name, want := range map[string]string{
		"rate_limits.query": "222 environment PILOT_REGISTRY_RATE_LIMITS_QUERY", "rate_limits.resolve": "111 file ", "rate_limits.heartbeat": "333 flag --rate-limits-heartbeat",
		"rate_limits.beacon": "240 ", "log.level": "info file ", "ops.otlp_endpoint": "https://collector.example.net:4318 file ",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for _, c := range []struct{ yaml, want string }{
		{"rate_limit:\n  query: 5\n", "rate_limit"},
		{"wire:\n  listn: ':9000'\n", "listn"},
		{"wire:\n  tls: sometimes\n", `wire.tls: "sometimes" is not one of self_signed, files, both, off`},
		{"wire:\n  tls: files\n", "needs both tls_cert and tls_key"},
		{"wire:\n  listen: nowhere\n", `wire.listen: "nowhere" is not host:port`},
		{"rate_limits:\n  query: 0\n", "rate_limits.query: 0 is not a positive number"},
		{"rate_limits:\n  exempt: [10.0.0.1]\n", `"10.0.0.1" is not a network`},
		{"rate_limits:\n  exempt: ['::ffff:10.0.0.0/90']\n", "rate_limits.exempt: ::ffff:10.0.0.0/90 reaches beyond the IPv4 addresses in IPv6 form"},
		{"wire:\n  reply_memory_mib: 16\n", "wire.reply_memory_mib: 16 is below 32"},
		{"wire:\n  max_request: 1024\n", "wire.max_request: 1024 is not between 65536 and 1048576 bytes"},
		{"wire:\n  max_request: 1048577\n", "wire.max_request: 1048577 is not between"},
		{"raft:\n  heartbeat_timeout: 1ms\n", "raft.heartbeat_timeout: 1ms is below 20ms"},
		{"raft:\n  log_store: floppy\n", `raft.log_store: "floppy" is not one of`},
		{"outbound:\n  ca_file: /nowhere/ca.pem\n", "outbound.ca_file: open /nowhere/ca.pem"},
		{"outbound:\n  ca_file: " + os.DevNull + "\n", "outbound.ca_file: " + os.DevNull + " has no certificate in PEM"},
		{"auth:\n  register: friends\n", `auth.register: "friends" is not one of`},
	} {
		if _, err := load(t, c.yaml); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.yaml, err, c.want)
		}
	}
	if _, err := load(t, "", "--wire-max-conns", "many"); err == nil || !strings.Contains(err.Error(), `flag --wire-max-conns: wire.max_conns: "many" is not a whole number`) {
		t.Errorf("%v", err)
	}
	t.Setenv("PILOT_REGISTRY_OPS_PPROF", "perhaps")
	if _, err := load(t, ""); err == nil || !strings.Contains(err.Error(), "environment variable PILOT_REGISTRY_OPS_PPROF") {
		t.Errorf("%v", err)
	}
}

// All mistakes are named, in the order of the settings, so that two runs say the same.
func TestEveryMistakeIsNamedAtOnce(t *testing.T) {
	const want = `data_dir: required
wire.listen: "a" is not host:port
wire.tls: "x" is not one of self_signed, files, both, off
peer.listen: "b" is not host:port
ops.listen: "c" is not host:port
log.level: "y" is not one of trace, debug, info, warn, error
rate_limits.registration: -1 is not a positive number; to limit nothing set rate_limits.enabled to false
rate_limits.beacon: -2 is not a positive number; to limit nothing set rate_limits.enabled to false
auth.register: "z" is not one of open, signed, admin
raft.heartbeat_timeout: 1ms is below 20ms, which no scheduler keeps
raft.election_timeout: 2ms is below 20ms, which no scheduler keeps`
	for range 20 {
		_, err := load(t, "data_dir: ''\nwire:\n  listen: a\n  tls: x\npeer:\n  listen: b\nops:\n  listen: c\nlog:\n  level: y\n"+
			"rate_limits:\n  registration: -1\n  beacon: -2\nauth:\n  register: z\nraft:\n  heartbeat_timeout: 1ms\n  election_timeout: 2ms\n")
		if err == nil || err.Error() != want {
			t.Fatalf("%v", err)
		}
	}
}

func TestSettingsHaveHelpAndFlags(t *testing.T) {
	c := defaultConfig()
	seen := map[string]bool{}
	for _, s := range settings(&c) {
		if s.help == "" || s.path == "" || strings.HasSuffix(s.path, ".") || seen[s.flag()] {
			t.Errorf("setting %q, flag %s, help %q", s.path, s.flag(), s.help)
		}
		seen[s.flag()] = true
	}
	if err := c.validate(); err != nil {
		t.Errorf("the defaults are not valid: %v", err)
	}
}

func TestShowPrintsWhatValidateAccepts(t *testing.T) {
	root := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs([]string{"config", "show", "--raft-log-store", "boltdb", "--raft-snapshot-threshold", "77"})
	if err := root.ExecuteContext(context.Background()); err != nil {
		t.Fatal(err)
	}
	c, err := load(t, out.String())
	if err != nil || c.Raft.LogStore != "boltdb" || c.Raft.SnapshotThreshold != 77 {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestDevRefusesWhatCannotWork(t *testing.T) {
	for _, args := range [][]string{
		{"--members", "0"}, {"--nodes", "10"}, {"--base-port", "65500"}, {"--rate-limits", "some"}, {"--restart", "maybe"},
		{"--set", "raft.snapshot_threshold"}, {"--set", "raft.no_such=1"}, {"--set", "raft.snapshot_threshold=x"},
	} {
		root := newRoot()
		root.SetArgs(append([]string{"dev", "--data-dir", t.TempDir()}, args...))
		if err := root.ExecuteContext(context.Background()); err == nil {
			t.Errorf("dev %v was accepted", args)
		}
	}
}

// Daemons treat a connection as dead after 8 seconds and register again: an
// answer that comes later than that makes a slow moment a flood.
func TestRequestsEndBeforeDaemonsGiveUp(t *testing.T) {
	if c := defaultConfig(); c.Wire.RequestTimeout >= 8*time.Second {
		t.Errorf("requests may take %s", c.Wire.RequestTimeout)
	}
}

// What an operator opens on purpose is named at the start and by config validate.
func TestAPlainOpsListenerIsNamed(t *testing.T) {
	for listen, named := range map[string]bool{
		"": false, "127.0.0.1:9080": false, "[::1]:9080": false, "localhost:9080": false, "[::ffff:127.0.0.1]:9080": false, "127.9.1.2:9080": false,
		":9080": true, "0.0.0.0:9080": true, "[::]:9080": true, "192.0.2.1:9080": true, "[fe80::1%eth0]:9080": true, "m1.example.net:9080": true,
	} {
		c := defaultConfig()
		c.Ops.Listen = listen
		for mode, named := range map[string]bool{opsTLSAuto: false, wireTLSSelf: false, wireTLSOff: named} {
			c.Ops.TLS = mode
			if got := strings.Contains(strings.Join(c.warnings(), "\n"), "ops.listen"); got != named {
				t.Errorf("ops.listen %q with ops.tls %s: named is %t, want %t", listen, mode, got, named)
			}
		}
	}
}

// A mistake in the file is told by line and in its own words.
func TestConfigurationMistakesAreToldByLine(t *testing.T) {
	for text, want := range map[string]string{
		"wire:\n  lissten: x\n":            "c.yaml:2: unknown setting lissten; did you mean listen?",
		"flux: 1\n":                        "c.yaml:1: unknown setting flux; all are shown by: pilot-registry config reference",
		"wire:\n  request_timeout: soon\n": `c.yaml:2: want a duration such as 5s, not "soon"`,
		"wire:\n  max_conns: many\n":       `c.yaml:2: want a whole number, not "many"`,
		"compat:\n  owner_reclaim: 7\n":    `c.yaml:2: want true or false, not "7"`,
		"raft: [1]\n":                      "c.yaml:1: want settings, each with its value, not a list",
		"data_dir: a\ndata_dir: b\n":       `c.yaml:2: "data_dir" is given twice`,
		"a: b: c\n":                        "c.yaml: it is not YAML: mapping values are not allowed in this context",
		"data_dir: x\n\ty: z\n":            "c.yaml:2: it is not YAML: found a tab character that violates indentation",
	} {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := defaultConfig()
		err := c.readFile(path)
		if got := strings.ReplaceAll(fmt.Sprint(err), path, "c.yaml"); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// What validate calls fine, run does not refuse; and a misspelt variable is told.
func TestValidateLooksAtWhatRunNeeds(t *testing.T) {
	c := defaultConfig()
	if err := c.startable(); err == nil || !strings.Contains(err.Error(), "peer.advertise") {
		t.Errorf("no address for the other members: %v", err)
	}
	c.Peer.Advertise = "m1.example.net:9100"
	if err := c.startable(); err != nil {
		t.Error(err)
	}
	c.Wire.TLS, c.Wire.TLSCert, c.Wire.TLSKey = wireTLSFiles, "none.pem", "none.key"
	if err := c.startable(); err == nil || !strings.Contains(err.Error(), "wire.tls_cert") {
		t.Errorf("files that are not there: %v", err)
	}
}

// A variable that looks like a setting and is none is refused, with the one
// that was probably meant. An orchestrator's own are not: they are made from
// the names of services.
func TestStrangeVariablesAreRefused(t *testing.T) {
	for name, value := range map[string]string{"PILOT_REGISTRY_SERVICE_HOST": "10.0.0.1", "PILOT_REGISTRY_SERVICE_PORT": "9000", "PILOT_REGISTRY_SERVICE_PORT_WIRE": "9000",
		"PILOT_REGISTRY_PORT": "tcp://10.0.0.1:9000", "PILOT_REGISTRY_PORT_9000_TCP": "tcp://10.0.0.1:9000", "PILOT_REGISTRY_PEER_PORT_9100_TCP_ADDR": "10.0.0.1"} {
		t.Setenv(name, value)
	}
	if _, err := load(t, ""); err != nil {
		t.Errorf("variables of services: %v", err)
	}
	for name, want := range map[string]string{
		"PILOT_REGISTRY_LOG_LEVL":  "environment variable PILOT_REGISTRY_LOG_LEVL: there is no such setting; did you mean PILOT_REGISTRY_LOG_LEVEL?",
		"PILOT_REGISTRY_WIRE_PORT": "environment variable PILOT_REGISTRY_WIRE_PORT: there is no such setting; ",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "1")
			if _, err := load(t, ""); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		})
	}
}

// Every setting can be given by its variable.
func TestEverySettingHasAVariable(t *testing.T) {
	defaults := defaultConfig()
	for _, s := range settings(&defaults) {
		value := "x"
		switch s.value.Interface().(type) {
		case bool:
			value = "true"
			if s.text() == value {
				value = "false"
			}
		case int, uint64:
			value = "7"
		case float64:
			value = "0.5"
		case time.Duration:
			value = "7s"
		}
		t.Run(s.path, func(t *testing.T) {
			t.Setenv(s.env(), value)
			flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
			c, err := newSettingFlags(flags).read("")
			if err != nil {
				t.Fatal(err)
			}
			for _, now := range settings(c) {
				if now.path == s.path && now.text() != value {
					t.Errorf("%s=%s is %s", s.env(), value, now.text())
				}
			}
		})
	}
}
