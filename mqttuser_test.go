package gatecast

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestAUserOfMQTTMaySendForItsDevicesOnly(t *testing.T) {
	for _, v := range []struct {
		devices, device string
		want            bool
	}{
		{"SPS-1", "SPS-1", true},
		{"SPS-1", "SPS-12", false},
		{"SPS-1", "sps-1", false},
		{"SPS-1", "", false},
		{"A SPS-1", "SPS-1", true},
		{"SPS-*", "SPS-1", true},
		{"SPS-*", "SPS-", true},
		{"SPS-*", "SPSP-1", false},
		{"*", "anything", true},
	} {
		u := MQTTUser{Devices: strings.Fields(v.devices)}
		if got := u.May(v.device); got != v.want {
			t.Errorf("a user of %s may send for %q: %v", v.devices, v.device, got)
		}
	}
	if new(MQTTUser).May("SPS-1") {
		t.Error("a user without devices may send")
	}
}

func TestWhatCannotBeAUserOfMQTTIsToldWithItsField(t *testing.T) {
	many := make([]string, 1001)
	for i := range many {
		many[i] = fmt.Sprintf("SPS-%d", i)
	}
	for _, v := range []struct {
		spec MQTTUserSpec
		path string // empty: it can be one
	}{
		{MQTTUserSpec{"Front_Gate-1", []string{"SPS-1", "SPS-*", "*", "東門"}}, ""},
		{MQTTUserSpec{strings.Repeat("x", 64), many[:1000]}, ""},
		{MQTTUserSpec{"", many[:1]}, "/name"},
		{MQTTUserSpec{strings.Repeat("x", 65), many[:1]}, "/name"},
		{MQTTUserSpec{"a.b", many[:1]}, "/name"},
		{MQTTUserSpec{"gate", nil}, "/devices"},
		{MQTTUserSpec{"gate", many}, "/devices"},
		{MQTTUserSpec{"gate", []string{"a", ""}}, "/devices/1"},
		{MQTTUserSpec{"gate", []string{"a", "b", "a"}}, "/devices/2"},
		{MQTTUserSpec{"gate", []string{"a*b"}}, "/devices/0"},
		{MQTTUserSpec{"gate", []string{"**"}}, "/devices/0"},
		{MQTTUserSpec{"gate", []string{"a/b"}}, "/devices/0"},
		{MQTTUserSpec{"gate", []string{"+"}}, "/devices/0"},
		{MQTTUserSpec{"gate", []string{"a\x00"}}, "/devices/0"},
		{MQTTUserSpec{"gate", []string{"\xff"}}, "/devices/0"},
		{MQTTUserSpec{"gate", []string{strings.Repeat("x", 129)}}, "/devices/0"},
	} {
		err := v.spec.Validate()
		var e *Error
		errors.As(err, &e)
		switch {
		case v.path == "" && err == nil:
		case e == nil || e.Code != Invalid || e.At == nil || e.At.Path != v.path:
			t.Errorf("%.60q: %v, want an error at %q", v.spec, err, v.path)
		}
	}
}
