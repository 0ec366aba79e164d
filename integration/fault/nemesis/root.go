// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nemesis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
)

// rootKinds need privileges.
var rootKinds = []*Kind{
	{Name: "power-one", Doc: "the power of one member is cut: what it had not synced is lost", group: groupData, target: targetOne, run: power, missing: lab.NoDisks},
	{Name: "power-leader", Doc: "the power of the leader is cut", group: groupData, target: targetLeader, run: power, missing: lab.NoDisks},
	{Name: "power-all", Doc: "the power of all members is cut at once", group: groupData, target: targetAll, run: power, solo: true, missing: lab.NoDisks},
	{Name: "disk-filled", Doc: "there is no room left on one member's disk", group: groupDisk, target: targetOne, run: fill, missing: lab.NoDisks},
	{Name: "cpu-quota", Doc: "one member gets a twentieth to a fifth of a processor", group: groupProcess, target: targetOne,
		args: between("percent", 5, 20), run: quota, missing: noQuota},
}

// diskKindNames are the kinds for which members must have disks of their own.
var diskKindNames = map[string]bool{"power-one": true, "power-leader": true, "power-all": true, "disk-filled": true}

// NeedsDisks reports whether an action of the plan cuts power or fills a disk.
func (p *Plan) NeedsDisks() bool {
	for kind := range diskKindNames {
		if p.Uses(kind) {
			return true
		}
	}
	return false
}

// power cuts power, and brings members back when the action ends.
func power(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	err = eachOf(members, e.lab.PowerOff)
	until(ctx)
	return errors.Join(err, eachOf(members, func(m *lab.Member) error {
		return errors.Join(e.lab.PowerOn(m), e.lab.Start(m))
	}))
}

// fill leaves no room on a disk: the member stops with 75, again at every
// start, until there is room.
func fill(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	m := members[0]
	e.foresee("its disk is full", members, lab.Stalled, lab.Refused)
	free, err := e.lab.FillDisk(m)
	if free == nil {
		return err
	}
	until(ctx)
	return errors.Join(err, free(), e.lab.Start(m))
}

// Where quotas of processor time are set, in the two versions of the interface.
const (
	cgroupOne = "/sys/fs/cgroup/cpu"
	cgroupTwo = "/sys/fs/cgroup"
	// quotaPeriod is over what time the quota counts, in microseconds.
	quotaPeriod = 100_000
)

// noQuota says why processor time cannot be limited here.
func noQuota() string {
	if os.Geteuid() != 0 {
		return "needs root"
	}
	if _, err := os.Stat(cgroupOne + "/cpu.cfs_quota_us"); err == nil {
		return ""
	}
	if _, err := os.Stat(cgroupTwo + "/cgroup.controllers"); err == nil {
		return ""
	}
	return "needs a cgroup hierarchy with the cpu controller"
}

// quota puts a member's process into a group with little processor time.
func quota(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	m := members[0]
	pid := e.lab.PID(m)
	if pid == 0 {
		return errNobody
	}
	e.foresee("too little processor time", members, lab.Stalled)
	dir, err := makeGroup(pid, a.Args["percent"])
	if err != nil {
		return err
	}
	until(ctx)
	// The group goes when its last process has left; a process that has ended
	// is in none.
	_ = os.WriteFile(filepath.Join(filepath.Dir(dir), "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644)
	return os.Remove(dir)
}

func makeGroup(pid int, percent int64) (dir string, err error) {
	quota := percent * quotaPeriod / 100
	name := fmt.Sprintf("pilot-lab-%d", pid)
	limit := map[string]string{"cpu.cfs_period_us": strconv.Itoa(quotaPeriod), "cpu.cfs_quota_us": strconv.FormatInt(quota, 10)}
	dir = filepath.Join(cgroupOne, name)
	if _, err := os.Stat(cgroupOne + "/cpu.cfs_quota_us"); err != nil {
		dir = filepath.Join(cgroupTwo, name)
		limit = map[string]string{"cpu.max": fmt.Sprintf("%d %d", quota, quotaPeriod)}
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	limit["cgroup.procs"] = strconv.Itoa(pid)
	for _, file := range []string{"cpu.cfs_period_us", "cpu.cfs_quota_us", "cpu.max", "cgroup.procs"} {
		if text, ok := limit[file]; ok {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				return "", errors.Join(err, os.Remove(dir))
			}
		}
	}
	return dir, nil
}
