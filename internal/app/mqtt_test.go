package app

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast/internal/config"
)

// thing is a client of MQTT that speaks in bytes.
type thing struct {
	t  testing.TB
	c  net.Conn
	in *bufio.Reader
}

// publisher signs in to a server with a user made for it.
func (r *trial) publisher(t testing.TB, name string, secure *tls.Config) *thing {
	t.Helper()
	status, body := r.do("POST", "/api/v1/mqtt/users", r.info.AdminToken, `{"name":"`+name+`","devices":["SPS-1"]}`)
	var user struct{ Password string }
	if err := json.Unmarshal([]byte(body), &user); err != nil || status != http.StatusCreated {
		t.Fatalf("make a user: %d %s %v", status, body, err)
	}
	c, err := net.Dial("tcp", r.info.MQTT)
	if err != nil {
		t.Fatal(err)
	}
	if secure != nil {
		c = tls.Client(c, secure)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute)) // ends a test that hangs
	d := &thing{t, c, bufio.NewReader(c)}
	d.send(0x10, mqttText("MQTT"), "\x04\xc2\x00\x00", mqttText(name), mqttText(name), mqttText(user.Password))
	d.expect("20020000")
	return d
}

func mqttText(s string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s
}

// send writes a packet of less than 128 bytes.
func (d *thing) send(first byte, parts ...string) {
	d.t.Helper()
	rest := strings.Join(parts, "")
	if _, err := d.c.Write(append([]byte{first, byte(len(rest))}, rest...)); err != nil || len(rest) > 127 {
		d.t.Fatal(len(rest), err)
	}
}

func (d *thing) publish(id uint16, topic, payload string) {
	d.t.Helper()
	d.send(0x32, mqttText(topic), string(binary.BigEndian.AppendUint16(nil, id)), payload)
}

func (d *thing) expect(want string) {
	d.t.Helper()
	b := make([]byte, len(want)/2)
	if n, err := io.ReadFull(d.in, b); fmt.Sprintf("%x", b) != want {
		d.t.Fatalf("got %x (%v), want %s", b[:n], err, want)
	}
}

func TestDevicesPublishOverTLSAndWhatIsRubbishCanBeInjected(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	writePair(t, cert, key, 1)
	r := start(t, Options{}, func(c *config.Config) {
		c.TLS.Cert, c.TLS.Key = cert, key
		c.MQTT.Listen = "127.0.0.1:0"
	})
	d := r.publisher(t, "gate", &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"mqtt"}}) // the certificate is made by the test
	d.publish(1, "gatecast/SPS-1/record", `{"id":1,"signTime":1583726625}`)
	d.publish(2, "gatecast/SPS-1/alarm", `{"id":"x"}`)
	d.expect("40020001" + "40020002")
	var list struct {
		Quarantined []struct{ ID, Source string }
	}
	_, body := r.do("GET", "/api/v1/quarantine", r.info.AdminToken, "")
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Quarantined) != 1 || list.Quarantined[0].Source != "mqtt:SPS-1/alarm" {
		t.Fatalf("in the quarantine: %s %v", body, err)
	}
	status, body := r.do("POST", "/api/v1/quarantine/"+list.Quarantined[0].ID+"/inject", r.info.AdminToken, `{"message":{"id":2,"status":1}}`)
	if status != http.StatusOK || !strings.Contains(body, `"accepted":1`) {
		t.Errorf("inject: %d %s", status, body)
	}
	if _, body := r.do("GET", "/api/v1/mqtt/users", r.info.AdminToken, ""); !strings.Contains(body, `"online":1`) || strings.Contains(body, "password") {
		t.Errorf("the users are %s", body)
	}
	if _, body := r.do("GET", "/api/v1/status", r.info.AdminToken, ""); !strings.Contains(body, `"last":2`) {
		t.Errorf("the status is %s", body)
	}
	if _, body := r.do("GET", "/metrics", "", ""); !strings.Contains(body, `gatecast_mqtt_events_total{kind="alarm"} 1`) {
		t.Error("the metrics do not count what came over MQTT")
	}
	if status, _ := r.do("DELETE", "/api/v1/mqtt/users/gate", r.info.AdminToken, ""); status != http.StatusNoContent {
		t.Errorf("delete: %d", status)
	}
	d.send(0xc0)
	if _, err := d.in.ReadByte(); err == nil {
		t.Error("a user who is gone was answered")
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

func TestMQTTIsOffUnlessItIsAskedFor(t *testing.T) {
	r := start(t, Options{}, func(*config.Config) {})
	if r.info.MQTT != "" {
		t.Errorf("it listens on %s", r.info.MQTT)
	}
	if _, body := r.do("GET", "/metrics", "", ""); strings.Contains(body, "gatecast_mqtt") {
		t.Error("the metrics count what cannot come")
	}
	if _, body := r.do("GET", "/api/v1/mqtt/users", r.info.AdminToken, ""); body != "{\"users\":[]}\n" && body != `{"users":[]}` {
		t.Errorf("the users are %s", body)
	}
}

func TestAPortForMQTTThatIsTakenIsToldBeforeAnythingElse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := config.Default()
	cfg.Server.Listen, cfg.Server.Data = "127.0.0.1:0", filepath.Join(t.TempDir(), "data")
	cfg.MQTT.Listen, cfg.MQTT.TLS = l.Addr().String(), "off"
	if err := Run(t.Context(), cfg, Options{}); err == nil || !strings.Contains(err.Error(), "mqtt.listen") {
		t.Errorf("got %v", err)
	}
}

// BenchmarkPublish is one device with some messages in flight, over a real
// journal: events per second are 1e9 by ns/op.
func BenchmarkPublish(b *testing.B) {
	for _, window := range []int{1, 20, 256} {
		b.Run(fmt.Sprint(window), func(b *testing.B) {
			r := start(b, Options{}, func(c *config.Config) { c.MQTT.Listen, c.MQTT.TLS = "127.0.0.1:0", "off" })
			d := r.publisher(b, "gate", nil)
			_ = d.c.SetDeadline(time.Time{})
			free := make(chan struct{}, window)
			for range window {
				free <- struct{}{}
			}
			done := make(chan error, 1)
			n := 0
			for b.Loop() {
				if n == 0 {
					go d.count(free, done)
				}
				<-free
				n++
				d.publish(uint16(n%65535+1), "gatecast/SPS-1/record", fmt.Sprintf(`{"id":%d,"signTime":1583726625,"name":"somebody"}`, n))
			}
			for range window {
				<-free
			}
			_ = d.c.Close()
			<-done
		})
	}
}

// count makes room for a message for each that is acknowledged.
func (d *thing) count(free chan<- struct{}, done chan<- error) {
	var ack [4]byte
	for {
		if _, err := io.ReadFull(d.in, ack[:]); err != nil {
			done <- err
			return
		}
		free <- struct{}{}
	}
}
