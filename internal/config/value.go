package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// errValue is any value that does not fit; the words come from the setting.
var errValue = errors.New("value does not fit")

// set parses text as the setting's type, checks its limits and stores it.
// Lists have their items separated by commas.
func (s setting) set(text string) error {
	switch p := s.field.Addr().Interface().(type) {
	case *string:
		return s.setText(p, text)
	case *time.Duration:
		return setOrdered(s, p, text, parseDuration)
	case *Size:
		return setOrdered(s, p, text, ParseSize)
	case *int:
		return setOrdered(s, p, text, strconv.Atoi)
	case *float64:
		return setOrdered(s, p, text, parseFraction)
	case *bool:
		if text != "true" && text != "false" {
			return errValue
		}
		*p = text == "true"
		return nil
	case *[]string:
		return s.setList(p, splitList(text))
	}
	return fmt.Errorf("setting %s has a type that cannot be read", s.name)
}

// setOrdered is the part of set for types with a least and a greatest value.
func setOrdered[T cmp.Ordered](s setting, p *T, text string, parse func(string) (T, error)) error {
	v, err := parse(text)
	if err != nil {
		return errValue
	}
	if low, err := parse(s.tag.Get("min")); err == nil && v < low {
		return errValue
	}
	if high, err := parse(s.tag.Get("max")); err == nil && v > high {
		return errValue
	}
	*p = v
	return nil
}

func (s setting) setText(p *string, text string) error {
	if one := s.tag.Get("oneof"); one != "" && (text == "" || !strings.Contains("|"+one+"|", "|"+text+"|")) {
		return errValue
	}
	ok := true
	switch s.tag.Get("check") {
	case "required":
		ok = strings.TrimSpace(text) != ""
	case "address":
		ok = isAddress(text)
	case "optional-address":
		ok = text == "" || isAddress(text)
	case "zone":
		ok = isZone(text)
	case "natsurl":
		ok = text == "" || allOf(splitList(text), isNATS)
	}
	if !ok || strings.ContainsRune(text, 0) {
		return errValue
	}
	*p = text
	return nil
}

func (s setting) setList(p *[]string, items []string) error {
	ok := true
	switch s.tag.Get("check") {
	case "origin":
		ok = allOf(items, isOrigin)
	case "prefix":
		ok = allOf(items, isPrefix)
	}
	if !ok {
		return errValue
	}
	*p = items
	return nil
}

// text writes the value as set reads it.
func (s setting) text() string {
	switch v := s.field.Interface().(type) {
	case time.Duration:
		return formatDuration(v)
	case []string:
		return strings.Join(v, ",")
	default:
		return fmt.Sprint(v)
	}
}

// shown is text for people: without the secrets in it.
func (s setting) shown(text string) string {
	if s.tag.Get("secret") == "url" {
		return redactURLs(text)
	}
	return text
}

// expected says in words what set accepts.
func (s setting) expected() string {
	low, high := s.tag.Get("min"), s.tag.Get("max")
	limits := ""
	switch {
	case low != "" && high != "":
		limits = " from " + low + " to " + high
	case low != "":
		limits = " of at least " + low
	}
	if one := s.tag.Get("oneof"); one != "" {
		return "one of " + strings.ReplaceAll(one, "|", ", ")
	}
	switch s.tag.Get("check") {
	case "required":
		return "a text that is not empty"
	case "address":
		return "an address host:port such as :9000 or 127.0.0.1:9000"
	case "optional-address":
		return "an address host:port such as :8883 or 127.0.0.1:8883, or nothing"
	case "zone":
		return "Local, UTC or a name of the time zone database such as Asia/Tokyo"
	case "natsurl":
		return "addresses such as nats://host:4222, separated by commas, or nothing"
	case "origin":
		return "a list of origins such as https://door.example, without a path"
	case "prefix":
		return "a list of networks such as 10.1.0.0/16 or fd00::/8, with no bit set behind the prefix"
	}
	switch s.typeName() {
	case "duration":
		return "a duration" + limits + ", such as 30s, 5m or 90d"
	case "size":
		return "a size" + limits + ", such as 64KiB or 8MiB"
	case "number":
		return "a whole number" + limits
	case "fraction":
		return "a number" + limits
	case "true or false":
		return "true or false"
	}
	return "a " + s.typeName()
}

// parseDuration reads a Go duration, or whole days as "90d".
func parseDuration(text string) (time.Duration, error) {
	return gatecast.ParseDuration(text)
}

// formatDuration writes "2160h" where Go's own form is "2160h0m0s".
func formatDuration(d time.Duration) string {
	s := d.String()
	if short, ok := strings.CutSuffix(s, "m0s"); ok {
		s = short + "m"
	}
	if short, ok := strings.CutSuffix(s, "h0m"); ok {
		s = short + "h"
	}
	return s
}

// parseFraction refuses what is a number by IEEE 754 only, such as NaN.
func parseFraction(text string) (float64, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err == nil && (f != f || f-f != 0) {
		return 0, errValue
	}
	return f, err
}

func splitList(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func allOf(items []string, ok func(string) bool) bool {
	for _, item := range items {
		if !ok(item) {
			return false
		}
	}
	return true
}

func isAddress(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func isNATS(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return false
	}
	return u.Scheme == "nats" || u.Scheme == "tls" || u.Scheme == "ws" || u.Scheme == "wss"
}

func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.Scheme+"://"+u.Host == text
}

// isPrefix reports whether text names a network. One with bits behind its
// prefix most likely means another network, or a single address.
func isPrefix(text string) bool {
	p, err := netip.ParsePrefix(text)
	return err == nil && p.Masked() == p
}

// redactURLs hides everything before the host of each URL: NATS takes a bare
// token in the place of the user, so the user is a secret too.
func redactURLs(text string) string {
	parts := strings.Split(text, ",")
	for i, part := range parts {
		at := strings.LastIndexByte(part, '@')
		if at < 0 {
			continue
		}
		scheme := ""
		if j := strings.Index(part, "://"); j >= 0 && j < at {
			scheme = part[:j+3]
		}
		parts[i] = scheme + "***" + part[at:]
	}
	return strings.Join(parts, ",")
}

// isZone reports whether text names a time zone. The empty name, which Go
// takes for UTC, is most likely a mistake.
func isZone(text string) bool {
	_, err := time.LoadLocation(text)
	return text != "" && err == nil
}
