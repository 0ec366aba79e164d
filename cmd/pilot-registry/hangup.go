// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/hashicorp/go-hclog"
)

// hangUps are the SIGHUPs of this process. One that its terminal sends because
// it was closed asks the process to stop, any other one to reload.
type hangUps struct {
	signals  chan os.Signal
	terminal bool
}

// catchHangUps has SIGHUP end nothing from now on. A process that was told to
// ignore it, as nohup does, goes on ignoring it.
func catchHangUps() *hangUps {
	h := &hangUps{signals: make(chan os.Signal, 1), terminal: hasTerminal()}
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(h.signals, syscall.SIGHUP)
	}
	return h
}

// hasTerminal reports whether there is a terminal that controls this process.
// It is taken from the process before SIGHUP is sent.
func hasTerminal() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	_ = tty.Close() // nothing was written
	return true
}

// watch reloads with each SIGHUP until ctx ends. The context that it returns
// ends with ctx, and when the terminal is closed.
func (h *hangUps) watch(ctx context.Context, reload func()) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		for {
			select {
			case <-ctx.Done():
				return
			case <-h.signals:
			}
			if h.terminal && !hasTerminal() {
				return
			}
			reload()
		}
	}()
	return ctx
}

// untilHangUp is for programs that do not reload: it ends with ctx or SIGHUP.
func untilHangUp(ctx context.Context) context.Context {
	h := catchHangUps()
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		select {
		case <-ctx.Done():
		case <-h.signals:
		}
	}()
	return ctx
}

// reloader brings what can change while a member runs to what the settings say now.
type reloader struct {
	load  func() (*config, error)
	now   config
	log   hclog.Logger
	certs *certificates
}

// reload reads the settings and certificates again. Settings that cannot be
// read change nothing.
func (r *reloader) reload() {
	next, err := r.load()
	if err != nil {
		r.log.Error("reload: the settings cannot be read, so nothing has changed", "error", err)
		return
	}
	r.log.SetLevel(hclog.LevelFromString(next.Log.Level))
	r.now.Log.Level = next.Log.Level
	if err := r.certs.reload(r.log); err != nil {
		r.log.Error("reload", "error", err)
	}
	args := []any{"log_level", next.Log.Level}
	if later := r.differs(next); len(later) > 0 {
		args = append(args, "changed_at_the_next_start", strings.Join(later, ","))
	}
	r.log.Info("reloaded", args...)
}

// differs lists the settings that are other ones than those in force.
func (r *reloader) differs(next *config) (paths []string) {
	after := settings(next)
	for i, s := range settings(&r.now) {
		if s.text() != after[i].text() {
			paths = append(paths, s.path)
		}
	}
	return paths
}
