package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
)

// subAccess puts into body what lets gatecast in at a receiver. None of it is
// ever repeated in an error: a mistyped flag may hold a password.
func subAccess(t terminal, c *cli.Command, body map[string]any) error {
	if c.IsSet("header") {
		headers, err := subHeaders(t, c)
		if err != nil {
			return err
		}
		body["headers"] = headers
	}
	switch {
	case c.IsSet("basic") && c.IsSet("bearer"):
		return usage(c, "--basic and --bearer are two ways to let gatecast in; choose one")
	case c.String("basic") == "none":
		body["auth"] = nil
	case c.IsSet("basic"):
		text, err := elsewhere(t, c, "basic", c.String("basic"))
		if err != nil {
			return err
		}
		user, password, ok := strings.Cut(text, ":")
		if !ok {
			return usage(c, "--basic needs USER:PASSWORD")
		}
		body["auth"] = map[string]string{"username": user, "password": password}
	case c.IsSet("bearer"):
		text, err := elsewhere(t, c, "bearer", c.String("bearer"))
		if err != nil {
			return err
		}
		body["auth"] = map[string]string{"bearer": text}
	}
	return nil
}

// subHeaders reads --header: lines, or where lines stand.
func subHeaders(t terminal, c *cli.Command) (map[string]string, error) {
	headers := map[string]string{}
	given := c.StringSlice("header")
	if len(given) == 1 && given[0] == "none" {
		return headers, nil
	}
	seen := map[string]bool{}
	for _, value := range given {
		text, err := elsewhere(t, c, "header", value)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(text) {
			if strings.TrimSpace(line) == "" {
				continue
			}
			name, value, ok := nameAndValue(line)
			if !ok {
				return nil, usage(c, `--header needs "NAME: VALUE"`)
			}
			if canonical := http.CanonicalHeaderKey(name); seen[canonical] {
				return nil, usage(c, "--header gives %s twice", clean(canonical))
			}
			seen[http.CanonicalHeaderKey(name)] = true
			headers[name] = value
		}
	}
	return headers, nil
}

// elsewhere is a flag's value, which may stand elsewhere than on the command
// line, where other users of the machine see it: "@FILE" is what a file holds,
// "-" what standard input does.
func elsewhere(t terminal, c *cli.Command, flag, value string) (string, error) {
	text := []byte(value)
	var err error
	file, inFile := strings.CutPrefix(value, "@")
	switch {
	case value == "-":
		text, err = io.ReadAll(io.LimitReader(t.in, maxAnswer))
	case inFile:
		text, err = os.ReadFile(file)
	}
	if errors.Is(err, os.ErrNotExist) {
		return "", gatecast.Errorf(gatecast.NotFound, "--%s: there is no file %q", flag, file)
	}
	if err != nil {
		return "", fmt.Errorf("read --%s: %w", flag, err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", usage(c, "--%s is empty", flag)
	}
	return secret, nil
}
