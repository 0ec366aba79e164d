// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// tokenPrefix marks a join token and its version.
const tokenPrefix = "pilotjoin1."

// Token is what lets one new member in: where to ask, whom to trust, and a
// secret that the cluster accepts once.
type Token struct {
	ClusterID string   `json:"cluster_id"`
	Addrs     []string `json:"addrs"`
	CASHA256  string   `json:"ca_sha256"`
	Name      string   `json:"name"`
	Secret    string   `json:"secret"`
}

// String encodes the token for one line of text. It contains the secret.
func (t Token) String() string {
	raw, err := json.Marshal(t)
	if err != nil {
		return ""
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(raw)
}

// ParseToken reads a join token. Errors never quote the token.
func ParseToken(s string) (Token, error) {
	body, ok := strings.CutPrefix(strings.TrimSpace(s), tokenPrefix)
	if !ok {
		return Token{}, errors.New("not a join token: it must start with " + tokenPrefix)
	}
	if len(body) > 16<<10 {
		return Token{}, errors.New("join token is too long")
	}
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return Token{}, errors.New("join token is damaged: copy it whole, without line breaks")
	}
	var t Token
	if err := json.Unmarshal(raw, &t); err != nil {
		return Token{}, errors.New("join token is damaged: copy it whole, without line breaks")
	}
	if t.ClusterID == "" || len(t.Addrs) == 0 || len(t.CASHA256) != 64 || t.Name == "" || t.Secret == "" {
		return Token{}, errors.New("join token is incomplete")
	}
	return t, nil
}
