// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

type versionInfo struct {
	Commit   string `json:"commit,omitempty"`
	Go       string `json:"go"`
	Modified bool   `json:"modified,omitempty"`
	Platform string `json:"platform"`
	Time     string `json:"built_from,omitempty"`
	Version  string `json:"version"`
}

func buildInfo() versionInfo {
	v := versionInfo{Version: protocol.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func versionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "show the version of pilotctl", Args: exactly(0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.checkOutput(cmd); err != nil {
				return err
			}
			return a.printValue(buildInfo(), &versionInfo{})
		},
	}
}

// listedCommand is a row of the table as pilotctl commands shows it.
type listedCommand struct {
	Command string `json:"command"`
	Auth    string `json:"auth"`
	Mode    string `json:"mode"`
	Rate    string `json:"rate,omitempty"`
	Doc     string `json:"doc"`
}

type commandList struct {
	Commands []listedCommand `json:"commands"`
}

func commandsCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "commands", Short: "list the wire commands of the protocol", Args: exactly(0), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "List the wire commands of the protocol, as this version of pilotctl knows them.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.checkOutput(cmd); err != nil {
				return err
			}
			var list commandList
			for _, c := range protocol.Commands {
				list.Commands = append(list.Commands, listedCommand{
					Command: c.Name, Auth: string(c.Auth), Mode: string(c.Mode), Rate: string(c.Rate), Doc: c.Doc})
			}
			return a.printValue(list, &commandList{})
		},
	}
}
