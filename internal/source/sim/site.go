package sim

import (
	"fmt"
	"math/rand/v2"
)

// Directions of a device.
const (
	in  = 0
	out = 1
)

// place says what a device guards.
type place int

const (
	gate place = iota
	parking
	office
	canteen
	desk
	vault // the server room
)

// device is one terminal of the site.
type device struct {
	id        int64
	name      string
	sn        string // LDID
	location  string
	place     place
	direction int
	thermal   bool // measures temperature and looks for masks
	modes     []int
}

// Ways of showing who one is.
const (
	byFace        = 1
	byQR          = 2
	byCard        = 3
	byFaceAndCard = 4
)

// site is all devices, by what they guard.
type site struct {
	gatesIn, gatesOut []*device
	parkIn, parkOut   *device
	offices           []*device
	canteen           *device
	desk              *device
	vaultIn, vaultOut *device
	all               []*device
}

func newSite(rng *rand.Rand) site {
	face := []int{byFace, byFace, byFace, byFace, byFace, byFace, byCard}
	both := []int{byFaceAndCard}
	qr := []int{byQR}
	list := []device{
		{name: "東門ゲート 入口", location: "本社 1F 東エントランス", place: gate, direction: in, thermal: true, modes: face},
		{name: "東門ゲート 出口", location: "本社 1F 東エントランス", place: gate, direction: out, modes: face},
		{name: "西門ゲート 入口", location: "本社 1F 西エントランス", place: gate, direction: in, thermal: true, modes: face},
		{name: "西門ゲート 出口", location: "本社 1F 西エントランス", place: gate, direction: out, modes: face},
		{name: "総合受付", location: "本社 1F ロビー", place: desk, direction: in, thermal: true, modes: qr},
		{name: "地下駐車場 入口", location: "本社 B1 駐車場", place: parking, direction: in, modes: face},
		{name: "地下駐車場 出口", location: "本社 B1 駐車場", place: parking, direction: out, modes: face},
		{name: "執務室 南扉", location: "本社 2F", place: office, direction: in, modes: face},
		{name: "開発室 北扉", location: "本社 3F", place: office, direction: in, modes: face},
		{name: "営業部 正面扉", location: "本社 4F", place: office, direction: in, modes: face},
		{name: "社員食堂", location: "本社 5F", place: canteen, direction: in, thermal: true, modes: face},
		{name: "サーバー室 入口", location: "本社 B2", place: vault, direction: in, modes: both},
		{name: "サーバー室 出口", location: "本社 B2", place: vault, direction: out, modes: both},
	}
	var s site
	for i := range list {
		d := &list[i]
		d.id = int64(1561 + i)
		d.sn = fmt.Sprintf("%s-%016x%016x", model(d.place), rng.Uint64(), rng.Uint64())
		s.add(d)
	}
	return s
}

// model is the LDID prefix of the hardware that stands at such a place.
func model(p place) string {
	if p == gate || p == parking {
		return "SPSE"
	}
	return "SPSP"
}

func (s *site) add(d *device) {
	s.all = append(s.all, d)
	switch {
	case d.place == gate && d.direction == in:
		s.gatesIn = append(s.gatesIn, d)
	case d.place == gate:
		s.gatesOut = append(s.gatesOut, d)
	case d.place == parking && d.direction == in:
		s.parkIn = d
	case d.place == parking:
		s.parkOut = d
	case d.place == office:
		s.offices = append(s.offices, d)
	case d.place == canteen:
		s.canteen = d
	case d.place == desk:
		s.desk = d
	case d.direction == in:
		s.vaultIn = d
	default:
		s.vaultOut = d
	}
}
