// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// version can be set by the linker, for builds that have to differ in it.
var version = protocol.Version

// levelMin and levelMax are the feature levels this binary can run at.
const (
	levelMin = fsm.LevelMin
	levelMax = fsm.LevelMax
)

type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	LevelMin uint32 `json:"feature_level_min"`
	LevelMax uint32 `json:"feature_level_max"`
}

func buildVersion() versionInfo {
	v := versionInfo{Version: version, Go: runtime.Version(), LevelMin: levelMin, LevelMax: levelMax}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	return v
}

func newVersion() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Show the version and the feature levels it supports", Args: cobra.NoArgs}
	form := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := form()
		if err != nil {
			return err
		}
		v := buildVersion()
		if !p.ForPeople() {
			return p.Value(&v)
		}
		_, err = fmt.Fprintf(p.Out, "pilot-registry %s (%s), feature levels %d to %d\n", v.Version, v.Go, v.LevelMin, v.LevelMax)
		return err
	}
	return cmd
}
