package config

import (
	"reflect"
	"strings"
	"time"
)

// envPrefix starts the name of every variable that is a setting.
const envPrefix = "GATECAST_"

// Key describes one setting for those who offer it elsewhere, such as flags.
type Key struct {
	Name    string // "server.listen": also its flag
	Env     string // "GATECAST_SERVER_LISTEN"
	Type    string // "text", "duration", "size", "number", "fraction", "true or false", "list of texts"
	Default string // as it would be written in an environment variable
	Desc    string // one or two sentences
}

// Keys lists every setting in the order of the file.
func Keys() []Key {
	c := Default()
	var keys []Key
	for _, s := range settings(&c) {
		keys = append(keys, Key{Name: s.name, Env: s.env(), Type: s.typeName(), Default: s.text(), Desc: s.tag.Get("desc")})
	}
	return keys
}

// setting is one field of a Config: where it lies and what its tags say.
type setting struct {
	name  string            // "server.listen"
	field reflect.Value     // settable
	tag   reflect.StructTag // toml, desc, min, max, oneof, check, secret
}

// section is one table of the file.
type section struct {
	name string
	desc string
	rows []setting
}

// sections lists the fields of c, which the settings write through to.
func sections(c *Config) []section {
	var list []section
	for f, v := range reflect.ValueOf(c).Elem().Fields() {
		sec := section{name: f.Tag.Get("toml"), desc: f.Tag.Get("desc")}
		for row, field := range v.Fields() {
			sec.rows = append(sec.rows, setting{name: sec.name + "." + row.Tag.Get("toml"), field: field, tag: row.Tag})
		}
		list = append(list, sec)
	}
	return list
}

func settings(c *Config) []setting {
	var list []setting
	for _, sec := range sections(c) {
		list = append(list, sec.rows...)
	}
	return list
}

func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.name, ".", "_"))
}

func (s setting) short() string { return s.name[strings.IndexByte(s.name, '.')+1:] }

// typeName is the type in the words of the manual.
func (s setting) typeName() string {
	switch s.field.Interface().(type) {
	case time.Duration:
		return "duration"
	case Size:
		return "size"
	case int:
		return "number"
	case float64:
		return "fraction"
	case bool:
		return "true or false"
	case []string:
		return "list of texts"
	}
	return "text"
}
