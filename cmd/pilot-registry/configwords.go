// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// What the YAML library says of a value that does not fit, in terms of Go.
var (
	unknownField = regexp.MustCompile(`^line (\d+): field (.*) not found in type `)
	givenTwice   = regexp.MustCompile(`^line (\d+): (?:field|mapping key) (.*) already (?:set|defined)`)
	wrongValue   = regexp.MustCompile("^line (\\d+): cannot unmarshal (\\S+)(?: `(.*)`)? into (\\S+)$")
)

// inWordsOfTheFile tells the writer of a configuration file what is wrong with
// it, line by line.
func inWordsOfTheFile(path string, err error) error {
	wrong, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		text := strings.TrimPrefix(err.Error(), "yaml: ")
		if line, rest, found := strings.Cut(strings.TrimPrefix(text, "line "), ": "); found && line != text {
			return fmt.Errorf("%s:%s: it is not YAML: %s", path, line, rest)
		}
		return fmt.Errorf("%s: it is not YAML: %s", path, text)
	}
	lines := make([]string, len(wrong.Errors))
	for i, text := range wrong.Errors {
		lines[i] = path + ":" + inWords(text)
	}
	return errors.New(strings.Join(lines, "\n"))
}

func inWords(text string) string {
	if m := unknownField.FindStringSubmatch(text); m != nil {
		hint := "; all are shown by: pilot-registry config reference"
		if name := protocol.Nearest(m[2], settingNames()); name != "" {
			hint = "; did you mean " + name + "?"
		}
		return m[1] + ": unknown setting " + m[2] + hint
	}
	if m := givenTwice.FindStringSubmatch(text); m != nil {
		return m[1] + ": " + m[2] + " is given twice"
	}
	if m := wrongValue.FindStringSubmatch(text); m != nil {
		return m[1] + ": want " + wantedByType(m[4]) + ", not " + cameAs(m[2], m[3])
	}
	return " " + text
}

// settingNames are the parts of the paths of settings.
func settingNames() (names []string) {
	for _, s := range settings(new(config)) {
		names = append(names, strings.Split(s.path, ".")...)
	}
	return names
}

func wantedByType(goType string) string {
	switch {
	case goType == "time.Duration":
		return "a duration such as 5s"
	case goType == "bool":
		return "true or false"
	case goType == "string":
		return "a text"
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	case strings.HasPrefix(goType, "main."):
		return "settings, each with its value"
	case strings.HasPrefix(goType, "float"):
		return "a number"
	}
	return "a whole number"
}

func cameAs(tag, value string) string {
	switch tag {
	case "!!seq":
		return "a list"
	case "!!map":
		return "settings"
	case "!!null":
		return "nothing"
	}
	return protocol.Quote(value)
}
