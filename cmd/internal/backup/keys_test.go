// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// A backup is not written in clear when a flag that encrypts it was given
// without a value, as an unset variable makes it.
func TestAnEmptyKeyDoesNotMeanClear(t *testing.T) {
	for _, arg := range []string{"--recipient=", "--passphrase-file=", ""} {
		k, f := &Keys{}, pflag.NewFlagSet("save", pflag.ContinueOnError)
		k.SealFlags(f)
		if err := f.Parse(strings.Fields(arg)); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Seal(io.Discard); (err != nil) != (arg != "") {
			t.Errorf("%q: %v", arg, err)
		}
	}
}

// A private key that was given by mistake is not repeated.
func TestAPrivateKeyIsNotRepeated(t *testing.T) {
	for _, text := range []string{"AGE-SECRET-KEY-1ABC", "age-secret-key-1abc"} {
		k := Keys{Recipients: []string{text}}
		if _, err := k.Seal(io.Discard); err == nil || strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
