// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/pilotregistry/pilotregistry/fsm"
)

// fileLevel holds the highest feature level this member has applied. The log
// knows it too, but a member learns what of its log is committed only from a
// leader; an older binary must refuse the data before it takes part at all.
const fileLevel = "feature-level"

// checkLevel refuses data of a feature level that this binary does not know.
func (n *Member) checkLevel() error {
	raw, err := os.ReadFile(n.dir.file(fileLevel))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	level, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 32)
	if err != nil {
		return fmt.Errorf("%s is not a feature level: %w", n.dir.file(fileLevel), err)
	}
	if known := min(n.cfg.LevelMax, fsm.LevelMax); uint32(level) > known {
		reason := fmt.Sprintf("the data in %s is of feature level %d and this version knows levels up to %d; install a version that knows it", n.dir.path, level, known)
		n.fatal(ExitDamaged, reason)
		return errors.New(reason)
	}
	return nil
}

// onLevel notes a feature level before anything is answered at it.
func (n *Member) onLevel(level uint32) {
	if err := n.dir.write([]byte(strconv.FormatUint(uint64(level), 10)+"\n"), fileLevel); err != nil {
		n.fatal(ExitStalled, fmt.Sprintf("the feature level cannot be noted: %v; check the disk of %s, then start the member again", err, n.dir.path))
	}
}
