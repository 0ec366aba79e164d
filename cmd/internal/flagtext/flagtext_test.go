// SPDX-License-Identifier: Apache-2.0

package flagtext

import (
	"testing"

	"github.com/spf13/pflag"
)

// A wrong value is told with what is wanted, not with what Go's parsers say.
func TestWrongValuesAreToldWithWhatIsWanted(t *testing.T) {
	for arg, want := range map[string]string{
		"--limit=x":     `invalid value "x" for --limit: want a whole number`,
		"--node=-1":     `invalid value "-1" for --node: want a whole number from 0 to 4294967295`,
		"--seq=-1":      `invalid value "-1" for --seq: want a whole number from 0 to 18446744073709551615`,
		"--ports=80,x":  `invalid value "80,x" for --ports: want a whole number, 0 or more`,
		"--ttl=5":       `invalid value "5" for --ttl: want a span, as in 90s, 15m or 24h`,
		"--force=maybe": `invalid value "maybe" for --force: want true or false`,
		"--nothing":     "unknown flag: --nothing",
		"--limit":       "flag needs an argument: --limit",
	} {
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		flags.Int("limit", 0, "")
		flags.Uint32("node", 0, "")
		flags.Uint64("seq", 0, "")
		flags.UintSlice("ports", nil, "")
		flags.Duration("ttl", 0, "")
		flags.Bool("force", false, "")
		if got := Problem(flags.Parse([]string{arg})); got != want {
			t.Errorf("%s: %s, want %s", arg, got, want)
		}
	}
}
