package gatecast

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSettingsOfASubscriptionAreRefusedByTheFieldThatIsWrong(t *testing.T) {
	for path, change := range map[string]func(*SubscriptionSettings){
		"/url":                       func(s *SubscriptionSettings) { s.URL = "" },
		"/url ":                      func(s *SubscriptionSettings) { s.URL = "ftp://host/" },
		"/url  ":                     func(s *SubscriptionSettings) { s.URL = "https://user:secret@host/" },
		"/url   ":                    func(s *SubscriptionSettings) { s.URL = "https://host/#part" },
		"/url    ":                   func(s *SubscriptionSettings) { s.URL = "https:///path" },
		"/url     ":                  func(s *SubscriptionSettings) { s.URL = "https://host:0/" },
		"/description":               func(s *SubscriptionSettings) { s.Description = strings.Repeat("x", 201) },
		"/kinds/1":                   func(s *SubscriptionSettings) { s.Filter.Kinds = []Kind{Record, 7} },
		"/devices/0":                 func(s *SubscriptionSettings) { s.Filter.Devices = []string{""} },
		"/user_types":                func(s *SubscriptionSettings) { s.Traits.UserTypes = make([]int, 257) },
		"/order":                     func(s *SubscriptionSettings) { s.Order = "fifo" },
		"/concurrency":               func(s *SubscriptionSettings) { s.Concurrency = 257 },
		"/rate":                      func(s *SubscriptionSettings) { s.Rate = -1 },
		"/catch_up_rate":             func(s *SubscriptionSettings) { s.CatchUpRate = 100_001 },
		"/timeout":                   func(s *SubscriptionSettings) { s.Timeout = time.Millisecond },
		"/success":                   func(s *SubscriptionSettings) { s.Success = "3xx" },
		"/event_type":                func(s *SubscriptionSettings) { s.EventType = "text" },
		"/batch/max":                 func(s *SubscriptionSettings) { s.Batch.Wait = time.Second },
		"/batch/wait":                func(s *SubscriptionSettings) { s.Batch = Batch{2, time.Hour} },
		"/headers/Host":              func(s *SubscriptionSettings) { s.Headers = map[string]string{"Host": "x"} },
		"/headers/webhook-signature": func(s *SubscriptionSettings) { s.Headers = map[string]string{"webhook-signature": "x"} },
		"/headers/A B":               func(s *SubscriptionSettings) { s.Headers = map[string]string{"A B": "x"} },
		"/headers/X":                 func(s *SubscriptionSettings) { s.Headers = map[string]string{"X": "secret\r\nY: z"} },
		"/auth":                      func(s *SubscriptionSettings) { s.Auth = ReceiverAuth{"secret", "secret", "secret"} },
		"/auth/username":             func(s *SubscriptionSettings) { s.Auth.Password = "secret" },
		"/auth/bearer":               func(s *SubscriptionSettings) { s.Auth.Bearer = "secret secret" },
	} {
		s := SubscriptionSettings{URL: "https://host.example/events?a=b"}.WithDefaults()
		if err := s.Validate(); err != nil {
			t.Fatalf("the settings are refused before the change: %v", err)
		}
		change(&s)
		err := s.Validate()
		var e *Error
		if !errors.As(err, &e) || e.Code != Invalid || e.At == nil || e.At.Path != strings.TrimRight(path, " ") || e.Remedy == "" {
			t.Errorf("%s: %v", path, err)
		}
		if strings.Contains(strings.ToLower(err.Error()), "secret") {
			t.Errorf("%s: the error repeats a secret: %v", path, err)
		}
	}
}

func TestAClonedSettingSharesNothing(t *testing.T) {
	s := SubscriptionSettings{
		Filter: Filter{Devices: []string{"a"}}, Traits: TraitFilter{AlarmCodes: []int{1}}, Headers: map[string]string{"A": "b"},
	}
	c := s.Clone()
	c.Filter.Devices[0], c.Traits.AlarmCodes[0], c.Headers["A"] = "z", 9, "z"
	if !slices.Equal(s.Filter.Devices, []string{"a"}) || s.Traits.AlarmCodes[0] != 1 || s.Headers["A"] != "b" {
		t.Errorf("the original has become %+v", s)
	}
}
