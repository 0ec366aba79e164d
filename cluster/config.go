// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/pilotregistry/pilotregistry/cluster/base/guess"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/cluster/base/store"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol/share"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// Exit codes handed to Config.Fatal.
const (
	// ExitStalled: the disk or raft's main loop does not move, or the disk
	// failed. Starting again may help; the data is not suspected.
	ExitStalled = 75
	// ExitDamaged: the data must not be used, or the log needs a newer binary.
	// Starting again will not help.
	ExitDamaged = 78
)

// Timeouts of raft. Zero values mean the defaults of a local network.
type Timeouts struct {
	// Heartbeat is how long a follower waits for the leader (250 ms).
	Heartbeat time.Duration
	// Election is how long a candidate waits for votes (250 ms).
	Election time.Duration
	// LeaderLease is how long a leader without a majority stays leader (125 ms).
	LeaderLease time.Duration
	// Commit is how soon followers learn the commit index when nothing else is sent (5 ms).
	Commit time.Duration
	// Removed is how long most other members have to refuse this one until it
	// takes itself for removed and ends (10 s).
	Removed time.Duration
}

// Limits of queues and batches. Zero values mean the defaults.
type Limits struct {
	// BatchCommands and BatchBytes bound the commands that share a log entry
	// (256 commands, 512 KiB). A longer command gets an entry to itself.
	BatchCommands int
	BatchBytes    int
	// CommandBytes bounds one command (7 MiB: the longest request with all its
	// texts escaped, and still a frame between members).
	CommandBytes int
	// Queue bounds the commands that wait at the leader (8192); above it
	// proposals are answered overloaded. QueueBytes bounds them by length (64 MiB).
	Queue      int
	QueueBytes int
}

// Snapshots says when raft compacts its log. Zero values mean the defaults.
type Snapshots struct {
	// Threshold is the number of new entries that makes a snapshot due (8192).
	Threshold uint64
	// TrailingLogs is the number of entries kept that a snapshot already holds (10240).
	TrailingLogs uint64
	// Interval is how often the threshold is looked at (30 s).
	Interval time.Duration
}

// Duties of the leader. Zero values mean the defaults.
type Duties struct {
	// TickAfter is the idle time after which log time is moved (1 s).
	TickAfter time.Duration
	// SweepEvery is the interval of expiry sweeps (1 s).
	SweepEvery time.Duration
	// CheckpointEntries and CheckpointEvery make a checkpoint due (10000 entries, 60 s).
	CheckpointEntries uint64
	CheckpointEvery   time.Duration
	// ComparePoll is how often members look for a checkpoint to compare (1 s).
	ComparePoll time.Duration
	// ClockEvery is how often log time is compared with the voters' clocks (1 s).
	ClockEvery time.Duration
	// StableFor is how long a new member must keep up before it gets a vote (2 s).
	StableFor time.Duration
	// StallLimit is how long a disk operation or an uncommitted entry may take (3 s).
	StallLimit time.Duration
}

// Config is what a member is started with.
type Config struct {
	// DataDir was prepared by Init or Join.
	DataDir string
	// PeerAddr is listened on; PeerAdvertise is what other members dial.
	// WireAdvertise and OpsAdvertise are recorded for clients and operators.
	PeerAddr      string
	PeerAdvertise string
	WireAdvertise string
	OpsAdvertise  string

	Timeouts  Timeouts
	Limits    Limits
	Snapshots Snapshots
	Duties    Duties

	// LogStore is store.KindBolt (default) or store.KindWAL.
	LogStore string
	Logger   hclog.Logger
	Version  string
	// LevelMin and LevelMax are the feature levels this binary can run at.
	LevelMin, LevelMax uint32
	// PreserveDowngrade keeps the feature level where it is.
	PreserveDowngrade bool
	// ManualPromotion leaves joined members without a vote until Promote.
	ManualPromotion bool
	Clock           Clock
	// Guesses slows down machines that try join tokens; nil for a default one.
	Guesses *guess.Guard
	// Exempt are the addresses that no bound per source applies to.
	Exempt share.Ranges
	// Registry receives the metrics of this member; nil for none.
	Registry prometheus.Registerer
	// Certificates tells when those of the listeners end, for the metrics; nil for none.
	Certificates func() map[string]time.Time
	// CertificateProblems tells why the files of a listener's certificate cannot
	// be used, by listener, nil where they can; nil for no listeners.
	CertificateProblems func() map[string]error
	// Tracer makes the tracer of a member, by its id; nil traces nothing.
	Tracer func(memberID string) trace.Tracer
	// Fatal ends the process; the default logs and exits. It is called once,
	// from any goroutine, and must not call the member.
	Fatal func(code int, reason string)
	// Extra duties run on the leader beside the built-in ones.
	Extra []Duty

	hooks hooks
}

// hooks are the places where tests reach in.
type hooks struct {
	dial    peer.DialFunc
	storeOp func(name string)
	digest  func(fsm.Checkpoint) fsm.Checkpoint
	// apply is called before an entry is handed to raft.
	apply func()
	// overtake lets heartbeats change the term beside raft's main loop.
	overtake bool
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (c Config) withDefaults() Config {
	orDefault(&c.Timeouts.Heartbeat, 250*time.Millisecond)
	orDefault(&c.Timeouts.Election, 250*time.Millisecond)
	orDefault(&c.Timeouts.LeaderLease, min(125*time.Millisecond, c.Timeouts.Heartbeat/2))
	orDefault(&c.Timeouts.Commit, 5*time.Millisecond)
	orDefault(&c.Timeouts.Removed, 10*time.Second)
	orDefault(&c.Limits.BatchCommands, 256)
	orDefault(&c.Limits.BatchBytes, 512<<10)
	orDefault(&c.Limits.CommandBytes, peer.MaxFrame-1<<20)
	orDefault(&c.Limits.Queue, 8192)
	orDefault(&c.Limits.QueueBytes, 64<<20)
	orDefault(&c.Snapshots.Threshold, 8192)
	orDefault(&c.Snapshots.TrailingLogs, 10240)
	orDefault(&c.Snapshots.Interval, 30*time.Second)
	orDefault(&c.Duties.TickAfter, time.Second)
	orDefault(&c.Duties.SweepEvery, time.Second)
	orDefault(&c.Duties.CheckpointEntries, 10000)
	orDefault(&c.Duties.CheckpointEvery, time.Minute)
	orDefault(&c.Duties.ComparePoll, time.Second)
	orDefault(&c.Duties.ClockEvery, time.Second)
	orDefault(&c.Duties.StableFor, 2*time.Second)
	orDefault(&c.Duties.StallLimit, 3*time.Second)
	orDefault(&c.LogStore, store.KindBolt)
	orDefault(&c.LevelMin, 1)
	orDefault(&c.LevelMax, fsm.LevelMax)
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.Clock == nil {
		c.Clock = systemClock{}
	}
	if c.Guesses == nil {
		c.Guesses = guess.New(guess.Config{})
	}
	if c.hooks.dial == nil {
		c.hooks.dial = peer.NetDial
	}
	if c.Fatal == nil {
		log := c.Logger
		c.Fatal = func(code int, reason string) {
			log.Error("this member stops", "exit_code", code, "reason", reason)
			os.Exit(code)
		}
	}
	return c
}
