// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func TestFrameLengthIsCheckedBeforeAllocation(t *testing.T) {
	header := make([]byte, headerBytes)
	binary.BigEndian.PutUint32(header, 1<<31)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := readFrame(bytes.NewReader(header), MaxFrame); !errors.Is(err, protocol.ErrFrameTooLarge) {
		t.Errorf("got %v", err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes were allocated for a frame that was refused", grown)
	}
	f, err := readFrame(bytes.NewReader(appendFrame(nil, frame{id: 7, typ: 3, budget: 9, payload: []byte("x")})), MaxFrame)
	if err != nil || f.id != 7 || f.typ != 3 || f.budget != 9 || string(f.payload) != "x" {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	want := Token{ClusterID: "c", Addrs: []string{"h:1"}, CASHA256: strings.Repeat("a", 64), Name: "n", Secret: "geheim"}
	got, err := ParseToken(" " + want.String() + "\n")
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v, %v", got, err)
	}
	whole := want.String()
	for _, bad := range []string{"", "pilotjoin1.", "pilotjoin2" + whole[10:], whole[:len(whole)-9], whole + "!!", tokenPrefix + "e30", tokenPrefix + strings.Repeat("A", 20<<10)} {
		_, err := ParseToken(bad)
		if err == nil {
			t.Errorf("%.30q was accepted", bad)
		} else if len(bad) > 20 && strings.Contains(err.Error(), bad[12:]) {
			t.Error("the error quotes the token")
		}
	}
}

func TestIdentityMustFit(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	key, csr, err := NewMemberKey()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.ca.SignMember(csr, "cluster-1", "m", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	otherKey, _, err := NewMemberKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() (*Identity, error){
		"member":  func() (*Identity, error) { return NewIdentity("cluster-1", "x", a.ca.CertPEM(), cert, key) },
		"cluster": func() (*Identity, error) { return NewIdentity("cluster-2", "m", a.ca.CertPEM(), cert, key) },
		"CA":      func() (*Identity, error) { return NewIdentity("cluster-1", "m", other.ca.CertPEM(), cert, key) },
		"key":     func() (*Identity, error) { return NewIdentity("cluster-1", "m", a.ca.CertPEM(), cert, otherKey) },
	} {
		if _, err := try(); err == nil {
			t.Errorf("another %s was accepted", name)
		}
	}
	caKey, err := a.ca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ParseCA(a.ca.CertPEM(), caKey); err != nil || again.Hash() != a.ca.Hash() {
		t.Errorf("the CA does not survive its PEM: %v", err)
	}
	if _, err := ParseCA(other.ca.CertPEM(), caKey); err == nil {
		t.Error("a key of another CA was accepted")
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add(appendFrame(nil, frame{id: 1, typ: 2, payload: []byte("x")}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := readFrame(bytes.NewReader(data), 1<<16)
		if err == nil && !bytes.HasPrefix(data, appendFrame(nil, got)) {
			t.Errorf("%+v is not what was read", got)
		}
	})
}

func FuzzParseToken(f *testing.F) {
	f.Add(Token{ClusterID: "c", Addrs: []string{"h:1"}, CASHA256: strings.Repeat("a", 64), Name: "n", Secret: "s"}.String())
	f.Fuzz(func(t *testing.T, s string) {
		if token, err := ParseToken(s); err == nil && len(token.Addrs) == 0 {
			t.Error("a token without addresses was accepted")
		}
	})
}
