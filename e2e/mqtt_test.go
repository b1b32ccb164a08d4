package e2e

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

// mqttAddress is where a server says that devices may publish.
var mqttAddress = regexp.MustCompile(`over mqtt.*address\W+127\.0\.0\.1:([0-9]+)`)

// startMQTT starts a server with the door for MQTT open, and returns its port.
// Later starts take the same one, for the sake of those who come back.
func startMQTT(t *testing.T, data, port string, args ...string) (*server, string) {
	t.Helper()
	for _, program := range []string{"mosquitto_pub", "mosquitto_sub", "stdbuf"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, "there is no %s", program)
		}
	}
	s := start(t, data, append(args, "--mqtt.listen=127.0.0.1:"+port)...)
	found := mqttAddress.FindStringSubmatch(s.output.String())
	if found == nil {
		t.Fatalf("the server does not say where it takes MQTT:\n%s", s.output)
	}
	return s, found[1]
}

// mqttUser makes a user and returns its password.
func (s *server) mqttUser(t *testing.T, name string, devices ...string) string {
	t.Helper()
	body := fmt.Appendf(nil, `{"name":%q,"devices":["%s"]}`, name, strings.Join(devices, `","`))
	status, answer, err := s.do(within(t), http.MethodPost, "/api/v1/mqtt/users", "application/json", body)
	found := regexp.MustCompile(`"password":"([0-9a-f]+)"`).FindStringSubmatch(answer)
	if err != nil || status != http.StatusCreated || found == nil {
		t.Fatalf("make a user: %d %s %v", status, answer, err)
	}
	return found[1]
}

// door is a device that publishes with mosquitto_pub, one record for each line,
// and never waits for an acknowledgement before the next.
type door struct {
	sn, password, port string
	sent               int // records that were given to a mosquitto_pub, in its whole life

	cmd   *exec.Cmd
	in    io.WriteCloser
	first int // the record of its first line
	heard sync.WaitGroup

	mu    sync.Mutex // guards acked
	acked map[int]bool
}

// begin starts a mosquitto_pub with a session that is kept.
func (d *door) begin(t *testing.T) {
	t.Helper()
	d.first = d.sent + 1
	d.cmd = exec.Command("stdbuf", "-oL", "mosquitto_pub", "-h", "127.0.0.1", "-p", d.port, "-u", d.sn, "-P", d.password,
		"-q", "1", "-c", "-i", d.sn, "-l", "-d", "-t", "gatecast/"+d.sn+"/record")
	var err error
	if d.in, err = d.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.cmd.Process.Kill() }) // it has ended as a rule
	first := d.first
	d.heard.Go(func() { d.listen(out, first) })
}

// listen notes what is acknowledged. mosquitto_pub numbers its messages from 1.
func (d *door) listen(out io.Reader, first int) {
	in := bufio.NewScanner(out)
	for in.Scan() {
		_, rest, ok := strings.Cut(in.Text(), "received PUBACK (Mid: ")
		var mid int
		if _, err := fmt.Sscanf(rest, "%d,", &mid); !ok || err != nil {
			continue
		}
		d.mu.Lock()
		d.acked[first+mid-1] = true
		d.mu.Unlock()
	}
}

func (d *door) ackedSoFar() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.acked)
}

// publish hands over so many records.
func (d *door) publish(t *testing.T, n int) {
	t.Helper()
	for range n {
		d.sent++
		if _, err := fmt.Fprintf(d.in, `{"id":%d,"signTime":%d,"name":"somebody"}`+"\n", d.sent, 1583726625+d.sent); err != nil {
			t.Fatalf("mosquitto_pub of %s takes no more: %v", d.sn, err)
		}
	}
}

// end lets mosquitto_pub send what it has, and end by itself.
func (d *door) end(t *testing.T) {
	t.Helper()
	_ = d.in.Close()
	d.heard.Wait()
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("mosquitto_pub of %s: %v", d.sn, err)
	}
}

// crash ends it as a power cut does: what was not acknowledged is lost with it.
func (d *door) crash() {
	_ = d.cmd.Process.Kill()
	d.heard.Wait()
	_ = d.cmd.Wait() // it was killed
}

// TestPublishedSurvivesKill kills the server at random while devices publish
// with quality 1, again and again. Some of the devices die, too. Whatever was
// acknowledged is in the journal once, and what a device lived to send is there
// whole, in its order.
func TestPublishedSurvivesKill(t *testing.T) {
	t.Parallel()
	rng, data := seeded(t), t.TempDir()
	s, port := startMQTT(t, data, "0", "--mqtt.tls=off")
	var doors []*door
	for i := range 4 {
		sn := fmt.Sprintf("SPS-%d", i)
		doors = append(doors, &door{sn: sn, password: s.mqttUser(t, sn, sn), port: port, acked: map[int]bool{}})
	}
	mortal := doors[0]
	for range rounds(4) {
		for _, d := range doors {
			d.begin(t)
			d.publish(t, 50+rng.IntN(400))
		}
		enough := mortal.ackedSoFar() + rng.IntN(40)
		eventually(t, "some are acknowledged", func(context.Context) bool { return mortal.ackedSoFar() >= enough })
		s.kill(t)
		mortal.crash()
		for _, d := range doors[1:] {
			d.publish(t, 20)
		}
		s, _ = startMQTT(t, data, port, "--mqtt.tls=off")
		for _, d := range doors[1:] {
			d.end(t)
			if n := d.ackedSoFar(); n != d.sent {
				t.Errorf("%s: %d of %d messages were acknowledged to a mosquitto_pub that has ended well", d.sn, n, d.sent)
			}
		}
	}
	s.stop(t)
	stored := map[string][]string{}
	for _, e := range openJournal(t, data) {
		if e.Source != "mqtt" || e.Kind != gatecast.Record {
			t.Errorf("in the journal is %+v", e)
		}
		stored[e.Device] = append(stored[e.Device], e.ID)
	}
	for _, d := range doors {
		d.check(t, stored[d.sn])
	}
}

// check compares what was acknowledged with what is in the journal.
func (d *door) check(t *testing.T, stored []string) {
	t.Helper()
	seen := map[string]bool{}
	for _, id := range stored {
		if seen[id] {
			t.Errorf("%s is in the journal twice", id)
		}
		seen[id] = true
	}
	var want []string
	for i := 1; i <= d.sent; i++ {
		id := fmt.Sprintf("record:%s:%d", d.sn, i)
		if d.acked[i] && !seen[id] {
			t.Errorf("%s was acknowledged and is not in the journal", id)
		}
		if seen[id] {
			want = append(want, id)
		}
	}
	if !slices.Equal(want, stored) {
		t.Errorf("the %d records of %s are out of order, or not all its own", len(stored), d.sn)
	}
	t.Logf("%s: %d sent, %d acknowledged, %d stored", d.sn, d.sent, len(d.acked), len(stored))
}

// mosquitto runs one of the clients to its end, and returns how it ended and
// what it printed.
func mosquitto(t *testing.T, program, port string, args ...string) (int, string) {
	t.Helper()
	cmd := exec.CommandContext(within(t), program, append([]string{"-h", "127.0.0.1", "-p", port}, args...)...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func TestMosquittoIsAnsweredAsTheManualSays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, cert, key)
	s, port := startMQTT(t, filepath.Join(dir, "data"), "0", "--mqtt.cert="+cert, "--mqtt.key="+key)
	password := s.mqttUser(t, "gate", "SPS-1")
	pub := func(want int, says string, args ...string) {
		t.Helper()
		if status, out := mosquitto(t, "mosquitto_pub", port, args...); status != want || !strings.Contains(out, says) {
			t.Errorf("%v: status %d, %s, want %d, %s", args, status, out, want, says)
		}
	}
	as := func(password string, args ...string) []string {
		return append([]string{"--cafile", cert, "-u", "gate", "-P", password, "-q", "1"}, args...)
	}
	record := []string{"-t", "gatecast/SPS-1/record", "-m", `{"id":1,"signTime":1583726625}`}
	pub(0, "", as(password, record...)...)
	pub(0, "", as(password, append([]string{"-q", "2", "-V", "mqttv311"}, record...)...)...) // it is there already
	pub(4, "bad user name or password", as("wrong", record...)...)
	pub(7, "connection was lost", as(password, "-t", "gatecast/SPS-2/record", "-m", `{"id":2}`)...)
	pub(0, "", as(password, "-t", "gatecast/SPS-1/alarm", "-m", `{"id":3,"deviceSn":"SPS-2"}`)...)
	pub(0, "", as(password, "-t", "gatecast/SPS-1/alarm", "-m", `rubbish`)...)
	if status, out := mosquitto(t, "mosquitto_pub", port, "-u", "gate", "-P", password, "-t", "gatecast/SPS-1/record", "-m", "{}"); status == 0 {
		t.Errorf("without TLS: %s", out)
	}
	if _, out := mosquitto(t, "mosquitto_sub", port, "--cafile", cert, "-u", "gate", "-P", password, "-t", "#", "-W", "60"); !strings.Contains(out, "All subscription requests were denied") {
		t.Errorf("mosquitto_sub: %s", out)
	}
	var list struct {
		Quarantined []struct{ Source, Reason string }
	}
	s.must(t, http.MethodGet, "/api/v1/quarantine", &list)
	if len(list.Quarantined) != 2 || list.Quarantined[0].Source != "mqtt:SPS-1/alarm" || !strings.Contains(list.Quarantined[1].Reason, "the topic names another device") {
		t.Errorf("in the quarantine: %+v", list.Quarantined)
	}
	s.stop(t)
	events := openJournal(t, filepath.Join(dir, "data"))
	if len(events) != 1 || events[0].ID != "record:SPS-1:1" {
		t.Errorf("in the journal: %+v", events)
	}
}

// writeCertificate writes one for this machine, signed by itself.
func writeCertificate(t *testing.T, cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
