// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"strconv"
	"time"
)

// utc renders log time as RFC 3339 in UTC with second resolution.
func utc(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

func decimal(id uint32) string { return strconv.FormatUint(uint64(id), 10) }

func utcNano(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano) }

// utcOrNone renders a time, and none as nothing.
func utcOrNone(ms int64) string {
	if ms == 0 {
		return ""
	}
	return utc(ms)
}
