// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"github.com/spf13/pflag"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Keys say how a backup is encrypted or decrypted.
type Keys struct {
	// Recipients are age public keys, age1…, that a backup is encrypted to.
	Recipients []string
	// PassphraseFile holds a passphrase, to encrypt or to decrypt with.
	PassphraseFile string
	// IdentityFile holds age private keys, AGE-SECRET-KEY-1…, to decrypt with.
	IdentityFile string

	// flags are those of SealFlags.
	flags *pflag.FlagSet
}

const (
	flagRecipient  = "recipient"
	flagPassphrase = "passphrase-file"
)

// SealFlags adds the flags of a command that writes a backup.
func (k *Keys) SealFlags(f *pflag.FlagSet) {
	k.flags = f
	f.StringSliceVar(&k.Recipients, flagRecipient, nil, "encrypt to this age public `key` (age1…); may be repeated")
	f.StringVar(&k.PassphraseFile, flagPassphrase, "", "encrypt with the passphrase in this `file`")
}

// OpenFlags adds the flags of a command that reads backups.
func (k *Keys) OpenFlags(f *pflag.FlagSet) {
	f.StringVar(&k.IdentityFile, "identity-file", "", "`file` with the age private key that an encrypted backup is opened with")
	f.StringVar(&k.PassphraseFile, flagPassphrase, "", "`file` with the passphrase that an encrypted backup is opened with")
}

// refuseEmpty refuses to write in clear what flags without a value, as an
// unset variable makes them, asked to encrypt.
func (k *Keys) refuseEmpty(sealing bool) error {
	if sealing || k.flags == nil {
		return nil
	}
	for _, name := range []string{flagRecipient, flagPassphrase} {
		if k.flags.Changed(name) {
			return fmt.Errorf("--%s is empty, so nothing would be encrypted", name)
		}
	}
	return nil
}

// Seal makes what encrypts to w, nil when nothing is to be encrypted. The
// caller closes it before w.
func (k *Keys) Seal(w io.Writer) (io.WriteCloser, error) {
	recipients, err := k.recipients()
	if err != nil || len(recipients) == 0 {
		return nil, err
	}
	return age.Encrypt(w, recipients...)
}

// Sealing reports whether what is written will be encrypted.
func (k *Keys) Sealing() bool { return len(k.Recipients) > 0 || k.PassphraseFile != "" }

func (k *Keys) recipients() ([]age.Recipient, error) {
	var out []age.Recipient
	for _, text := range k.Recipients {
		text = strings.TrimSpace(text)
		if strings.HasPrefix(strings.ToUpper(text), "AGE-SECRET-KEY-") {
			return nil, errors.New("an age private key was given as a public key: want age1…, as age-keygen prints it") // and not the key
		}
		r, err := age.ParseX25519Recipient(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not an age public key: want age1…, as age-keygen prints it", text)
		}
		out = append(out, r)
	}
	if k.PassphraseFile == "" {
		return out, k.refuseEmpty(len(out) > 0)
	}
	if len(out) > 0 {
		return nil, errors.New("a backup is encrypted to public keys or with a passphrase, not both")
	}
	pass, err := readPassphrase(k.PassphraseFile)
	if err != nil {
		return nil, err
	}
	r, err := age.NewScryptRecipient(pass)
	return []age.Recipient{r}, err
}

func (k *Keys) identities() ([]age.Identity, error) {
	var out []age.Identity
	if k.IdentityFile != "" {
		raw, err := os.ReadFile(k.IdentityFile)
		if err != nil {
			return nil, err
		}
		ids, err := age.ParseIdentities(bytes.NewReader(raw))
		if err != nil {
			return nil, fmt.Errorf("%s holds no age private key: want AGE-SECRET-KEY-1…, as age-keygen prints it", k.IdentityFile)
		}
		out = append(out, ids...)
	}
	if k.PassphraseFile != "" {
		pass, err := readPassphrase(k.PassphraseFile)
		if err != nil {
			return nil, err
		}
		id, err := age.NewScryptIdentity(pass)
		if err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, nil
}

// readPassphrase reads a passphrase without the line end of an editor.
func readPassphrase(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	pass := protocol.TrimSecret(string(raw))
	if pass == "" {
		return "", fmt.Errorf("%s: the passphrase is empty", path)
	}
	return pass, nil
}
