//go:build linux

package soak

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// report leaves the result and what happened when.
func (r *run) report() error {
	raw, err := json.MarshalIndent(r.result, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.cfg.Dir, "result.json"), append(raw, '\n'), 0o600)
}
