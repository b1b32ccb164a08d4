package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// tokyo is where the vendors' devices stand.
func tokyo() *time.Location { return time.FixedZone("", 9*60*60) }

// site is the devices of a vendor's server: people pass them, and alarms go
// through their states.
type site struct {
	rng    *rand.Rand
	number int
	open   []*siteAlarm
}

// siteAlarm is an alarm that is not over.
type siteAlarm struct {
	number int
	began  time.Time
	status int
}

// next is the next thing that happens, as a message of the push. Its number is
// left to the server.
func (s *site) next(now time.Time) []byte {
	s.number++
	switch {
	case len(s.open) > 0 && s.rng.IntN(20) == 0:
		i := s.rng.IntN(len(s.open))
		a := s.open[i]
		if a.status++; a.status == 3 {
			s.open = append(s.open[:i], s.open[i+1:]...)
		}
		return message(30100, s.alarm(a, now))
	case s.rng.IntN(20) == 0:
		a := &siteAlarm{number: s.number, began: now, status: 1}
		s.open = append(s.open, a)
		return message(30100, s.alarm(a, now))
	}
	return message(30000, s.record(now))
}

func message(code int, data any) []byte {
	text, err := json.Marshal(map[string]any{"code": code, "data": data})
	if err != nil {
		panic(err) // strings and numbers of our own
	}
	return text
}

func (s *site) record(now time.Time) map[string]any {
	one := func(texts ...string) string { return texts[s.rng.IntN(len(texts))] }
	d := map[string]any{
		"id": 0, "userId": s.rng.IntN(500), "name": one("山田 太郎", "佐藤 花子", "髙橋 \"健\"", "O'Neil\\<b>", ""), "type": 1 + s.rng.IntN(3),
		"direction": s.rng.IntN(2), "verifyScore": float64(s.rng.IntN(1000)) / 1000, "receptionUserId": s.rng.IntN(2), "receptionUserName": one("", "受付 一郎"),
		"groups":     []any{map[string]any{"id": int64(9007199254740993), "name": "既定のグループ", "type": 1}}[:s.rng.IntN(2)],
		"deviceName": one("正面玄関", "裏口"), "sn": fmt.Sprintf("SPSP-%032d", s.rng.IntN(12)), "signDate": now.In(tokyo()).Format(time.DateOnly),
		"signTime": now.Unix(), "signTimeZone": "+09:00", "avatar": one("", "5d79ac9f9812ae00aabbccdd"), "signAvatar": "5d901af663cdaf0011223344",
		"signBgAvatar": "5d901af663cdaf0011223345", "mobile": one("", "09012345678"), "icNumber": one("", "0A1B2C3D"), "idNumber": "",
		"jobNumber": one("", "10042"), "remark": one("", "備考 ☃"), "entryMode": 1 + s.rng.IntN(3), "docPhoto": "", "location": "本社 1F", "abnormalType": 0,
	}
	if s.rng.IntN(2) == 0 {
		d["bodyTemperature"], d["mask"] = 36.5, s.rng.IntN(3)
	}
	return d
}

func (s *site) alarm(a *siteAlarm, now time.Time) map[string]any {
	d := map[string]any{
		"id": 0, "level": 1, "code": 10002, "description": "ドアがこじ開けられました", "status": a.status, "traceId": fmt.Sprintf("t-%d", a.number),
		"deviceId": 7, "deviceName": "裏口", "deviceSn": fmt.Sprintf("SPSE-%032d", a.number%5), "deviceLocation": "本社 2F",
		"alarmTime": a.began.In(tokyo()).Format(time.DateTime), "releaseTime": "", "alarmPhoto": "", "resloveOption": 3,
	}
	if a.status == 3 {
		d["releaseTime"] = now.In(tokyo()).Format(time.DateTime)
	}
	return d
}

// feed has things happen at the vendors' servers, at each about once in pace,
// until the test calls the function returned.
func feed(t *testing.T, rng *rand.Rand, pace time.Duration, vendors ...*vendor) (halt func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, v := range vendors {
		s := &site{rng: rand.New(rand.NewPCG(rng.Uint64(), 4))}
		all.Go(func() {
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for ctx.Err() == nil {
				// Never cut short: an event that was taken and not confirmed would be nobody's.
				if err := v.call(context.WithoutCancel(ctx), "events", s.next(time.Now())); err != nil {
					t.Errorf("something happens at %s: %v", v.name, err)
					return
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
	var once sync.Once
	halt = func() { once.Do(func() { cancel(); all.Wait() }) }
	t.Cleanup(halt)
	return halt
}
