package mqtt

import (
	"strings"
	"testing"
)

func TestWhoMaySignInIsAnswered(t *testing.T) {
	s := newSite(t, Options{})
	v31 := packetOf(0x10, textOf("MQIsdp"), []byte{3, 0xc2}, number(0), textOf("c"), textOf("gate"), textOf(password))
	v5 := packetOf(0x10, textOf("MQTT"), []byte{5, 0xc2}, number(0), []byte{0}, textOf("c"), textOf("gate"), textOf(password))
	for name, v := range map[string]struct {
		packet []byte
		want   string
	}{
		"a clean session":            {connectPacket("gate", password, "c"), "20020000"},
		"without an identifier":      {connectPacket("gate", password, ""), "20020000"},
		"a session that is kept":     {connectWith(0xc0, 60, "c", "gate", password), "20020100"},
		"with a will":                {connectWith(0xc6|2<<3|0x20, 60, "c", "gatecast/SPS-1/record", recordOf(1), "gate", password), "20020000"},
		"kept without an identifier": {connectWith(0xc0, 60, "", "gate", password), "20020002"},
		"an identifier without end":  {connectPacket("gate", password, strings.Repeat("c", 257)), "20020002"},
		"a wrong password":           {connectPacket("gate", strings.ToUpper(password), "c"), "20020004"},
		"an empty password":          {connectPacket("gate", "", "c"), "20020004"},
		"no password":                {connectWith(0x82, 60, "c", "gate"), "20020004"},
		"no user":                    {connectWith(0x02, 60, "c"), "20020004"},
		"an unknown user":            {connectPacket("nobody", password, "c"), "20020004"},
		"a user with an empty name":  {connectPacket("", password, "c"), "20020004"},
		"MQTT 3.1":                   {v31, "20020001"},
		"MQTT 5":                     {v5, "20020001"},
	} {
		p := s.dial()
		p.send(v.packet)
		t.Log(name)
		p.expect(v.want)
		if v.want[6:] == "00" {
			p.send([]byte{0xe0, 0})
		}
		p.closed()
	}
	if got := s.stored(); got != nil {
		t.Errorf("a will became an event: %v", got)
	}
}

func TestWhatIsNotTheProtocolEndsTheConnectionWithoutAnAnswer(t *testing.T) {
	s := newSite(t, Options{})
	good := connectPacket("gate", password, "c")
	for name, first := range map[string][]byte{
		"HTTP":                        []byte("GET / HTTP/1.1\r\n\r\n"),
		"a PUBLISH first":             publishPacket(1, 1, recordTopic, recordOf(1)),
		"another protocol":            packetOf(0x10, textOf("HTTP"), []byte{4, 2}, number(0), textOf("c")),
		"a length without end":        {0x10, 0xff, 0xff, 0xff, 0xff},
		"a CONNECT that is huge":      {0x10, 0xff, 0xff, 0xff, 0x7f},
		"a CONNECT that ends early":   packetOf(0x10, textOf("MQTT"), []byte{4}),
		"a text that ends early":      packetOf(0x10, textOf("MQTT"), []byte{4, 2}, number(0), number(9)),
		"a CONNECT with a rest":       packetOf(0x10, textOf("MQTT"), []byte{4, 2}, number(0), textOf("c"), []byte("xx")),
		"reserved flags":              connectWith(0xc3, 0, "c", "gate", password),
		"flags of a will without one": connectWith(0xc2|1<<3, 0, "c", "gate", password),
		"a will of quality 3":         connectWith(0xc6|3<<3, 0, "c", "t", "m", "gate", password),
		"a password without a user":   connectWith(0x42, 0, "c", password),
		"an identifier with NUL":      connectPacket("gate", password, "a\x00b"),
		"an identifier not in UTF-8":  connectPacket("gate", password, "a\xffb"),
		"flags of a CONNECT":          append([]byte{0x11}, good[1:]...),
	} {
		p := s.dial()
		p.send(first)
		t.Log(name)
		p.hungUp()
	}
	for name, then := range map[string][]byte{
		"a second CONNECT":          good,
		"a CONNACK":                 {0x20, 2, 0, 0},
		"a PUBACK":                  {0x40, 2, 0, 1},
		"a PUBREC":                  {0x50, 2, 0, 1},
		"a PUBCOMP":                 {0x70, 2, 0, 1},
		"a SUBACK":                  {0x90, 3, 0, 1, 0},
		"type 0":                    {0x00, 0},
		"type 15":                   {0xf0, 0},
		"a topic with +":            publishPacket(1, 1, "gatecast/+/record", recordOf(1)),
		"a topic with #":            publishPacket(1, 1, "gatecast/#", recordOf(1)),
		"a topic with NUL":          publishPacket(1, 1, "gatecast/SPS-1\x00/record", recordOf(1)),
		"a topic not in UTF-8":      publishPacket(1, 1, "gatecast/\xff/record", recordOf(1)),
		"a topic that is empty":     publishPacket(1, 1, "", recordOf(1)),
		"a PUBLISH of quality 3":    publishPacket(3, 1, recordTopic, recordOf(1)),
		"a PUBLISH that ends early": {0x32, 1, 0},
		"an identifier of 0":        publishPacket(1, 0, recordTopic, recordOf(1)),
		"quality 0 again":           append([]byte{0x38}, publishPacket(0, 0, recordTopic, recordOf(1))[1:]...),
		"a length without end":      {0x32, 0xff, 0xff, 0xff, 0xff, 0x01},
		"a SUBSCRIBE to nothing":    packetOf(0x82, number(1)),
		"a SUBSCRIBE of quality 3":  packetOf(0x82, number(1), textOf("a"), []byte{3}),
		"a SUBSCRIBE without flags": packetOf(0x80, number(1), textOf("a"), []byte{0}),
		"a SUBSCRIBE that is huge":  packetOf(0x82, number(1), make([]byte, maxControl)),
		"an UNSUBSCRIBE of nothing": packetOf(0xa2, number(1)),
		"a PUBREL without flags":    packetOf(0x60, number(1)),
		"a PUBREL that is long":     packetOf(0x62, number(1), number(1)),
		"a PINGREQ with a body":     {0xc0, 1, 0},
		"a DISCONNECT with a body":  {0xe0, 1, 0},
		"half a packet":             publishPacket(1, 1, recordTopic, recordOf(1))[:9],
	} {
		p := s.connect("gate", "")
		p.send(then)
		if name == "half a packet" {
			_ = p.c.Close()
			continue
		}
		t.Log(name)
		p.hungUp()
	}
	if got := s.stored(); got != nil {
		t.Errorf("stored %v", got)
	}
}

func TestMoreClientsThanMaySignInAreRefused(t *testing.T) {
	s := newSite(t, Options{Limits: Limits{Conns: 2}})
	first := s.connect("gate", "a")
	s.connect("gate", "b")
	p := s.dial()
	p.send(connectPacket("gate", password, "c"))
	p.expect("20020003")
	p.closed()
	first.send([]byte{0xe0, 0})
	first.closed()
	eventually(t, "a place is free", func() bool { return s.Connections() == 1 })
	s.connect("gate", "c")
}

func TestACrowdThatSaysNothingKeepsNobodyOut(t *testing.T) {
	s := newSite(t, Options{Limits: Limits{Conns: 40, LoginRate: 10_000}}) // 16 may wait
	var crowd []*peer
	for range 60 {
		crowd = append(crowd, s.dial())
	}
	crowd[0].closed() // those that have waited longest make room
	p := s.connect("gate", "door-1")
	p.send(publishPacket(1, 1, recordTopic, recordOf(1)))
	p.expect("40020001")
	last := crowd[59]
	last.send(connectPacket("gate", password, "door-2"))
	last.expect("20020000")
	for _, p := range crowd {
		_ = p.c.Close()
	}
}

func TestWhoBringsMoreThanTheMemoryHoldsIsCutOffAlone(t *testing.T) {
	s := newSite(t, Options{Limits: Limits{Packet: 256 << 10, Memory: 256 << 10}})
	p, other := s.connect("gate", "door-1"), s.connect("gate", "door-2")
	release := s.hold()
	other.send(publishPacket(1, 1, recordTopic, recordOf(1)))
	eventually(t, "the message is read", func() bool { return s.budget.spent() > 0 })
	p.send(publishPacket(1, 2, recordTopic, `{"remark":"`+strings.Repeat("x", 256<<10-60)+`"}`))
	p.hungUp()
	release()
	other.expect("40020001")
	if got := s.stored(); len(got) != 1 || len(s.quarantined()) != 0 {
		t.Errorf("stored %v, kept %v", got, s.quarantined())
	}
}

func TestAClientIsReadNoFurtherThanItMayHaveUnanswered(t *testing.T) {
	s := newSite(t, Options{Limits: Limits{Inflight: 4}})
	p := s.connect("gate", "door-1")
	release := s.hold()
	const n = 50
	var acks strings.Builder
	for i := 1; i <= n; i++ {
		p.send(publishPacket(1, i, recordTopic, recordOf(i)))
		acks.WriteString("4002" + hex4(i))
	}
	size := int64(len(publishPacket(1, 1, recordTopic, recordOf(1))))
	eventually(t, "the inbox is full", func() bool { return s.budget.spent() >= 4*(size-2) })
	if got := s.budget.spent(); got > 5*(size+2) { // one more waits to be put in
		t.Errorf("%d bytes were read, of messages of %d", got, size)
	}
	release()
	p.expect(acks.String())
	if got := s.stored(); len(got) != n {
		t.Errorf("%d events", len(got))
	}
}

func hex4(n int) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[n>>12&15], digits[n>>8&15], digits[n>>4&15], digits[n&15]})
}
