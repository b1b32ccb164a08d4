package bench

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestAVerdictFollowsFromTheBound(t *testing.T) {
	for _, test := range []struct {
		value float64
		want  *Bound
		is    Verdict
	}{
		{0.9, atLeast(0.9), Reached},
		{0.89, atLeast(0.9), Missed},
		{6, atMost(6), Reached},
		{6.01, atMost(6), Missed},
		{1, nil, ""},
	} {
		if f := (Figure{Value: test.value, Want: test.want}).judged(); f.Verdict != test.is {
			t.Errorf("%v against %v is %q, want %q", test.value, test.want, f.Verdict, test.is)
		}
	}
}

func TestFiguresHaveThreeDigitsThatCount(t *testing.T) {
	for v, want := range map[float64]string{
		0.123: "0.12", 8.444: "8.44", 12.345: "12.3", 123.4: "123", 1234.6: "1,235", 3_300_000: "3,300,000", 999.6: "1,000", 0: "0", 5: "5",
	} {
		if got := number(v); got != want {
			t.Errorf("%v is written %q, want %q", v, got, want)
		}
	}
}

func TestAReportCanBeReadByMachines(t *testing.T) {
	r := Report{Figures: []Figure{Figure{Scenario: "idle", Target: "P3", What: "memory", Value: 7, Unit: "KiB", Want: atMost(6)}.judged(), {Scenario: "idle", What: "more"}}}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"target":"P3"`, `"verdict":"missed"`, `"want":{"at_most":6}`, `"value":7`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s lacks %s", b, want)
		}
	}
	if missed := r.Missed(); len(missed) != 1 || missed[0].What != "memory" {
		t.Errorf("missed: %v", missed)
	}
}

func TestTheMedianOfSomeRoundsIsOneOfThem(t *testing.T) {
	all := []spent{{wall: 9 * time.Second, deliveries: 9}, {wall: time.Second, deliveries: 1}, {wall: 2 * time.Second, deliveries: 2}}
	if m := middle(all); m.wall != 2*time.Second || m.deliveries != 2 {
		t.Errorf("got %+v", m)
	}
	if sum := total(all); sum.wall != 12*time.Second || sum.deliveries != 12 {
		t.Errorf("got %+v", sum)
	}
}
