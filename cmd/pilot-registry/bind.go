// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/pilotregistry/pilotregistry/cluster/service/console"
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
			if f.Tag.Get("yaml") == "" { // what is found out, not told
				continue
			}
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

// settingFlags are the flags of all settings, with --config.
type settingFlags struct {
	flags *pflag.FlagSet
	file  *string
	given map[string]*string // by the name of the flag
}

// newSettingFlags declares --config and a flag for every setting.
func newSettingFlags(flags *pflag.FlagSet) *settingFlags {
	f := &settingFlags{flags: flags, given: map[string]*string{}}
	f.file = flags.String("config", "", "YAML configuration file (or "+envPrefix+"CONFIG)")
	defaults := defaultConfig()
	for _, s := range settings(&defaults) {
		f.given[s.flag()] = flags.String(s.flag(), s.text(), s.help+" ["+s.env()+"]")
		if s.value.Kind() == reflect.Bool {
			flags.Lookup(s.flag()).NoOptDefVal = "true"
		}
	}
	return f
}

// configFlags is newSettingFlags for a member that exists. load, called after
// parsing, reads what init or join kept, the file, the environment and the
// flags, in this order.
func configFlags(flags *pflag.FlagSet) (load func() (*config, error)) {
	f := newSettingFlags(flags)
	return func() (*config, error) {
		c, err := f.read("")
		if err != nil {
			return nil, err
		}
		if path := keptFile(c.DataDir); path != "" {
			if c, err = f.withKept(path, c.DataDir); err != nil {
				return nil, err
			}
		}
		return c, c.validate()
	}
}

// configPath is the file that --config or its variable names, "" for none.
func (f *settingFlags) configPath() string {
	if *f.file != "" {
		return *f.file
	}
	return os.Getenv(envPrefix + "CONFIG")
}

// read reads a kept file, if there is one, the file, environment and flags.
func (f *settingFlags) read(kept string) (*config, error) {
	c := defaultConfig()
	for _, path := range []string{kept, f.configPath()} {
		if path == "" {
			continue
		}
		if err := c.readFile(path); err != nil {
			return nil, err
		}
	}
	if err := strangeVariables(); err != nil {
		return nil, err
	}
	for _, s := range settings(&c) {
		if text, ok := os.LookupEnv(s.env()); ok {
			if err := s.set(text); err != nil {
				return nil, fmt.Errorf("environment variable %s: %w", s.env(), err)
			}
			c.sources[s.path] = "environment " + s.env()
		}
		if f.flags.Changed(s.flag()) {
			if err := s.set(*f.given[s.flag()]); err != nil {
				return nil, fmt.Errorf("flag --%s: %w", s.flag(), err)
			}
			c.sources[s.path] = "flag --" + s.flag()
		}
	}
	return &c, nil
}

// effective are the settings in force, for people to read: of an address only
// scheme and host, because the rest may be secret.
func (c *config) effective() (out []console.Setting) {
	for _, s := range settings(c) {
		value := s.text()
		if at, err := url.Parse(value); err == nil && at.Scheme != "" && at.Host != "" {
			value = at.Scheme + "://" + at.Host
		}
		out = append(out, console.Setting{Name: s.path, Value: value, Source: c.sources[s.path], Meaning: s.help})
	}
	return out
}
