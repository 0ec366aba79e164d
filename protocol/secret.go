// SPDX-License-Identifier: Apache-2.0

package protocol

import "strings"

// TrimSecret is a secret as files and variables carry it, without what editors
// and templates put around it: a byte order mark, spaces, line ends.
func TrimSecret(s string) string {
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(s), "\ufeff"))
}
