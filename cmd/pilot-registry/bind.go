// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

const envPrefix = "PILOT_REGISTRY_"

// setting is one leaf of config: the single source of its flag, variable and help.
type setting struct {
	path  string // yaml path, dots between levels
	help  string
	value reflect.Value
}

func (s setting) flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.path)
}

func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.path, ".", "_"))
}

// settings lists the leaves of c in the order in which they are declared.
func settings(c *config) []setting {
	var out []setting
	var walk func(v reflect.Value, prefix string)
	walk = func(v reflect.Value, prefix string) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			path := prefix + f.Tag.Get("yaml")
			if f.Type.Kind() == reflect.Struct {
				walk(v.Field(i), path+".")
				continue
			}
			out = append(out, setting{path: path, help: f.Tag.Get("help"), value: v.Field(i)})
		}
	}
	walk(reflect.ValueOf(c).Elem(), "")
	return out
}

// set parses text into the leaf.
func (s setting) set(text string) error {
	fail := func(want string) error { return fmt.Errorf("%s: %q is not %s", s.path, text, want) }
	switch v := s.value.Addr().Interface().(type) {
	case *string:
		*v = text
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fail("true or false")
		}
		*v = b
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fail("a whole number")
		}
		*v = n
	case *uint64:
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return fail("a whole number of 0 or more")
		}
		*v = n
	case *float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fail("a number")
		}
		*v = n
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fail("a duration as in 250ms or 5m")
		}
		*v = d
	case *[]string:
		*v = nil
		for _, part := range strings.Split(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				*v = append(*v, part)
			}
		}
	default:
		return fmt.Errorf("%s: settings of type %s are not supported", s.path, s.value.Type())
	}
	return nil
}

func (s setting) text() string {
	if list, ok := s.value.Interface().([]string); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(s.value.Interface())
}

// configFlags declares --config and a flag for every setting. load, called
// after parsing, reads file, environment and flags in this order.
func configFlags(flags *pflag.FlagSet) (load func() (*config, error)) {
	file := flags.String("config", "", "YAML configuration file (or "+envPrefix+"CONFIG)")
	defaults := defaultConfig()
	given := map[string]*string{}
	for _, s := range settings(&defaults) {
		def := s.text()
		value := flags.String(s.flag(), def, s.help+" ["+s.env()+"]")
		if s.value.Kind() == reflect.Bool {
			flags.Lookup(s.flag()).NoOptDefVal = "true"
		}
		given[s.flag()] = value
	}
	return func() (*config, error) {
		c := defaultConfig()
		path := *file
		if path == "" {
			path = os.Getenv(envPrefix + "CONFIG")
		}
		if path != "" {
			if err := c.readFile(path); err != nil {
				return nil, err
			}
		}
		for _, s := range settings(&c) {
			if text, ok := os.LookupEnv(s.env()); ok {
				if err := s.set(text); err != nil {
					return nil, fmt.Errorf("environment variable %s: %w", s.env(), err)
				}
			}
			if flags.Changed(s.flag()) {
				if err := s.set(*given[s.flag()]); err != nil {
					return nil, fmt.Errorf("flag --%s: %w", s.flag(), err)
				}
			}
		}
		return &c, c.validate()
	}
}
