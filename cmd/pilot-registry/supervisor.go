// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/pilotregistry/pilotregistry/cluster"
)

// supervisorEvery is how often systemd is told how the member is, at least.
const supervisorEvery = 5 * time.Second

// tellSupervisor tells systemd (Type=notify) that the member serves, whether it
// is ready, and, while its conditions can be evaluated, that it is alive. Without
// NOTIFY_SOCKET it does nothing. READY does not wait for a quorum: the first
// members of a cluster would be stopped before the last one is started.
func tellSupervisor(ctx context.Context, node *cluster.Member) {
	sent, err := daemon.SdNotify(false, daemon.SdNotifyReady)
	if !sent || err != nil {
		return
	}
	every := supervisorEvery
	watchdog, err := daemon.SdWatchdogEnabled(false)
	watched := err == nil && watchdog > 0
	if watched {
		every = min(every, watchdog/3)
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for told := ""; ; {
		messages := ""
		if status := "STATUS=" + supervisorStatus(node.Checks()); status != told {
			messages, told = status+"\n", status
		}
		if watched {
			messages += daemon.SdNotifyWatchdog
		}
		if messages != "" {
			_, _ = daemon.SdNotify(false, messages) // it is said again
		}
		select {
		case <-ctx.Done():
			_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping) // it sees the end in any case
			return
		case <-t.C:
		}
	}
}

// supervisorStatus is one line for systemctl status.
func supervisorStatus(checks []cluster.Check) string {
	var failed []string
	for _, c := range checks {
		if !c.OK {
			failed = append(failed, c.Name)
		}
	}
	if len(failed) == 0 {
		return "ready"
	}
	return "not ready: " + strings.Join(failed, ", ")
}
