package mqtt

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

// Whatever comes first on a connection is a header that a client may send, or an
// error; and a body of any bytes is read without going beyond it.
func FuzzPacket(f *testing.F) {
	f.Add(connectPacket("gate", password, "c"))
	f.Add(connectWith(0xf6, 60, "c", "topic", "will", "gate", password))
	f.Add(publishPacket(1, 7, recordTopic, recordOf(1)))
	f.Add(publishPacket(0, 0, recordTopic, ""))
	f.Add(packetOf(0x82, number(5), textOf("gatecast/#"), []byte{1}))
	f.Add(packetOf(0xa2, number(5), textOf("gatecast/#")))
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) == 0 {
			return
		}
		in := bytes.NewReader(packet[1:])
		h, err := readHead(packet[0], in)
		if err != nil {
			return
		}
		if h.size < 0 || h.size >= 1<<28 || h.qos() > 2 && h.kind == publish {
			t.Fatalf("the header %+v was accepted", h)
		}
		rest := packet[len(packet)-in.Len():]
		b := body(rest[:min(h.size, len(rest)):min(h.size, len(rest))])
		switch h.kind {
		case connect:
			l, err := readConnect(b)
			if err == nil && (len(l.client)+len(l.user)+len(l.password) > len(b)-10 || l.keepAlive < 0) {
				t.Errorf("read %+v in %d bytes", l, len(b))
			}
		case publish:
			m, err := readPublish(h, b)
			if err == nil && (m.topic == "" || (m.id == 0) != (m.qos == 0) || len(m.payload) > len(b)) {
				t.Errorf("read %+v", m)
			}
		case subscribe, unsubscribe:
			id, n, err := readFilters(h, b)
			if err != nil {
				return
			}
			if id == 0 || n < 1 || 2*n > len(b) {
				t.Errorf("read %d filters in %d bytes, identifier %d", n, len(b), id)
			}
			answer := appendSuback(nil, id, n)
			again, err := readHead(0x30, bytes.NewReader(answer[1:])) // its length, whatever its type
			if err != nil || again.size != 2+n {
				t.Errorf("the answer is %x", answer)
			}
		}
	})
}

// Whatever a payload is, it is rubbish for good, or one event of its topic that
// has the same ID and the same data the next time.
func FuzzUnderstand(f *testing.F) {
	for _, payload := range []string{
		recordOf(1), `{"data":{"sn":null}}`, `{"code":30000,"desc":"","data":{"sn":"SPS-1","deviceSN":"SPS-1"}}`,
		`{"eventType":"30100","messageId":"m","sendTime":1583726626015,"data":{"deviceSn":"","status":1}}`, `{"id":4 }`, `{}`, ` [] `, "\xef\xbb\xbf{}",
	} {
		f.Add("SPS-1", payload, false)
		f.Add("東 門", payload, true)
	}
	s := understood()
	f.Fuzz(func(t *testing.T, device, payload string, alarm bool) {
		topic := "gatecast/" + device + "/record"
		if alarm {
			topic = "gatecast/" + device + "/alarm"
		}
		m, err := readPublish(head{kind: publish}, packetOf(0x30, textOf(topic), []byte(payload))[1+sizeOf(2+len(topic)+len(payload)):])
		if err != nil {
			return
		}
		a, ok := readTopic(m.topic)
		if !ok {
			return
		}
		e, err := s.understand(a, m.payload)
		if err != nil {
			if !hopeless(err) {
				t.Errorf("%q: %v", payload, err)
			}
			return
		}
		if e.Device != device || e.Kind != a.kind || (e.Kind == gatecast.Alarm) != alarm || e.Source != Source || e.ID == "" || len(e.ID) > 128 {
			t.Errorf("%q of %q: %+v", payload, device, e)
		}
		if !jsontext.Value(e.Data).IsValid() {
			t.Errorf("%q: its data is %q", payload, e.Data)
		}
		again, err := s.understand(a, m.payload)
		if err != nil || again.ID != e.ID || !bytes.Equal(again.Data, e.Data) {
			t.Errorf("%q: the second time %v, %+v", payload, err, again)
		}
	})
}

// sizeOf returns how many bytes a length takes.
func sizeOf(n int) int { return len(appendSize(nil, n)) }
