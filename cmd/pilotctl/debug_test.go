// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

// What a bundle holds is given to strangers.
func TestABundleHoldsNoSecrets(t *testing.T) {
	t.Parallel()
	raw, err := withoutSecrets([]byte(`{"admin_token":"S1","nested":[{"Client_Secret":"S2","password":["S3"]}],
		"url":"https://user:S4@h.example:8088/S5?key=S6","error":"POST \"https://h.example/S7\": refused, see http://S8:S9@/x","name":"kept","seq":18446744073709551615}`))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, secret := range []string{"S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in\n%s", secret, text)
		}
	}
	for _, kept := range []string{"https://h.example:8088/…", "kept", "18446744073709551615"} {
		if !strings.Contains(text, kept) {
			t.Errorf("no %s in\n%s", kept, text)
		}
	}
}
