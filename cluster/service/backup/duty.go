// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/fsm"
)

// Name of the duty.
const Name = "backup"

// Config says where backups go.
type Config struct {
	// Dir holds the backups. It must exist: a mount that is missing must not be
	// mistaken for an empty directory.
	Dir string
	// Every is the time between two backups, Keep how many are kept.
	Every time.Duration
	Keep  int
	// Suffix ends the names of files, as Write makes them.
	Suffix string
	// Write makes a file that is whole or absent; fill writes the state.
	Write func(path string, fill func(io.Writer) error) error
	// Now is the wall clock, and Look how often the schedule is looked at; by
	// default a tenth of Every, at most a minute.
	Now  func() time.Time
	Look time.Duration
}

// Duty saves backups while its member leads.
type Duty struct {
	Config
	last, size, interval prometheus.Gauge
	failures             prometheus.Counter
}

// Metrics lists the metrics of the duty.
var Metrics = []cluster.MetricInfo{
	{Name: "pilot_backup_last_timestamp_seconds", Kind: "gauge", Help: "when the newest backup was made that this member has seen as leader, in Unix time, 0 for none"},
	{Name: "pilot_backup_last_bytes", Kind: "gauge", Help: "size of that backup"},
	{Name: "pilot_backup_interval_seconds", Kind: "gauge", Help: "time between two scheduled backups, 0 when none are scheduled"},
	{Name: "pilot_backup_failures_total", Kind: "counter", Help: "scheduled backups that this member could not save as leader"},
}

// New makes the duty.
func New(c Config) *Duty {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Look == 0 {
		c.Look = max(min(c.Every/10, time.Minute), time.Millisecond)
	}
	gauge := func(i int) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: Metrics[i].Name, Help: Metrics[i].Help})
	}
	d := &Duty{Config: c, last: gauge(0), size: gauge(1), interval: gauge(2),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: Metrics[3].Name, Help: Metrics[3].Help})}
	d.interval.Set(c.Every.Seconds())
	return d
}

// Collectors are the metrics.
func (d *Duty) Collectors() []prometheus.Collector {
	return []prometheus.Collector{d.last, d.size, d.interval, d.failures}
}

// Name of the duty, for logs.
func (d *Duty) Name() string { return Name }

// Run saves backups until leadership ends.
func (d *Duty) Run(ctx context.Context, env cluster.DutyEnv) {
	if d.Every <= 0 {
		<-ctx.Done()
		return
	}
	t := time.NewTicker(d.Look)
	defer t.Stop()
	reported := ""
	for {
		err := d.look(ctx, env)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			reported = ""
		case err.Error() != reported: // once for each reason
			reported = err.Error()
			env.Logger().Error("scheduled backup failed; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// look saves a backup when one is due and removes the oldest ones.
func (d *Duty) look(ctx context.Context, env cluster.DutyEnv) error {
	root := env.Root()
	files, err := d.list(root.ClusterID())
	if err == nil && (len(files) == 0 || d.Now().Sub(files[0].made) >= d.Every) {
		if err = d.save(ctx, root); err == nil {
			env.Logger().Info("backup saved", "index", root.Index(), "directory", d.Dir)
			files, err = d.list(root.ClusterID())
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			d.failures.Inc()
		}
		return err
	}
	d.last.Set(float64(files[0].made.Unix()))
	d.size.Set(float64(files[0].bytes))
	return d.prune(files)
}

// save writes one backup. A duty runs on a leader whose term has begun, so its
// state has everything that was acknowledged before.
func (d *Duty) save(ctx context.Context, root *fsm.Root) error {
	name := fmt.Sprintf("registry-%.8s-%s-%d%s", root.ClusterID(), d.Now().UTC().Format(stamp), root.Index(), d.Suffix)
	return d.Write(filepath.Join(d.Dir, name), func(w io.Writer) error {
		return root.Snapshot().Write(untilDone{ctx, w})
	})
}

// untilDone ends a write with the leadership.
type untilDone struct {
	ctx context.Context
	w   io.Writer
}

func (u untilDone) Write(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.w.Write(p)
}

// stamp is the time in a file's name.
const stamp = "20060102T150405Z"

var fileName = regexp.MustCompile(`^registry-([0-9a-f]{8})-(\d{8}T\d{6}Z)-\d+\.backup(\.age)?$`)

// saved is a backup in the directory.
type saved struct {
	path  string
	made  time.Time
	bytes int64
}

// list finds the backups of a cluster, the newest first. Other files are
// nobody's business.
func (d *Duty) list(clusterID string) ([]saved, error) {
	entries, err := os.ReadDir(d.Dir)
	if err != nil {
		return nil, err
	}
	var out []saved
	for _, e := range entries {
		m := fileName.FindStringSubmatch(e.Name())
		if m == nil || !strings.HasPrefix(clusterID, m[1]) {
			continue
		}
		made, err := time.Parse(stamp, m[2])
		if err != nil {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // another member has removed it
		}
		if err != nil {
			return nil, err
		}
		out = append(out, saved{filepath.Join(d.Dir, e.Name()), made, info.Size()})
	}
	slices.SortFunc(out, func(a, b saved) int { return b.made.Compare(a.made) })
	return out, nil
}

// prune removes the oldest backups beyond Keep.
func (d *Duty) prune(files []saved) error {
	if d.Keep <= 0 || len(files) <= d.Keep {
		return nil
	}
	for _, f := range files[d.Keep:] {
		if err := os.Remove(f.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
