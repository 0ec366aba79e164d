// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol/client"
)

func TestIdentityFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "identity.json")
	if _, err := client.LoadIdentity(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a missing file: %v", err)
	}
	id := identity(t)
	id.SetNodeID(7)
	for range 2 { // the second time it is replaced
		if err := id.Save(path); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	back, err := client.LoadIdentity(path)
	if err != nil || back.NodeID() != 7 || back.PublicKey() != id.PublicKey() {
		t.Fatalf("%v, %v", back, err)
	}
	message := []byte("heartbeat:7")
	signature, _ := back.Sign(message)
	if key := id.PublicKey(); !ed25519.Verify(key[:], message, signature) {
		t.Error("the loaded key signs differently")
	}
}

// original is a file as the original's tools write it: no node id.
func original(t *testing.T) (map[string]any, ed25519.PrivateKey) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	return map[string]any{
		"private_key": base64.StdEncoding.EncodeToString(key),
		"public_key":  base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)),
	}, key
}

func writeJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "identity.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestIdentityOfTheOriginal(t *testing.T) {
	t.Parallel()
	file, key := original(t)
	file["note"] = map[string]any{"keep": "me"}
	path := writeJSON(t, file)
	id, err := client.LoadIdentity(path)
	if err != nil || id.NodeID() != 0 || string(id.PublicKey().String()) != file["public_key"] {
		t.Fatalf("%v, %v", id, err)
	}
	id.SetNodeID(12)
	if err := id.Save(path); err != nil {
		t.Fatal(err)
	}
	var back map[string]any
	data, _ := os.ReadFile(path)
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if back["private_key"] != file["private_key"] || back["public_key"] != file["public_key"] || back["node_id"] != 12.0 ||
		fmt.Sprint(back["note"]) != "map[keep:me]" {
		t.Errorf("%v", back)
	}
	next, err := id.Rotated()
	if err != nil || next.NodeID() != 12 || next.PublicKey() == id.PublicKey() {
		t.Errorf("%v, %v", next, err)
	}
	if _, err := client.NewSigner(key); err != nil {
		t.Error(err)
	}
	if _, err := client.NewSigner(key[:10]); err == nil {
		t.Error("a short key was accepted")
	}
}

func TestDamagedIdentity(t *testing.T) {
	t.Parallel()
	_, key := original(t)
	b64 := base64.StdEncoding.EncodeToString
	wrongHalf := append(append([]byte{}, key[:32]...), make([]byte, 32)...)
	for name, test := range map[string]struct {
		change func(f map[string]any)
		want   string
	}{
		"short private key": {func(f map[string]any) { f["private_key"] = b64(key[:63]) }, "invalid private key size: 63"},
		"short public key":  {func(f map[string]any) { f["public_key"] = b64(key[32:63]) }, "invalid public key size: 31"},
		"other public key":  {func(f map[string]any) { f["public_key"] = b64(make([]byte, 32)) }, "identity file corrupted: public key does not match private key"},
		"halves differ":     {func(f map[string]any) { f["private_key"] = b64(wrongHalf) }, "identity file corrupted: public key does not match private key"},
		"no private key":    {func(f map[string]any) { delete(f, "private_key") }, "private_key is missing"},
		"not base64":        {func(f map[string]any) { f["public_key"] = "***" }, "public_key is not base64"},
		"node id":           {func(f map[string]any) { f["node_id"] = "seven" }, "node_id is not a node id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, _ := original(t)
			test.change(file)
			path := writeJSON(t, file)
			_, err := client.LoadIdentity(path)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), fmt.Sprint(file["private_key"])) {
				t.Error("the error shows the private key")
			}
		})
	}
	for _, text := range []string{"", "null", "[]", "{", `"x"`} {
		path := filepath.Join(t.TempDir(), "identity.json")
		os.WriteFile(path, []byte(text), 0o600)
		if _, err := client.LoadIdentity(path); !errors.Is(err, client.ErrIdentityFile) || !strings.Contains(err.Error(), "corrupted") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestIdentityDoesNotPrintItsKey(t *testing.T) {
	t.Parallel()
	file, key := original(t)
	id, err := client.LoadIdentity(writeJSON(t, file))
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(struct{ ID *client.Identity }{id})
	if err != nil {
		t.Fatal(err)
	}
	seed := base64.StdEncoding.EncodeToString(key[:30])
	for _, text := range []string{fmt.Sprint(id), fmt.Sprintf("%+v %#v %s %q %d", id, id, id, id, id), string(encoded)} {
		if strings.Contains(text, seed) || strings.Contains(text, fmt.Sprint([]byte(key[:8]))[1:8]) {
			t.Errorf("shown in %s", text)
		}
	}
}

// A failed save leaves the old file.
func TestSaveIntoNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	blocker := filepath.Join(dir, "file")
	if err := os.WriteFile(blocker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := identity(t).Save(filepath.Join(blocker, "identity.json")); err == nil {
		t.Error("saved below a file")
	}
	target := filepath.Join(dir, "identity.json")
	if err := os.Mkdir(target, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := identity(t).Save(target); err == nil {
		t.Error("a directory was replaced")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}
