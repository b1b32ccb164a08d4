package sim

import (
	"slices"
	"time"
)

// alarm is one alarm through all its states.
type alarm struct {
	rule   alarmRule
	id     int64     // the same in all its states; 0 before it becomes active
	trace  string    // made when it becomes active
	photo  string    // image ID; empty if the device takes none
	opened time.Time // real time it became active; zero before
}

// States of an alarm.
const (
	active    = 1
	releasing = 2
	released  = 3
)

// Ways of releasing an alarm, by the vendor's numbers.
const (
	noRelease = 0
	atDevice  = 1
	anywhere  = 3
)

// Levels of an alarm.
const (
	alert       = 1
	abnormality = 2
)

// Alarms come during office hours and are released before the last go home.
const (
	earliestAlarm  = 9 * time.Hour
	latestAlarm    = 17*time.Hour + 30*time.Minute
	longestRelease = 40 * time.Minute
)

// alarmRule says what an alarm code means and how often it comes.
type alarmRule struct {
	code    int
	level   int
	text    string
	release int
	photo   bool
	percent int // chance of each of times in a day
	times   int
	places  []place // where it can happen; empty means everywhere
}

func alarmRules() []alarmRule {
	doors := []place{office, vault, canteen}
	gates := []place{gate, parking}
	return []alarmRule{
		{code: 10001, level: alert, text: "端末の盗難を検知しました", release: anywhere, photo: true, percent: 15, times: 1},
		{code: 10002, level: alert, text: "ドアが強制的に開けられました", release: anywhere, photo: true, percent: 60, times: 1, places: doors},
		{code: 10003, level: abnormality, text: "ドアが閉まっていません", release: atDevice, percent: 80, times: 3, places: doors},
		{code: 10004, level: alert, text: "暗証番号の連続誤入力", release: noRelease, photo: true, percent: 40, times: 1, places: doors},
		{code: 10006, level: abnormality, text: "サーマルカメラの接続異常", release: atDevice, percent: 20, times: 1, places: []place{desk}},
		{code: 20001, level: abnormality, text: "カメラのレンズが汚れています", release: atDevice, photo: true, percent: 70, times: 2},
		{code: 20002, level: alert, text: "なりすましの疑い（生体ではない顔）", release: noRelease, photo: true, percent: 50, times: 2, places: gates},
		{code: 20003, level: alert, text: "火災警報", release: anywhere, percent: 8, times: 1},
		{code: 30001, level: abnormality, text: "端末がオフラインになりました", release: noRelease, percent: 60, times: 1},
	}
}

// alarms adds the day's alarms. Two of one code never overlap on a device,
// because each takes a device of its own.
func (p *planner) alarms() {
	for _, rule := range alarmRules() {
		devices := p.site.at(rule.places)
		p.rng.Shuffle(len(devices), func(i, j int) { devices[i], devices[j] = devices[j], devices[i] })
		for i := range min(rule.times, len(devices)) {
			if p.chance(rule.percent) {
				p.alarm(rule, devices[i])
			}
		}
	}
}

// alarm plans one alarm: active, being released, released; or only active if
// its code needs no release.
func (p *planner) alarm(rule alarmRule, dev *device) {
	a := &alarm{rule: rule}
	at := p.between(earliestAlarm, latestAlarm)
	p.steps = append(p.steps, step{at: at, dev: dev, alarm: a, status: active})
	if rule.release == noRelease {
		return
	}
	at += p.between(4*time.Minute, longestRelease)
	p.steps = append(p.steps, step{at: at, dev: dev, alarm: a, status: releasing})
	at += p.between(2*time.Minute, 10*time.Minute)
	p.steps = append(p.steps, step{at: at, dev: dev, alarm: a, status: released})
}

// at lists the devices at such places; all of them if places is empty.
func (s *site) at(places []place) []*device {
	var found []*device
	for _, d := range s.all {
		if len(places) == 0 || slices.Contains(places, d.place) {
			found = append(found, d)
		}
	}
	return found
}
