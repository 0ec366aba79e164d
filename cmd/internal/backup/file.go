// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"filippo.io/age"
)

// ageMagic begins every encrypted file.
const ageMagic = "age-encryption.org/"

// Create writes a file that is whole or absent: fill's output, encrypted with
// keys, under a temporary name until it is durable. A file that exists is not
// replaced. The path - is out.
func Create(path string, out io.Writer, keys *Keys, fill func(io.Writer) error) error {
	if path == "-" {
		return sealed(out, keys, fill)
	}
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%s exists already: name another file, or move it away", path)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".backup-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	err = sealed(tmp, keys, fill)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := place(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// place gives a file its name and replaces nothing: a link does that, and where
// the file system has none, a look before a rename has to do.
func place(tmp, path string) error {
	err := os.Link(tmp, path)
	if err == nil || errors.Is(err, os.ErrExist) {
		return err
	}
	if _, there := os.Stat(path); there == nil {
		return err
	}
	return os.Rename(tmp, path)
}

func sealed(w io.Writer, keys *Keys, fill func(io.Writer) error) error {
	buffered := bufio.NewWriterSize(w, 256<<10)
	seal, err := keys.Seal(buffered)
	if err != nil {
		return err
	}
	if seal == nil {
		return errors.Join(fill(buffered), buffered.Flush())
	}
	if err := fill(seal); err != nil {
		return err
	}
	return errors.Join(seal.Close(), buffered.Flush())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ErrNoKey says that a file is encrypted and that nothing was given to open it.
var ErrNoKey = errors.New("give --identity-file or --passphrase-file")

// Open opens a backup file, - for in, and decrypts it when it is encrypted.
func Open(path string, in io.Reader, keys *Keys) (io.ReadCloser, error) {
	file := io.NopCloser(in)
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		file = f
	}
	plain, err := decrypted(path, file, keys)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{plain, file}, nil
}

func decrypted(path string, r io.Reader, keys *Keys) (io.Reader, error) {
	buffered := bufio.NewReaderSize(r, 256<<10)
	if head, _ := buffered.Peek(len(ageMagic)); string(head) != ageMagic {
		return buffered, nil
	}
	ids, err := keys.identities()
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("%s is encrypted: %w", path, ErrNoKey)
	}
	plain, err := age.Decrypt(buffered, ids...)
	if wrong := (*age.NoIdentityMatchError)(nil); errors.As(err, &wrong) {
		return nil, fmt.Errorf("%s cannot be opened with this key: it was encrypted to another", path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be decrypted: %w", path, err)
	}
	return plain, nil
}
