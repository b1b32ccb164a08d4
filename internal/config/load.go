package config

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Sources says where settings come from. Flags win over Env, Env over File,
// and File over the defaults.
type Sources struct {
	File  string            // path of the TOML file; empty for none
	Env   []string          // NAME=value, as from os.Environ
	Flags map[string]string // by the setting's name, such as "server.listen"
}

// Origins tells for each setting that was given, by name, where its value
// stands: "gatecast.toml:3:11", "GATECAST_HUB_RING", "--hub.ring". A setting
// that is missing has its default.
type Origins map[string]string

// Load reads and checks all settings. The error, if any, is a *[LoadError]
// with everything that is wrong, or the reason why the file cannot be read.
func Load(src Sources) (Config, Origins, error) {
	c := Default()
	l := newLoader(&c)
	if src.File != "" {
		document, err := os.ReadFile(src.File)
		if err != nil {
			return Config{}, nil, fmt.Errorf("read settings: %w", err)
		}
		// Some editors begin a file with a byte order mark; TOML has none.
		l.file(src.File, bytes.TrimPrefix(document, []byte("\uFEFF")))
	}
	l.env(src.Env)
	l.flags(src.Flags)
	l.problems = append(l.problems, validate(&c, l.origins, l.problems)...)
	if len(l.problems) > 0 {
		return Config{}, nil, &LoadError{Problems: l.problems}
	}
	return c, l.origins, nil
}

// loader collects values and problems from one source after another.
type loader struct {
	config   *Config
	byName   map[string]setting
	names    []string // of byName, in order
	origins  Origins
	problems []Problem
}

func newLoader(c *Config) *loader {
	l := &loader{config: c, byName: map[string]setting{}, origins: Origins{}}
	for _, s := range settings(c) {
		l.byName[s.name] = s
		l.names = append(l.names, s.name)
	}
	return l
}

// set stores a value given as text.
func (l *loader) set(where, name, text string) {
	s := l.byName[name]
	if err := s.set(text); err != nil {
		l.wrong(where, s, fmt.Sprintf("%q", s.shown(text)), "")
		return
	}
	l.origins[name] = where
}

// wrong notes a value that the setting does not accept.
func (l *loader) wrong(where string, s setting, found, remedy string) {
	if one := s.tag.Get("oneof"); one != "" && remedy == "" {
		if r := didYouMean(strings.Trim(found, `"`), strings.Split(one, "|")); strings.HasPrefix(r, "did") {
			remedy = r
		}
	}
	if remedy == "" {
		remedy = "the default is " + orNothing(s.defaultText())
	}
	l.problems = append(l.problems, Problem{
		Where: where, Key: s.name, Found: shorten(found), Expect: s.expected(), Remedy: remedy,
	})
}

func (l *loader) unknown(where, key, remedy string) {
	l.problems = append(l.problems, Problem{
		Where: where, Key: key, Message: "there is no such setting", Found: key, Expect: "a known setting", Remedy: remedy,
	})
}

// env takes every variable that starts with GATECAST_, so that a misspelt one
// is told and not passed over. The three that steer the command line are not
// settings.
func (l *loader) env(environ []string) {
	byEnv := map[string]string{}
	var known []string
	for _, name := range l.names {
		env := l.byName[name].env()
		byEnv[env] = name
		known = append(known, env)
	}
	for _, pair := range slices.Sorted(slices.Values(environ)) {
		name, text, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		switch name {
		case "GATECAST_TOKEN", "GATECAST_SERVER", "GATECAST_CONFIG":
			continue
		}
		if key, ok := byEnv[name]; ok {
			l.set(name, key, text)
		} else {
			l.unknown(name, "", didYouMean(name, known))
		}
	}
}

func (l *loader) flags(flags map[string]string) {
	names := make([]string, 0, len(flags))
	for name := range flags {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if _, ok := l.byName[name]; ok {
			l.set("--"+name, name, flags[name])
		} else {
			l.unknown("--"+name, "", didYouMean(name, l.names))
		}
	}
}

func (s setting) defaultText() string {
	c := Default()
	for _, d := range settings(&c) {
		if d.name == s.name {
			return d.text()
		}
	}
	return ""
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

// shorten keeps a message readable when somebody gives a whole file as a value.
func shorten(text string) string {
	if runes := []rune(text); len(runes) > 80 {
		return string(runes[:77]) + "..."
	}
	return text
}
