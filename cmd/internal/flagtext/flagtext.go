// SPDX-License-Identifier: Apache-2.0

// Package flagtext says what is wrong with a flag in the reader's words.
package flagtext

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// Problem says what is wrong with a flag; err is of parsing the command line.
func Problem(err error) string {
	var value *pflag.InvalidValueError
	if !errors.As(err, &value) {
		return err.Error()
	}
	text := fmt.Sprintf("invalid value %q for --%s", value.GetValue(), value.GetFlag().Name)
	if want := wanted(value.GetFlag().Value.Type()); want != "" {
		return text + ": want " + want
	}
	return text + ": " + value.Unwrap().Error()
}

// wanted describes the values of a flag of a type, as pflag calls it.
func wanted(kind string) string {
	switch kind {
	case "bool":
		return "true or false"
	case "duration":
		return "a span, as in 90s, 15m or 24h"
	case "float64":
		return "a number"
	}
	kind = strings.TrimSuffix(kind, "Slice")
	for name, from := range map[string]string{"uint": "0", "int": ""} {
		bits, is := strings.CutPrefix(kind, name)
		n, err := strconv.Atoi(bits)
		switch {
		case !is || bits != "" && err != nil:
		case from == "0" && n > 0:
			return fmt.Sprintf("a whole number from 0 to %d", uint64(1)<<n-1)
		case from == "0":
			return "a whole number, 0 or more"
		default:
			return "a whole number"
		}
	}
	return ""
}
