// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// problem says in the reader's words why a document of somebody else could not
// be read into a value of a type.
func problem(err error, document []byte, into any) string {
	if key, twice := strings.CutPrefix(err.Error(), "json: duplicate key '"); twice {
		return fmt.Sprintf("it has %q twice", Clean(strings.TrimSuffix(key, "' in object")))
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) { // it does not know in which member; the standard library does
		if named := stdjson.Unmarshal(document, reflect.New(reflect.TypeOf(into).Elem()).Interface()); named != nil {
			err = named
		} else {
			err = errors.New("a member is not of the type it wants")
		}
	}
	return Clean(protocol.JSONProblem(err, document))
}

// base64Problem says why a text is not unpadded base64url, "" when it is.
func base64Problem(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range len(text) {
		switch c := text[i]; {
		case strings.IndexByte(alphabet, c) >= 0:
		case c == '=':
			return "it has padding (=), which tokens are written without"
		case c == '+' || c == '/':
			return fmt.Sprintf("it has %q, which base64url does not: it was encoded with another alphabet", c)
		default:
			return fmt.Sprintf("byte %d is %q, which base64url does not have", i+1, c)
		}
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(text); err != nil {
		return "it is no base64url of this length: something was cut off or changed"
	}
	return ""
}
