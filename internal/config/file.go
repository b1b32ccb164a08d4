package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxFile is far beyond any real settings file. Whoever names a log or a disk
// image by mistake gets an answer, and not a parser at work.
const maxFile = 1 << 20

// file takes the settings of a TOML document. The library's own decoding into
// structs ends at the first bad value; walking the document tells them all.
func (l *loader) file(path string, document []byte) {
	if len(document) > maxFile {
		l.problems = append(l.problems, Problem{
			Where: path, Message: fmt.Sprintf("this file has %d bytes, settings have at most %v", len(document), Size(maxFile)),
			Remedy: "check that it is the right file",
		})
		return
	}
	var whole map[string]any
	if err := toml.Unmarshal(document, &whole); err != nil {
		where := path
		if e, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, column := e.Position()
			where = fmt.Sprintf("%s:%d:%d", path, line, column)
		}
		l.problems = append(l.problems, Problem{
			Where: where, Message: "this is not TOML: " + strings.TrimPrefix(err.Error(), "toml: "), Expect: "TOML 1.0",
		})
		return
	}
	w := walker{loader: l, path: path, document: document}
	w.parser.Reset(document)
	for w.parser.NextExpression() {
		w.expression(w.parser.Expression())
	}
	// Unmarshal above has read the same bytes with the same parser.
	if err := w.parser.Error(); err != nil {
		l.problems = append(l.problems, Problem{Where: path, Message: err.Error()})
	}
}

// walker goes through a document and knows the table it is in.
type walker struct {
	*loader
	path     string
	document []byte
	parser   unstable.Parser
	table    []string
	skip     bool // the table is unknown and has been told
}

func (w *walker) expression(n *unstable.Node) {
	switch n.Kind {
	case unstable.Table, unstable.ArrayTable:
		key, at, _ := keyOf(n)
		w.table, w.skip = key, false
		name := strings.Join(key, ".")
		switch {
		case !w.isSection(name):
			w.skip = true
			w.unknown(w.at(at), "["+name+"]", didYouMean(name, w.sectionNames()))
		case n.Kind == unstable.ArrayTable:
			w.skip = true
			w.problems = append(w.problems, Problem{
				Where: w.at(at), Key: name, Found: "[[" + name + "]]", Expect: "[" + name + "]", Remedy: "use single brackets",
			})
		}
	case unstable.KeyValue:
		if !w.skip {
			w.keyValue(w.table, n)
		}
	}
}

// keyValue takes "a.b = value", also when value is a table of more of them.
func (w *walker) keyValue(table []string, n *unstable.Node) {
	key, at, end := keyOf(n)
	key = append(table[:len(table):len(table)], key...)
	name := strings.Join(key, ".")
	v := n.Value()
	if v.Kind == unstable.InlineTable && w.isSection(name) {
		for it := v.Children(); it.Next(); {
			if it.Node().Kind == unstable.KeyValue {
				w.keyValue(key, it.Node())
			}
		}
		return
	}
	s, ok := w.byName[name]
	if !ok && w.isSection(name) {
		w.problems = append(w.problems, Problem{
			Where: w.at(at), Key: name, Found: foundOf(v), Expect: "a table", Remedy: "write [" + name + "] and its settings below",
		})
		return
	}
	if !ok {
		w.unknown(w.at(at), name, didYouMean(name, w.names))
		return
	}
	w.value(w.at(w.valueStart(end)), s, v)
}

// value gives the setting what stands in the document, if it is of the right
// TOML type: a duration or size is a string, a number is none.
func (w *walker) value(where string, s setting, v *unstable.Node) {
	text := string(v.Data)
	ok := false
	switch s.typeName() {
	case "text", "duration":
		ok = v.Kind == unstable.String
	case "size":
		ok = v.Kind == unstable.String || v.Kind == unstable.Integer
		text = strings.ReplaceAll(text, "_", "")
	case "number":
		ok = v.Kind == unstable.Integer
		text = strings.TrimPrefix(strings.ReplaceAll(text, "_", ""), "+")
	case "fraction":
		ok = v.Kind == unstable.Integer || v.Kind == unstable.Float
		text = strings.ReplaceAll(text, "_", "")
	case "true or false":
		ok = v.Kind == unstable.Bool
	case "list of texts":
		w.list(where, s, v)
		return
	}
	switch {
	case ok && v.Kind == unstable.String:
		w.set(where, s.name, text)
	case ok && s.set(text) == nil:
		w.origins[s.name] = where
	default:
		w.wrong(where, s, s.shown(foundOf(v)), quoteRemedy(s, v))
	}
}

func (w *walker) list(where string, s setting, v *unstable.Node) {
	if v.Kind != unstable.Array {
		w.wrong(where, s, s.shown(foundOf(v)), "write a list in brackets: ["+foundOf(v)+"]")
		return
	}
	var items []string
	for it := v.Children(); it.Next(); {
		n := it.Node()
		if n.Kind == unstable.Comment {
			continue
		}
		if n.Kind != unstable.String {
			w.wrong(where, s, "a list with "+foundOf(n)+" in it", "every item is a text in quotes")
			return
		}
		items = append(items, string(n.Data))
	}
	p, ok := s.field.Addr().Interface().(*[]string)
	if !ok || s.setList(p, items) != nil {
		w.wrong(where, s, fmt.Sprintf("%q", items), "")
		return
	}
	w.origins[s.name] = where
}

// quoteRemedy helps with the mistakes TOML invites: 30s or 8 without quotes,
// "8" with them.
func quoteRemedy(s setting, v *unstable.Node) string {
	switch kind := s.typeName(); {
	case v.Kind == unstable.Integer && kind == "duration":
		return fmt.Sprintf(`write the unit and quotes: "%ss"`, v.Data)
	case v.Kind != unstable.String && kind == "text":
		return fmt.Sprintf("write it in quotes: %q", v.Data)
	case v.Kind == unstable.String && (kind == "number" || kind == "fraction" || kind == "true or false"):
		return "write it without quotes"
	}
	return ""
}

func foundOf(v *unstable.Node) string {
	switch v.Kind {
	case unstable.String:
		return fmt.Sprintf("%q", v.Data)
	case unstable.Array:
		return "a list"
	case unstable.InlineTable:
		return "a table"
	}
	return string(v.Data)
}

// keyOf returns the parts of a key and the offsets where it starts and ends.
func keyOf(n *unstable.Node) (parts []string, start, end int) {
	start = -1
	for it := n.Key(); it.Next(); {
		raw := it.Node().Raw
		if start < 0 {
			start = int(raw.Offset)
		}
		end = int(raw.Offset + raw.Length)
		part := string(it.Node().Data)
		if strings.Contains(part, ".") { // "a.b" in quotes is one name, and none of ours
			part = quote(part)
		}
		parts = append(parts, part)
	}
	return parts, start, end
}

// valueStart finds the value after a key: nothing but blanks and one equals
// sign can stand between them.
func (w *walker) valueStart(end int) int {
	return len(w.document) - len(bytes.TrimLeft(w.document[end:], " \t="))
}

// at names the place of an offset: lines and columns from 1, columns in characters.
func (w *walker) at(offset int) string {
	before := string(w.document[:offset])
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("%s:%d:%d", w.path, line, column)
}

func (w *walker) isSection(name string) bool {
	for _, sec := range sections(w.config) {
		if sec.name == name {
			return true
		}
	}
	return false
}

func (w *walker) sectionNames() []string {
	var names []string
	for _, sec := range sections(w.config) {
		names = append(names, sec.name)
	}
	return names
}
