package config

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
)

// TOML writes the settings as a file that [Load] reads, with secrets hidden
// and a comment on each line that tells where its value came from.
func (c *Config) TOML(o Origins) []byte {
	var b bytes.Buffer
	for i, sec := range sections(c) {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "[%s]\n", sec.name)
		for _, s := range sec.rows {
			fmt.Fprintf(&b, "%s = %s  # %s\n", s.short(), s.literal(), cmp.Or(o[s.name], "default"))
		}
	}
	return b.Bytes()
}

// Sample writes a file with every setting explained, at its default and
// commented out, to start one's own from.
func Sample() []byte {
	c := Default()
	var b bytes.Buffer
	b.WriteString("# Settings of gatecast. Every line that is commented out shows the default.\n" +
		"# A variable such as GATECAST_SERVER_LISTEN, or a flag such as --server.listen,\n" +
		"# wins over this file.\n")
	for _, sec := range sections(&c) {
		fmt.Fprintf(&b, "\n# %s\n[%s]\n", sec.desc, sec.name)
		for _, s := range sec.rows {
			b.WriteByte('\n')
			for _, line := range wrap(s.tag.Get("desc"), 76) {
				fmt.Fprintf(&b, "# %s\n", line)
			}
			fmt.Fprintf(&b, "#%s = %s\n", s.short(), s.literal())
		}
	}
	return b.Bytes()
}

// literal writes the value as TOML.
func (s setting) literal() string {
	switch v := s.field.Interface().(type) {
	case int, bool:
		return fmt.Sprint(v)
	case float64:
		if text := fmt.Sprint(v); strings.ContainsAny(text, ".e") {
			return text
		}
		return fmt.Sprintf("%.1f", v)
	case []string:
		items := make([]string, 0, len(v))
		for _, item := range v {
			items = append(items, quote(item))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return quote(s.shown(s.text()))
}

// quote writes a TOML basic string. Go's own quoting has escapes that TOML
// lacks (\x, \a, \v).
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// Value is a setting as it is, and where that came from.
type Value struct {
	Value  any    `json:"value"`  // a number, a bool, a list of texts, or a text as [Load] reads it; secrets are hidden
	Origin string `json:"origin"` // "default", or a place as in [Origins]
}

// Values returns the settings by their names, such as "server.listen".
func (c *Config) Values(o Origins) map[string]Value {
	all := make(map[string]Value)
	for _, s := range settings(c) {
		all[s.name] = Value{s.plain(), cmp.Or(o[s.name], "default")}
	}
	return all
}

// plain returns the value as JSON has it.
func (s setting) plain() any {
	switch v := s.field.Interface().(type) {
	case int, bool, float64:
		return v
	case []string:
		return append([]string{}, v...) // an empty list is one
	}
	return s.shown(s.text())
}
