// SPDX-License-Identifier: Apache-2.0

package keyring_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
)

// What is not there is told with what to do.
func TestAMissingKeyringSaysWhatToDo(t *testing.T) {
	_, err := keyring.Open(filepath.Join(t.TempDir(), "keyring"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "put a copy of any member's keyring there") || strings.Contains(err.Error(), "keyring: keyring") {
		t.Errorf("%v", err)
	}
}

func create(t *testing.T) (*keyring.Keyring, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyring")
	k, err := keyring.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	return k, path
}

func TestFileIsPrivate(t *testing.T) {
	_, path := create(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, error %v; want 0600", info.Mode(), err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Open(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Fatalf("a readable keyring was opened: %v", err)
	}
}

func TestMACRecognisesOnlyItsSecretAndPurpose(t *testing.T) {
	k, path := create(t)
	mac, err := k.MAC(k.Latest(), "admin", "s3cret")
	if err != nil {
		t.Fatal(err)
	}
	again, err := keyring.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Verify(mac, "admin", "s3cret") {
		t.Error("the right secret is refused after reopening")
	}
	for _, c := range [][2]string{{"admin", "s3cre"}, {"join", "s3cret"}, {"admin", ""}, {"", "admin\x00s3cret"}} {
		if again.Verify(mac, c[0], c[1]) {
			t.Errorf("purpose %q secret %q is accepted", c[0], c[1])
		}
	}
	other, _ := create(t)
	if other.Verify(mac, "admin", "s3cret") {
		t.Error("another cluster's keyring accepts the secret")
	}
}

func TestSealIsBoundToItsPlaceAndVersion(t *testing.T) {
	k, _ := create(t)
	sealed, err := k.Seal(1, "cluster-ca/key", []byte("top secret"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed.Ciphertext, []byte("top secret")) {
		t.Fatal("the ciphertext holds the plaintext")
	}
	plain, err := k.Unseal(sealed, "cluster-ca/key")
	if err != nil || string(plain) != "top secret" {
		t.Fatalf("got %q, %v", plain, err)
	}
	if _, err := k.Unseal(sealed, "webhook/secret"); err == nil {
		t.Error("unsealed at another place")
	}
	sealed.Key = 2
	if _, err := k.Unseal(sealed, "cluster-ca/key"); !errors.Is(err, keyring.ErrNoVersion) {
		t.Errorf("want ErrNoVersion, got %v", err)
	}
	if _, err := k.Add(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Unseal(sealed, "cluster-ca/key"); err == nil || errors.Is(err, keyring.ErrNoVersion) {
		t.Errorf("unsealed with another version: %v", err)
	}
}

func TestImportGivesTheSameKeys(t *testing.T) {
	k, _ := create(t)
	if err := k.SetWireCert([]byte("cert"), []byte("key")); err != nil {
		t.Fatal(err)
	}
	mac, _ := k.MAC(1, "admin", "x")
	other, err := keyring.Import(filepath.Join(t.TempDir(), "sub", "keyring"), k.Export())
	if err != nil {
		t.Fatal(err)
	}
	cert, key := other.WireCert()
	if !other.Verify(mac, "admin", "x") || string(cert) != "cert" || string(key) != "key" {
		t.Error("the imported keyring differs")
	}
}

func TestDamagedFilesAreRefusedWithoutQuotingThem(t *testing.T) {
	for name, content := range map[string]string{
		"not json":   `hunter2`,
		"no version": `{"format":1,"versions":[]}`,
		"short key":  `{"format":1,"versions":[{"id":1,"aead":"aHVudGVyMg==","hmac":"aHVudGVyMg=="}]}`,
		"format":     `{"format":9,"versions":[{"id":1}]}`,
	} {
		path := filepath.Join(t.TempDir(), "keyring")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := keyring.Open(path); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMergeTakesOverWhatWasNeverInForce(t *testing.T) {
	k, path := create(t)
	other, err := keyring.Import(filepath.Join(t.TempDir(), "keyring"), k.Export())
	if err != nil {
		t.Fatal(err)
	}
	for _, ring := range []*keyring.Keyring{k, other} { // two leaders, each stopped half way
		if _, err := ring.Add(); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Merge(other.Export(), 1); err != nil {
		t.Fatal(err)
	}
	mac, err := other.MAC(2, "admin", "x")
	if err != nil {
		t.Fatal(err)
	}
	reopened, err := keyring.Open(path)
	if err != nil || !reopened.Verify(mac, "admin", "x") || len(reopened.Versions()) != 2 {
		t.Errorf("after the merge: %v, %v", reopened.Versions(), err)
	}
	stranger, _ := create(t)
	if err := k.Merge(stranger.Export(), 2); err == nil {
		t.Error("a key in force was replaced")
	}
	if !k.Verify(mac, "admin", "x") {
		t.Error("a refused merge changed the keyring")
	}
}
