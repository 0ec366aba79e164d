// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"encoding/json"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// What is wrong with JSON is said in the reader's words, not in those of Go.
func TestReadersAreNotToldOfGoTypes(t *testing.T) {
	t.Parallel()
	type inner struct {
		On   bool
		Port uint16
	}
	type doc struct {
		Name string
		In   inner
		List []int
		Odd  map[string]int
	}
	for text, want := range map[string]string{
		"":                        "it is empty",
		" \n":                     "it is empty",
		`{"Name":"x"`:             "it ends too early; was it cut off?",
		"{\n \"Name\": é}":        "it is not JSON: line 2, column 10 has \"é\" where that cannot be",
		"<html>":                  "it is not JSON: line 1, column 1 has \"<\" where that cannot be",
		`{"Name":1}`:              `"Name" wants a text, not a number`,
		`{"In":{"On":"true"}}`:    `"In.On" wants true or false, not a text`,
		`{"In":{"Port":70000}}`:   `"In.Port" wants a whole number of 16 bits, not the number 70000`,
		`{"In":{"Port":1.5}}`:     `"In.Port" wants a whole number of 16 bits, not the number 1.5`,
		`{"List":{}}`:             `"List" wants a list, not an object`,
		`{"Odd":[]}`:              `"Odd" wants an object, not a list`,
		`[]`:                      "it wants an object, not a list",
		`{"Name":"x"} and so on`:  "it is not JSON: line 1, column 14 has \"a\" where that cannot be",
		`{"Name":"x","In":false}`: `"In" wants an object, not true or false`,
	} {
		err := json.Unmarshal([]byte(text), new(doc))
		if err == nil {
			t.Errorf("%s: read", text)
		} else if got := protocol.JSONProblem(err, []byte(text)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
