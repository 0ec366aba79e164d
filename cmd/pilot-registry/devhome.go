// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// devHome is the data directory of dev, held by one process at a time.
type devHome struct{ lock *os.File }

// devFile is dev.json: the ports that the members of a data directory know each other by.
type devFile struct {
	BasePort int `json:"base_port"`
}

// openDevHome locks the directory, and notes the ports of a new cluster. The
// members of one that exists would look for each other at the old ports.
func openDevHome(path string, basePort int, exists bool) (*devHome, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, "dev.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another dev runs on %s: stop it first, or give another --data-dir and --base-port", path)
		}
		return nil, fmt.Errorf("%s cannot be locked, as dev needs it: %w", path, err)
	}
	h := &devHome{lock: lock}
	if err := h.settlePorts(filepath.Join(path, "dev.json"), path, basePort, exists); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *devHome) settlePorts(file, path string, basePort int, exists bool) error {
	var made devFile
	raw, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err == nil && exists {
		if err := json.Unmarshal(raw, &made); err != nil {
			return fmt.Errorf("%s cannot be read: %w", file, err)
		}
		if made.BasePort != basePort {
			return fmt.Errorf("the members in %s know each other by the ports of --base-port %d, not %d: give that one, or another --data-dir", path, made.BasePort, basePort)
		}
		return nil
	}
	raw, err = json.Marshal(devFile{BasePort: basePort})
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(raw, '\n'), 0o600)
}

// close lets the next dev in.
func (h *devHome) close() { _ = h.lock.Close() }
