// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/cluster/service/backup"
	backupfile "github.com/pilotregistry/pilotregistry/cmd/internal/backup"
)

func (b *backupConfig) validate(p *problems) {
	if b.Every < 0 || b.Keep < 0 {
		p.add("backup: every and keep are 0 or more")
	}
	if b.Every > 0 && b.Dir == "" {
		p.add("backup.dir: required when backup.every is set")
	}
	keys := backupfile.Keys{Recipients: b.Recipients}
	if _, err := keys.Seal(io.Discard); err != nil {
		p.add("backup.recipients: %v", err)
	}
}

// backups is the leader's duty that saves backups.
func (c *config) backups(registry prometheus.Registerer) (*backup.Duty, error) {
	keys := &backupfile.Keys{Recipients: c.Backup.Recipients}
	suffix := ".backup"
	if keys.Sealing() {
		suffix += ".age"
	}
	d := backup.New(backup.Config{Dir: c.Backup.Dir, Every: c.Backup.Every, Keep: c.Backup.Keep, Suffix: suffix,
		Write: func(path string, fill func(io.Writer) error) error { return backupfile.Create(path, nil, keys, fill) }})
	for _, m := range d.Collectors() {
		if err := registry.Register(m); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return d, nil
}
