// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/pilotregistry/pilotregistry/cluster/base/store"
	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// config is everything a member can be told. It is read from YAML, then the
// environment, then flags; the later wins. Flag and variable names are made
// from the yaml path: wire.max_conns is --wire-max-conns and
// PILOT_REGISTRY_WIRE_MAX_CONNS.
type config struct {
	DataDir string `yaml:"data_dir" help:"directory of this member's state (prepared by init or join)"`

	Wire     wireConfig     `yaml:"wire"`
	Peer     peerConfig     `yaml:"peer"`
	Ops      opsConfig      `yaml:"ops"`
	Log      logConfig      `yaml:"log"`
	Rate     rateConfig     `yaml:"rate_limits"`
	Auth     authConfig     `yaml:"auth"`
	Compat   compatConfig   `yaml:"compat"`
	Raft     raftConfig     `yaml:"raft"`
	Upgrades upgradesConfig `yaml:"upgrades"`
	Memory   memoryConfig   `yaml:"memory"`
	Outbound outboundConfig `yaml:"outbound"`
	Accounts accountsConfig `yaml:"accounts"`
	Backup   backupConfig   `yaml:"backup"`

	overridden []string // what was kept and does not count
	// sources say where a setting has its value from, by path; no entry is the default.
	sources map[string]string
}

type backupConfig struct {
	Dir        string        `yaml:"dir" help:"directory that the leader saves backups in; it has to exist. Best one that all members share; a directory of each member's own gets backups while that member leads"`
	Every      time.Duration `yaml:"every" help:"time between two backups; 0 saves none"`
	Keep       int           `yaml:"keep" help:"how many of the newest backups are kept; 0 keeps all"`
	Recipients []string      `yaml:"recipients" help:"age public keys (age1...) that backups are encrypted to; empty leaves them in clear"`
}

type accountsConfig struct {
	BadgeIssuers string `yaml:"badge_issuers" help:"keys of the verifier of accounts that sign badges and enrolments, as name=base64,...; alike on all members; empty refuses all"`
	RecoveryKeys string `yaml:"recovery_keys" help:"keys of the verifier that sign recoveries, none of them a badge issuer; alike on all members; empty refuses all"`
}

type wireConfig struct {
	Listen            string        `yaml:"listen" help:"address for clients"`
	Advertise         string        `yaml:"advertise" help:"address clients are told to use; default: listen, with the host of peer.advertise when listen names none"`
	TLS               string        `yaml:"tls" help:"self_signed (the cluster's certificate, see the printed pin), files, both (TLS and plain on one port, told apart by the first byte; TLS with tls_cert if that is set, else as self_signed), or off"`
	TLSCert           string        `yaml:"tls_cert" help:"PEM certificate file for tls files and both; a renewed file is read when it changes"`
	TLSKey            string        `yaml:"tls_key" help:"PEM key file for tls files and both"`
	MaxConns          int           `yaml:"max_conns" help:"largest number of client connections"`
	MaxConnsPerSource int           `yaml:"max_conns_per_source" help:"largest number of client connections of one source (an IPv4 address or an IPv6 /64); an IPv6 /48 may have eight times as many"`
	ReplyMemoryMiB    int           `yaml:"reply_memory_mib" help:"largest memory, in MiB, of all replies that are being made or sent (at least 32); one source may have an eighth"`
	MaxRequest        int           `yaml:"max_request" help:"longest request, in bytes, alike on all members (65536 to 1048576); a longer one ends its connection"`
	Relay             string        `yaml:"relay" help:"host:port of the relay that is given for nodes which can only be reached through one, alike on all members; empty: a beacon, first one announced with a token"`
	IdleTimeout       time.Duration `yaml:"idle_timeout" help:"how long a client connection may rest"`
	RequestTimeout    time.Duration `yaml:"request_timeout" help:"how long a request may take, leader changes included; below the 8s after which daemons give a connection up"`
}

type peerConfig struct {
	Listen    string `yaml:"listen" help:"address for other members (mutual TLS)"`
	Advertise string `yaml:"advertise" help:"address other members dial; a host name is resolved at every dial"`
}

type opsConfig struct {
	Listen  string `yaml:"listen" help:"HTTP address of health, counts, metrics and status; empty switches it off"`
	TLS     string `yaml:"tls" help:"auto (plain on this machine's own addresses, else as self_signed), self_signed (with the cluster's certificate), files, or off"`
	TLSCert string `yaml:"tls_cert" help:"certificate file in PEM, for ops.tls files; a renewed file is read when it changes"`
	TLSKey  string `yaml:"tls_key" help:"key file in PEM, for ops.tls files"`
	Pprof   bool   `yaml:"pprof" help:"serve profiles under /debug/pprof/, to callers on this machine and with the admin token"`

	OTLPEndpoint    string  `yaml:"otlp_endpoint" help:"URL of a receiver of traces (OTLP over HTTP, as in https://collector.example.net:4318); empty: nothing is traced"`
	OTLPHeadersFile string  `yaml:"otlp_headers_file" help:"file of headers for it, one Name: value a line, as with a bearer token; read for every delivery"`
	TraceRatio      float64 `yaml:"trace_ratio" help:"share of client requests that are traced, 0 to 1"`

	Hosts []string `yaml:"hosts" help:"names under which ops may be asked beside localhost and IP addresses, as a scraper uses them; health is answered under any name"`
}

type logConfig struct {
	Level  string `yaml:"level" help:"debug, info, warn or error"`
	Format string `yaml:"format" help:"text or json"`
}

type rateConfig struct {
	Enabled      bool     `yaml:"enabled" help:"limit requests by class and source (an IPv4 address or an IPv6 /64), signed ones by signer and source; all signers of a source together may have 20 times as much, an IPv6 /48 16 times as much as a source; and hold up sources of many wrong tokens"`
	Registration int      `yaml:"registration" help:"registrations per minute of a source, or of a signer there"`
	Resolve      int      `yaml:"resolve" help:"resolves per minute of a source, or of a signer there"`
	Query        int      `yaml:"query" help:"lookups, hostname lookups and listings per minute of a source, or of a signer there"`
	Heartbeat    int      `yaml:"heartbeat" help:"heartbeats per minute of a source, or of a signer there"`
	Beacon       int      `yaml:"beacon" help:"announcements of beacons per minute of a source, or of a signer there; a beacon announces itself twice a minute"`
	Exempt       []string `yaml:"exempt" help:"networks (CIDR) to which no limit per source applies"`
}

type authConfig struct {
	Register string `yaml:"register" help:"who may register: open, signed or admin"`
	Polo     string `yaml:"polo" help:"who may change polo scores: open, signed (a registered node, by a signed request) or admin"`

	Beacon string `yaml:"beacon" help:"who may announce beacons: open, signed (a registered node, by a signed request) or admin"`

	LegacySignatures string `yaml:"legacy_signatures" help:"what becomes of signatures over challenges, which can be replayed, unlike signed requests: allow, warn (log who uses them) or deny"`

	EndpointStaleness time.Duration `yaml:"endpoint_staleness" help:"how old the state may be from which resolve and punch are answered when a client asks for stale or bounded; without a quorum they are refused then; 0 sets no limit"`

	NoteRefusals time.Duration `yaml:"note_refusals" help:"how often the privileged commands that were refused are counted into the audit log; 0 leaves them out"`
}

type compatConfig struct {
	OwnerReclaim         bool `yaml:"owner_reclaim" help:"let a new key take over the node id of a known owner name, as the original registry did (insecure)"`
	UnsignedRoleCommands bool `yaml:"unsigned_role_commands" help:"let whoever names a node id act with its role, as the original registry did (insecure)"`
	UnsignedIdentity     bool `yaml:"unsigned_identity" help:"let an unsigned registration bring the first identity token of a node that exists, as the original registry did (insecure)"`
}

type raftConfig struct {
	LogStore          string        `yaml:"log_store" help:"boltdb, or wal (experimental, builds with -tags raftwal)"`
	HeartbeatTimeout  time.Duration `yaml:"heartbeat_timeout" help:"how long a follower waits for the leader before it calls an election"`
	ElectionTimeout   time.Duration `yaml:"election_timeout" help:"how long a candidate waits for votes"`
	SnapshotThreshold uint64        `yaml:"snapshot_threshold" help:"new log entries that make a snapshot due"`
	TrailingLogs      uint64        `yaml:"trailing_logs" help:"log entries kept before a snapshot for members that lag"`
	SnapshotInterval  time.Duration `yaml:"snapshot_interval" help:"how often a snapshot is considered"`
	ManualPromotion   bool          `yaml:"manual_promotion" help:"leave joined members without a vote until they are promoted"`
	StableFor         time.Duration `yaml:"stable_for" help:"how long a new member must keep up before it gets a vote"`
}

type upgradesConfig struct {
	PreserveDowngrade bool `yaml:"preserve_downgrade" help:"keep the feature level, so that the previous version can be installed again"`
}

type outboundConfig struct {
	AllowTargets  []string `yaml:"allow_targets" help:"non-public targets that may be called: networks (CIDR), addresses, host names, host:port"`
	AllowLoopback bool     `yaml:"allow_loopback" help:"let identity providers and webhooks be on this machine (dev sets it)"`
	CAFile        string   `yaml:"ca_file" help:"PEM file with certificate authorities to trust, beside the system's, when calling identity providers, webhooks and audit exports; read at the start"`
	// FileDir keeps an administrator of the registry from writing anywhere.
	FileDir string `yaml:"file_dir" help:"directory below which audit exports of format file may write; empty refuses them"`
}

const (
	wireTLSOff   = "off"
	wireTLSBoth  = "both"
	wireTLSSelf  = "self_signed"
	opsTLSAuto   = "auto"
	wireTLSFiles = "files"
)

func defaultConfig() config {
	return config{
		sources: map[string]string{},
		DataDir: "/var/lib/pilot-registry",
		Memory:  memoryConfig{Limit: memoryAuto},
		Wire: wireConfig{Listen: ":9000", TLS: wireTLSSelf, MaxConns: 100_000, MaxConnsPerSource: 1024, ReplyMemoryMiB: 256, MaxRequest: protocol.MaxRequestBytes,
			IdleTimeout: 5 * time.Minute, RequestTimeout: 7 * time.Second},
		Peer:     peerConfig{Listen: ":9100"},
		Ops:      opsConfig{Listen: "127.0.0.1:9080", TLS: opsTLSAuto, Pprof: true, TraceRatio: 0.1},
		Log:      logConfig{Level: "info", Format: "text"},
		Rate:     rateConfig{Enabled: true, Registration: 10, Resolve: 100, Query: 500, Heartbeat: 50, Beacon: 240},
		Auth:     authConfig{Register: string(gateway.AccessOpen), Polo: string(gateway.AccessOpen), Beacon: string(gateway.AccessOpen), LegacySignatures: string(gateway.LegacyAllow), NoteRefusals: gateway.NoteEvery},
		Backup:   backupConfig{Keep: 14},
		Accounts: accountsConfig{BadgeIssuers: identity.DefaultBadgeIssuers, RecoveryKeys: identity.DefaultRecoveryKeys},
		Raft: raftConfig{LogStore: store.KindBolt, HeartbeatTimeout: 200 * time.Millisecond, ElectionTimeout: 200 * time.Millisecond,
			SnapshotThreshold: 8192, TrailingLogs: 10240, SnapshotInterval: 30 * time.Second, StableFor: 2 * time.Second},
	}
}

// readFile overlays a YAML file. Unknown keys are errors: a misspelt key must
// not leave a default in force that somebody believes to have changed.
func (c *config) readFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	dec := yaml.NewDecoder(f)
	dec.KnownFields(true)
	err = dec.Decode(c)
	if err == nil {
		return c.noteFile(path)
	}
	if errors.Is(err, io.EOF) { // an empty file leaves the defaults
		return nil
	}
	return inWordsOfTheFile(path, err)
}

// noteFile notes which settings a file has, that has been read without an error.
func (c *config) noteFile(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var has map[string]any
	if err := yaml.Unmarshal(raw, &has); err != nil {
		return err
	}
	for _, s := range settings(c) {
		var at any = has
		for _, key := range strings.Split(s.path, ".") {
			inner, _ := at.(map[string]any)
			at = inner[key]
		}
		if at != nil {
			c.sources[s.path] = "file " + path
		}
	}
	return nil
}

func (c *config) exempt() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range c.Rate.Exempt {
		p, err := netip.ParsePrefix(strings.TrimSpace(s))
		if err != nil {
			return nil, fmt.Errorf("rate_limits.exempt: %q is not a network as in 10.0.0.0/8", s)
		}
		if p, err = share.PlainRange(p); err != nil {
			return nil, fmt.Errorf("rate_limits.exempt: %w", err)
		}
		out = append(out, p)
	}
	return out, nil
}

func (c *config) rates() server.Rates {
	if !c.Rate.Enabled {
		return server.RatesOff()
	}
	return server.Rates{
		Registration: server.PerMinute(c.Rate.Registration), Resolve: server.PerMinute(c.Rate.Resolve),
		Query: server.PerMinute(c.Rate.Query), Heartbeat: server.PerMinute(c.Rate.Heartbeat), Beacon: server.PerMinute(c.Rate.Beacon),
	}
}
