package config

import (
	"bytes"
	"fmt"
	"strings"
)

// Markdown writes the manual page of the settings, docs/config.md.
func Markdown() []byte {
	var b bytes.Buffer
	b.WriteString(`# Settings

<!-- Made from internal/config; change the desc tags there and run: go test ./internal/config -update -->

gatecast runs without any setting. What is set comes from, the first wins:

1. a flag, ` + "`--server.listen=:9000`" + `
2. a variable of the environment, ` + "`GATECAST_SERVER_LISTEN=:9000`" + `
3. a TOML file, named by ` + "`--config`" + ` or ` + "`GATECAST_CONFIG`" + `
4. the default

[config.sample.toml](config.sample.toml) is a file to start from. ` + "`gatecast config`" + ` prints what is in force and where each
value came from, with passwords hidden.

A setting that does not exist, in the file, in the environment or as a flag, stops the start, and so does a value that
makes no sense. All mistakes are told at once, each with its place. ` + "`GATECAST_TOKEN`, `GATECAST_SERVER` and `GATECAST_CONFIG`" + `
belong to the command line and are no settings.

Durations are written ` + "`30s`, `5m`, `2160h` or `90d`" + `, sizes ` + "`64KiB` or `8MiB`" + ` (` + "`KB` and `MB`" + ` are powers of ten). In the file
both stand in quotes. In variables and flags, lists have commas: ` + "`https://a.example,https://b.example`" + `.
`)
	c := Default()
	for _, sec := range sections(&c) {
		fmt.Fprintf(&b, "\n## [%s]\n\n%s\n", sec.name, sec.desc)
		for _, s := range sec.rows {
			fmt.Fprintf(&b, "\n### `%s`\n\n%s\n\n", s.name, s.tag.Get("desc"))
			fmt.Fprintf(&b, "Default `%s`. %s. Variable `%s`.\n", s.literal(), capital(s.expected()), s.env())
		}
	}
	return b.Bytes()
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
