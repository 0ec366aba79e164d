// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
)

// keptName is the file in a data directory that keeps what init and join were
// told, so that run need not be told again.
const keptName = "config.yaml"

// keptFile is the kept settings of a data directory, "" when there are none.
func keptFile(dataDir string) string {
	path := filepath.Join(dataDir, keptName)
	if _, err := os.Stat(path); dataDir == "" || errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return path // if it cannot be read, that is told when it is
}

// withKept reads everything with the kept settings below, and notes those that
// something else overrides: without it they would count again.
func (f *settingFlags) withKept(path, dataDir string) (*config, error) {
	c, err := f.read(path)
	if err != nil {
		return nil, err
	}
	kept := defaultConfig()
	if err := kept.readFile(path); err != nil {
		return nil, err
	}
	kept.DataDir, c.DataDir = dataDir, dataDir // it was found there
	plain := defaultConfig()
	plain.DataDir = dataDir
	now, before := settings(c), settings(&plain)
	for i, s := range settings(&kept) {
		if s.text() != before[i].text() && s.text() != now[i].text() {
			c.overridden = append(c.overridden, fmt.Sprintf("%s: %s is overridden with %s: change it there if that is to stay", path, s.path, now[i].text()))
		}
	}
	return c, nil
}

// keep writes the settings that flags gave into the data directory.
func (f *settingFlags) keep(c *config) error {
	told := map[string]any{}
	for _, s := range settings(c) {
		if !f.flags.Changed(s.flag()) || s.path == "data_dir" {
			continue
		}
		parts := strings.Split(s.path, ".")
		group := told
		for _, name := range parts[:len(parts)-1] {
			if group[name] == nil {
				group[name] = map[string]any{}
			}
			group = group[name].(map[string]any)
		}
		group[parts[len(parts)-1]] = s.value.Interface()
	}
	text, err := yaml.Marshal(told)
	if err != nil {
		return err
	}
	head := "# What this member was told when it was made. Change it here; a file given with\n# --config, the environment and flags win over it.\n"
	return os.WriteFile(filepath.Join(c.DataDir, keptName), append([]byte(head), text...), 0o600)
}

// memberFlags are the settings that the help of init and join shows.
var memberFlags = []string{"config", "data-dir", "peer-advertise", "peer-listen", "wire-listen", "wire-advertise", "ops-listen"}

// newMemberFlags gives a command that makes a member the flags of all settings.
func newMemberFlags(cmd *cobra.Command) *settingFlags {
	f := newSettingFlags(cmd.Flags())
	defaults := defaultConfig()
	for _, s := range settings(&defaults) {
		must(cmd.Flags().MarkHidden(s.flag()))
	}
	for _, name := range memberFlags {
		cmd.Flags().Lookup(name).Hidden = false
	}
	cmd.Flags().Lookup("data-dir").Usage = "empty directory for this member's state"
	cmd.Long += `

Every setting of run can be given as well. Those that are given as flags are kept in ` + keptName + ` in the data directory,
where run finds them.`
	return f
}

// load reads the settings of a member that is to be made, and refuses what run
// would refuse later.
func (f *settingFlags) load(cmd *cobra.Command) (*config, error) {
	c, err := f.read("")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(c.validate(), c.startable()); err != nil {
		return nil, &failure.Error{Err: err, Exit: failure.Usage, Hint: "nothing was made; see: " + cmd.CommandPath() + " --help, and: pilot-registry config reference"}
	}
	return c, nil
}

// runLine is the command that starts the member.
func (f *settingFlags) runLine(c *config) string {
	line := "pilot-registry run --data-dir " + c.DataDir
	if path := f.configPath(); path != "" {
		line += " --config " + path
	}
	return line
}
