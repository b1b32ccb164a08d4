package sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/source/sim"
	"github.com/google/go-cmp/cmp"
)

func start() time.Time { return time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC) }

// message is a push message as a client reads it.
type message struct {
	Code int
	Data struct {
		ID, UserID, SignTime, DeviceID     int64
		Type, Direction, AbnormalType      int
		EntryMode, Status, ResloveOption   int
		Code, Level                        int
		Name, SN, SignDate, SignTimeZone   string
		DeviceSN, DeviceName, Location     string
		Avatar, SignAvatar, SignBgAvatar   string
		ReceptionUserName, ICNumber        string
		TraceID, AlarmTime, ReleaseTime    string
		AlarmPhoto, Description, JobNumber string
		ReceptionUserID                    int64
		VerifyScore                        float64
		BodyTemperature                    *float64
		Mask                               *int
		Groups                             []struct{ ID, Type int64 }
	}
}

func read(t interface{ Fatalf(string, ...any) }, body []byte) message {
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return m
}

func TestTheSameSeedMakesTheSameBytes(t *testing.T) {
	take := func(seed int64) (all []string) {
		s := sim.New(sim.Options{Seed: seed, Start: start()})
		for range 3000 {
			body, at := s.Next()
			all = append(all, at.Format(time.RFC3339Nano)+" "+string(body))
		}
		return all
	}
	if diff := cmp.Diff(take(7), take(7)); diff != "" {
		t.Error(diff)
	}
	if slices.Equal(take(7), take(8)) {
		t.Error("seeds 7 and 8 make the same events")
	}
}

func TestKeysStandInTheVendorsOrder(t *testing.T) {
	want := map[int]string{}
	for _, sample := range []string{"record", "alarm"} {
		body, err := os.ReadFile("testdata/" + sample + ".push.json")
		if err != nil {
			t.Fatal(err)
		}
		want[read(t, body).Code] = keys(body)
	}
	s := sim.New(sim.Options{Start: start()})
	for range 3000 {
		body, _ := s.Next()
		m := read(t, body)
		expect := want[m.Code]
		if m.Data.Mask == nil {
			expect = strings.Replace(expect, ` "bodyTemperature" "mask"`, "", 1)
		}
		if m.Data.Type == 3 {
			expect = strings.Replace(expect, `"groups" "id" "name" "type"`, `"groups"`, 1)
		}
		if len(m.Data.Groups) > 1 {
			expect = strings.Replace(expect, `"id" "name" "type" "deviceName"`,
				`"id" "name" "type" "id" "name" "type" "deviceName"`, 1)
		}
		if got := keys(body); got != expect {
			t.Fatalf("keys\n%s\nwant\n%s", got, expect)
		}
	}
}

func keys(body []byte) string {
	found := regexp.MustCompile(`("\w+"):`).FindAllStringSubmatch(string(body), -1)
	var list []string
	for _, f := range found {
		list = append(list, f[1])
	}
	return strings.Join(list, " ")
}

func TestEveryEventIsWellFormed(t *testing.T) {
	s := sim.New(sim.Options{Seed: 3, Start: start()})
	var lastRecord, lastAlarm int64
	last := start()
	seen := map[string]bool{}
	for range 10_000 {
		body, at := s.Next()
		m := read(t, body)
		if at.Before(last) {
			t.Fatalf("time goes back from %v to %v", last, at)
		}
		last = at
		var complaints []string
		if m.Code == int(gatecast.Record) {
			complaints = checkRecord(m, at, lastRecord)
			lastRecord = m.Data.ID
			seen[fmt.Sprint("type ", m.Data.Type)] = true
			seen[fmt.Sprint("abnormal ", m.Data.AbnormalType)] = true
			seen[fmt.Sprint("mode ", m.Data.EntryMode)] = true
		} else {
			complaints = checkAlarm(m, at, lastAlarm)
			lastAlarm = max(lastAlarm, m.Data.ID)
			seen[fmt.Sprint("alarm ", m.Data.Code)] = true
		}
		if len(complaints) > 0 {
			t.Fatalf("%v in %s", complaints, body)
		}
	}
	for _, want := range []string{
		"type 1", "type 2", "type 3", "mode 1", "mode 2", "mode 3", "mode 4", "abnormal 0", "abnormal 10002",
		"abnormal 20001", "abnormal 30003", "abnormal 40001", "abnormal 50001", "alarm 10002", "alarm 10003",
		"alarm 20001", "alarm 30001",
	} {
		if !seen[want] {
			t.Errorf("10,000 events hold no %s", want)
		}
	}
}

func checkRecord(m message, at time.Time, last int64) (bad []string) {
	d := m.Data
	check := func(ok bool, what string) {
		if !ok {
			bad = append(bad, what)
		}
	}
	image := regexp.MustCompile(`^[0-9a-f]{24}$`)
	check(d.ID > last && d.ID < 1<<31, "id")
	check(d.SignTime == at.Unix() && d.SignTimeZone == "+09:00", "signTime")
	check(d.SignDate == at.In(time.FixedZone("", 9*3600)).Format("2006-01-02"), "signDate")
	check(regexp.MustCompile(`^SPS[EP]-[0-9a-f]{32}$`).MatchString(d.SN), "sn")
	check(d.DeviceName != "" && d.Location != "" && (d.Direction == 0 || d.Direction == 1), "device")
	check(image.MatchString(d.SignAvatar) && image.MatchString(d.SignBgAvatar) && d.SignAvatar != d.SignBgAvatar, "photo")
	check((d.Mask == nil) == (d.BodyTemperature == nil), "mask and temperature come together")
	check((d.Type == 3) == (d.UserID == 0) && (d.UserID == 0) == (d.Name == "") && (d.Name == "") == (d.Avatar == ""), "stranger")
	check((d.JobNumber != "") == (d.Type == 1), "jobNumber")
	check((d.ReceptionUserID != 0) == (d.ReceptionUserName != ""), "reception")
	check(d.ReceptionUserID == 0 || d.Type == 2, "only visitors are received")
	check(d.VerifyScore >= 0 && d.VerifyScore < 1, "verifyScore")
	check((d.AbnormalType == 40001) == (d.BodyTemperature != nil && *d.BodyTemperature >= 37.5), "temperature")
	check(d.AbnormalType != 50001 || *d.Mask == 1, "mask")
	check(d.EntryMode != 3 || d.ICNumber != "", "card")
	return bad
}

func checkAlarm(m message, at time.Time, last int64) (bad []string) {
	d := m.Data
	release := map[int]int{
		10001: 3, 10002: 3, 20003: 3, 10003: 1, 20001: 1, 10006: 1, 10004: 0, 20002: 0, 30001: 0,
	}
	option, known := release[d.Code]
	now := at.In(time.FixedZone("", 9*3600)).Format("2006-01-02 15:04:05")
	for what, ok := range map[string]bool{
		"id":            d.Status == 1 && d.ID > last || d.Status > 1 && d.ID > 0 && d.ID <= last,
		"code":          known,
		"resloveOption": d.ResloveOption == option,
		"level":         d.Level == 1 || d.Level == 2,
		"device":        d.DeviceID > 0 && d.DeviceName != "" && d.DeviceSN != "",
		"description":   d.Description != "",
		"alarmTime":     d.Status != 1 || d.AlarmTime == now,
		"releaseTime":   d.ReleaseTime == map[bool]string{true: now}[d.Status == 3],
	} {
		if !ok {
			bad = append(bad, what)
		}
	}
	return bad
}

func TestAnAlarmPassesThroughItsStatesInOrder(t *testing.T) {
	for seed := range int64(10) {
		s := sim.New(sim.Options{Seed: seed - 5, Start: start()})
		state := map[string]message{}
		for range 2000 {
			body, _ := s.Next()
			m := read(t, body)
			if m.Code != int(gatecast.Alarm) {
				continue
			}
			before, d := state[m.Data.TraceID], m.Data
			if d.Status != before.Data.Status+1 || d.Status > 1 && d.ResloveOption == 0 {
				t.Fatalf("status %d after %d: %s", d.Status, before.Data.Status, body)
			}
			if b := before.Data; d.Status > 1 && (b.ID != d.ID || b.Code != d.Code || b.DeviceSN != d.DeviceSN ||
				b.AlarmTime != d.AlarmTime || b.AlarmPhoto != d.AlarmPhoto) {
				t.Fatalf("alarm changed between its states: %s", body)
			}
			state[d.TraceID] = m
		}
	}
}

func TestPeopleGoInBeforeTheyGoOut(t *testing.T) {
	for seed := range int64(10) {
		s := sim.New(sim.Options{Seed: seed - 5, Start: start()})
		inside := map[string]bool{}
		for range 3000 {
			body, _ := s.Next()
			m := read(t, body)
			place, _, _ := strings.Cut(m.Data.DeviceName, " ")
			guarded := strings.HasSuffix(place, "ゲート") || place == "サーバー室" || place == "地下駐車場"
			if m.Code != int(gatecast.Record) || m.Data.UserID == 0 || m.Data.AbnormalType != 0 || !guarded {
				continue
			}
			who := fmt.Sprint(m.Data.UserID, strings.TrimLeft(place, "東西")) // any gate leads inside
			if goingIn := m.Data.Direction == 0; goingIn == inside[who] {
				t.Fatalf("%s passes twice the same way: %s", m.Data.Name, body)
			}
			inside[who] = m.Data.Direction == 0
		}
	}
}

func TestRateIsHeldOverADayAndRushHoursStandOut(t *testing.T) {
	s := sim.New(sim.Options{Seed: 1, Rate: 4, Start: start()})
	_, first := s.Next()
	if first.Sub(start()) > time.Second {
		t.Errorf("first event comes %v after the start", first.Sub(start()))
	}
	const n = 8000
	perSlice := map[int64]int{}
	var last time.Time
	for range n {
		_, last = s.Next()
		perSlice[int64(last.Sub(start())/(10*time.Second))]++
	}
	if rate := n / last.Sub(first).Seconds(); rate < 3.6 || rate > 4.4 {
		t.Errorf("rate %.2f events a second, want about 4", rate)
	}
	busiest := 0
	for _, count := range perSlice {
		busiest = max(busiest, count)
	}
	if busiest < 2*4*10 {
		t.Errorf("busiest ten seconds hold %d events, which is no rush", busiest)
	}
}

func TestRunSendsEachEventWhenItsTimeHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		o := sim.Options{Seed: 5, Start: time.Now()}
		plan := sim.New(o)
		sent := 0
		err := sim.New(o).Run(ctx, func(_ context.Context, body []byte) error {
			want, at := plan.Next()
			if string(body) != string(want) || !time.Now().Equal(at) {
				t.Errorf("event %d sent at %v, planned for %v", sent, time.Now(), at)
			}
			if sent++; sent == 2000 {
				stop()
			}
			return nil
		})
		if err != nil || sent != 2000 {
			t.Errorf("Run returned %v after %d events", err, sent)
		}
	})
}

func TestARefusedEventIsSentAgainWithTheSameBytesAndTheSiteWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var bodies []string
		var gaps []time.Duration
		last := time.Now()
		err := sim.New(sim.Options{}).Run(ctx, func(_ context.Context, body []byte) error {
			bodies = append(bodies, string(body))
			gaps = append(gaps, time.Since(last))
			last = time.Now()
			switch n := len(bodies); {
			case n <= 3:
				return gatecast.Errorf(gatecast.Unavailable, "no")
			case n == 4:
				return &gatecast.Error{Code: gatecast.TooMany, Retry: time.Minute}
			case n == 7:
				stop()
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			if bodies[i] != bodies[i+1] {
				t.Errorf("attempt %d has other bytes", i+2)
			}
		}
		want := []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, time.Minute}
		if diff := cmp.Diff(want, gaps[:5]); diff != "" {
			t.Error(diff)
		}
		if len(bodies) != 7 || bodies[5] == bodies[4] {
			t.Errorf("%d attempts; after an accepted event comes the next one", len(bodies))
		}
	})
}

func TestRunEndsWithAnErrorThatWillNotPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusal := gatecast.Errorf(gatecast.Invalid, "never")
		err := sim.New(sim.Options{}).Run(t.Context(), func(context.Context, []byte) error { return refusal })
		if !errors.Is(err, refusal) {
			t.Errorf("Run returned %v", err)
		}
	})
}

func TestASiteStartedAgainDoesNotUseItsIDsAgain(t *testing.T) {
	used := map[string]bool{}
	for _, at := range []time.Time{start(), start().Add(5 * time.Minute)} {
		s := sim.New(sim.Options{Rate: 30, Start: at})
		for now := at; now.Before(at.Add(4 * time.Minute)); {
			var body []byte
			body, now = s.Next()
			m := read(t, body)
			if id := fmt.Sprint(m.Code, m.Data.ID, m.Data.Status); used[id] {
				t.Fatalf("ID %d is used again: %s", m.Data.ID, body)
			} else {
				used[id] = true
			}
		}
	}
}
