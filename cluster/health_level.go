// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/fsm"
)

// fileLevel holds the highest feature level this member has applied. The log
// knows it too, but a member learns what of its log is committed only from a
// leader; an older binary must refuse the data before it takes part at all.
const fileLevel = "feature-level"

// levels keeps the feature level: on disk, so that an older binary refuses the
// data, and as the leader's duty that raises it.
type levels struct {
	*self
	dir    *dataDir
	health interface{ fatal(code int, reason string) }
	roster interface{ ids() []string }
}

// check refuses data of a feature level that this binary does not know.
func (l *levels) check() error {
	raw, err := os.ReadFile(l.dir.file(fileLevel))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	level, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 32)
	if err != nil {
		return fmt.Errorf("%s is not a feature level: %w", l.dir.file(fileLevel), err)
	}
	if known := min(l.cfg.LevelMax, fsm.LevelMax); uint32(level) > known {
		reason := fmt.Sprintf("the data in %s is of feature level %d and this version knows levels up to %d; install a version that knows it", l.dir.path, level, known)
		l.health.fatal(ExitDamaged, reason)
		return errors.New(reason)
	}
	return nil
}

// note writes a feature level down before anything is answered at it.
func (l *levels) note(level uint32) {
	if err := l.dir.write([]byte(strconv.FormatUint(uint64(level), 10)+"\n"), fileLevel); err != nil {
		l.health.fatal(ExitStalled, fmt.Sprintf("the feature level cannot be noted: %v; check the disk of %s, then start the member again", err, l.dir.path))
	}
}

// raise raises the feature level by one when every configured member can
// run at the next one. Members that are down count too: their record says what
// they could run when they were last up.
func (l *levels) raise(ctx context.Context, d DutyEnv) {
	root := d.Root()
	from := root.Level()
	if l.cfg.PreserveDowngrade || from == 0 || from >= l.cfg.LevelMax {
		return
	}
	records := map[string]fsm.MemberRecord{}
	for _, m := range root.Members() {
		records[m.ID] = m
	}
	for _, id := range l.roster.ids() {
		m, ok := records[id]
		if !ok || m.LevelMin > from+1 || m.LevelMax < from+1 {
			return
		}
	}
	fault.Hit(fault.LevelRaiseBefore)
	if proposeDuty(ctx, d, fsm.KindRaiseLevel, fsm.RaiseLevel{From: from, To: from + 1, Term: d.Term()}) {
		fault.Hit(fault.LevelRaiseAfter)
		d.Logger().Info("feature level raised", "from", from, "to", from+1)
	}
}
