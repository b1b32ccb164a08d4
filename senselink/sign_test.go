package senselink

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
)

func TestSignMatchesWhatPublicClientsCompute(t *testing.T) {
	for _, v := range [][3]string{
		{"1763350834090", "e30af86f8f4e75d128ba4288597dea3c", "4ed75ef570a2f8326587677f16b3aa37"},
		{"1569460051000", "7ba41f9a8ac98f2c16ee904bc7ea624c", "fd595fcdfab477d68cb79063c78333b2"},
	} {
		if got := Sign(v[0], v[1]); got != v[2] {
			t.Errorf("Sign(%s, %s) = %s, want %s", v[0], v[1], got, v[2])
		}
	}
}

func TestPathCarriesCredentialsBothWays(t *testing.T) {
	for _, c := range []Credentials{
		{"0123456789abcdef", "1763350834090", "4ed75ef570a2f8326587677f16b3aa37"},
		{"a/b c", "%2F", "あ"},
	} {
		got, err := ParsePath(Path(c))
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		if diff := cmp.Diff(c, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestParsePathRefusesOtherShapesWithoutRepeatingThem(t *testing.T) {
	for _, path := range []string{
		"", "/", "/websocket/record", PathPrefix, PathPrefix + "k/1", PathPrefix + "k//s3cret",
		PathPrefix + "k/1/s3cret/", PathPrefix + "k/1/s3cret/x", "/x" + PathPrefix + "k/1/s3cret",
		PathPrefix + "k/1/s3cret%zz", PathPrefix + "k/1/s3cret" + strings.Repeat("x", maxSegment),
	} {
		_, err := ParsePath(path)
		if gatecast.CodeOf(err) != gatecast.NotFound {
			t.Errorf("ParsePath(%q) = %v, want a NotFound error", path, err)
			continue
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error repeats the path: %v", err)
		}
	}
}

func TestRedactedPathHoldsNoSignature(t *testing.T) {
	for path, want := range map[string]string{
		"/websocket/record/abc/123/s3cret":                       "/websocket/record/abc/123/***",
		"/gc/websocket/record/abc/123/s3cret":                    "/gc/websocket/record/abc/123/***",
		"/websocket/record/s3cret":                               "/websocket/record/***",
		"/websocket/record/a/b/s3cret/":                          "/websocket/record/***",
		"/api/v1/apps?sign=s3cret":                               "/api/v1/apps?***",
		"/WebSocket/record/a/1/4ED75EF570A2F8326587677F16B3AA37": "/WebSocket/record/a/1/***",
		"/healthz": "/healthz",
	} {
		if got := RedactPath(path); got != want {
			t.Errorf("RedactPath(%q) = %q, want %q", path, got, want)
		}
	}
}
