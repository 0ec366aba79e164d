// SPDX-License-Identifier: Apache-2.0

package history

import "testing"

// What a member appends is not part of what the state answers.
func TestTheEnvelopeIsStripped(t *testing.T) {
	for reply, want := range map[string]string{
		`{"type":"x_ok","index":7}`:                   `{"type":"x_ok"}`,
		`{"type":"x_ok","index":7,"replayed":true}`:   `{"type":"x_ok"}`,
		`{"type":"x_ok","index":7,"data_age_ms":120}`: `{"type":"x_ok"}`,
		`{"type":"x_ok"}`:                             `{"type":"x_ok"}`,
	} {
		if got := string(stripAppended([]byte(reply))); got != want {
			t.Errorf("%s: %s", reply, got)
		}
	}
}
