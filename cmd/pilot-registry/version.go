// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
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
	asJSON := false
	cmd := &cobra.Command{
		Use: "version", Short: "Show the version and the feature levels it supports", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := buildVersion()
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "pilot-registry %s (%s), feature levels %d to %d\n", v.Version, v.Go, v.LevelMin, v.LevelMax)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
