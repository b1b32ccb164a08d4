package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/standin"
)

// vendor is one running "gatecast simulate senselink": a server of the vendor's,
// with a truth of its own. gatecast reaches it over a network that can break.
type vendor struct {
	name   string // of the source in gatecast
	style  gatecast.RESTStyle
	base   string // where its levers are
	key    string
	secret string
	net    *proxy        // from gatecast to it
	back   *proxy        // from it to gatecast; nil: it posts nothing
	post   string        // the path that it posts to, a secret
	exited chan struct{} // closed when the process has ended
}

// had is one event of a vendor's truth.
type had struct {
	Kind   string
	ID     int64
	Status int64
	At     time.Time
	Added  time.Time
	Data   json.RawMessage
}

// id is the ID of the event in the journal.
func (h had) id(source string) string {
	if h.Kind == "alarm" {
		return fmt.Sprintf("%s:alarm:%d:%d", source, h.ID, h.Status)
	}
	return fmt.Sprintf("%s:record:%d", source, h.ID)
}

// startVendor starts a stand-in that has no events, and numbers them from first
// on. The test's end kills it.
func startVendor(t *testing.T, name string, style gatecast.RESTStyle, first int64) *vendor {
	t.Helper()
	v := &vendor{name: name, style: style, key: "5a0f2b6c7d8e9f01", secret: "e30af86f8f4e75d128ba4288597dea3c", net: newProxy(t), exited: make(chan struct{})}
	cmd := exec.Command(binary, "simulate", "senselink", "--listen", "127.0.0.1:0", "--rate", "0",
		"--app-key", v.key, "--app-secret", v.secret, "--first", fmt.Sprint(first))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(out)
	for v.base == "" && in.Scan() {
		_, v.base, _ = strings.Cut(in.Text(), "a stand-in for a SenseLink server on ")
	}
	go func() {
		defer close(v.exited)
		_, _ = io.Copy(io.Discard, out) // until it ends
		_ = cmd.Wait()                  // it is killed
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-v.exited
		if text := complaints.String(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic: ") {
			t.Errorf("the standard error of the vendor %s:\n%s", name, text)
		}
	})
	if v.base == "" {
		t.Fatal("the vendor's server never said where it listens")
	}
	v.net.leadToAddress(strings.TrimPrefix(v.base, "http://"))
	return v
}

// hostVendor is startVendor without a process of its own, for tests of many.
func hostVendor(t *testing.T, name string, first int64) *vendor {
	t.Helper()
	v := &vendor{name: name, style: gatecast.RESTv5, net: newProxy(t)}
	s := standin.New(standin.Options{Zone: tokyo(), Heartbeat: time.Second, Numbers: standin.Numbers{First: first}})
	web := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); web.CloseClientConnections(); web.Close() })
	v.base, v.key, v.secret = web.URL, s.AppKey(), s.AppSecret()
	v.net.leadToAddress(strings.TrimPrefix(v.base, "http://"))
	return v
}

// pull pulls a lever of the stand-in.
func (v *vendor) pull(t *testing.T, lever, body string) {
	t.Helper()
	if err := v.call(within(t), lever, []byte(body)); err != nil {
		t.Fatal(err)
	}
}

func (v *vendor) call(ctx context.Context, lever string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.base+"/standin/"+lever, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s of %s: %d %s", lever, v.name, res.StatusCode, answer)
	}
	return err
}

// look reads a page of the stand-in's levers.
func (v *vendor) look(ctx context.Context, page string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+"/standin/"+page, http.NoBody)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(out)
}

// truth is everything that the vendor's server ever had, in its order.
func (v *vendor) truth(t *testing.T) []had {
	t.Helper()
	var all struct{ Events []had }
	if err := v.look(within(t), "events", &all); err != nil {
		t.Fatalf("ask %s for its truth: %v", v.name, err)
	}
	return all.Events
}

// standing is how the vendor's server stands.
func (v *vendor) standing(ctx context.Context, t *testing.T) (st struct {
	Connections  int
	Subscription struct{ State, Reason string }
},
) {
	t.Helper()
	if err := v.look(ctx, "status", &st); err != nil {
		t.Fatalf("ask %s how it stands: %v", v.name, err)
	}
	return st
}

// addVendor makes a source of a vendor's server, by the command line.
func (s *server) addVendor(t *testing.T, v *vendor) {
	t.Helper()
	web := v.net.base()
	args := []string{
		"source", "add", v.name, "--server", s.base, "--token", s.token, "--json",
		"--app-key", v.key, "--app-secret", v.secret, "--rest", web, "--rest-style", string(v.style),
		"--rest-every", "10s", "--rest-lookback", "1m", "--rest-zone", "Asia/Tokyo",
	}
	if v.back == nil {
		args = append(args, "--url", "ws"+strings.TrimPrefix(web, "http"))
	} else {
		args = append(args, "--kind", "subscription")
	}
	answer, err := exec.Command(binary, args...).Output()
	if err != nil {
		t.Fatalf("gatecast source add %s: %v: %s", v.name, err, answer)
	}
	v.made(t, answer)
}

// postVendor is addVendor over the API, for tests of many.
func (s *server) postVendor(t *testing.T, v *vendor) {
	t.Helper()
	web := v.net.base()
	settings := map[string]any{
		"name": v.name, "app_key": v.key, "app_secret": v.secret,
		"rest": map[string]any{"url": web, "style": v.style, "every": "10s", "lookback": "1m", "zone": "Asia/Tokyo"},
	}
	if v.back == nil {
		settings["url"] = "ws" + strings.TrimPrefix(web, "http")
	} else {
		settings["kind"] = gatecast.SourceSubscription
	}
	body, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	status, answer, err := s.do(within(t), http.MethodPost, "/api/v1/sources", "application/json", body)
	if err != nil || status != http.StatusCreated {
		t.Fatalf("make source %s: %d %s (%v)", v.name, status, answer, err)
	}
	v.made(t, []byte(answer))
}

// made takes note of where the vendor's server is to post.
func (v *vendor) made(t *testing.T, answer []byte) {
	t.Helper()
	var src struct{ Path string }
	if err := json.Unmarshal(answer, &src); err != nil || (src.Path == "") != (v.back == nil) {
		t.Fatalf("source %s was made as %s (%v)", v.name, answer, err)
	}
	v.post = src.Path
}

// subscribe has the vendor's server post its events to gatecast, by the call
// that its own console makes.
func (v *vendor) subscribe(t *testing.T) {
	t.Helper()
	if answer, err := v.trySubscribe(t); err != nil || !bytes.Contains(answer, []byte(`"code":200`)) {
		t.Fatalf("subscribe at %s: %s (%v)", v.name, answer, err)
	}
}

// trySubscribe returns what the server answers. It may be in no state to.
func (v *vendor) trySubscribe(t *testing.T) ([]byte, error) {
	t.Helper()
	stamp := fmt.Sprint(time.Now().UnixMilli())
	address := fmt.Sprintf("%s/api/v3/event/updateSub?app_key=%s&timestamp=%s&sign=%s", v.base, v.key, stamp, sign(stamp, v.secret))
	body, err := json.Marshal(map[string]string{"url": v.back.base() + v.post})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(within(t), http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(res.Body)
}

// sourceView is a source as the API shows it.
type sourceView struct {
	Name  string
	State struct {
		Status    gatecast.SourceStatus
		Reason    string
		Events    uint64
		Rubbish   uint64
		Statement statement
	}
}

// statement is what gatecast says of a source's completeness.
type statement struct {
	Through time.Time `json:"complete_through"`
	Looked  time.Time
	Error   string
	Filled  uint64
	Lost    uint64
}

// sources asks how all sources stand.
func (s *server) sources(ctx context.Context) (map[string]sourceView, error) {
	var list struct{ Sources []sourceView }
	if err := s.ask(ctx, "/api/v1/sources", &list); err != nil {
		return nil, err
	}
	all := make(map[string]sourceView, len(list.Sources))
	for _, src := range list.Sources {
		all[src.Name] = src
	}
	return all, nil
}

// untilSource waits for a state of a source.
func (s *server) untilSource(t *testing.T, name, what string, ok func(sourceView) bool) {
	t.Helper()
	var last sourceView
	happened := false
	defer func() {
		if !happened {
			t.Logf("source %s was last %+v", name, last)
		}
	}()
	eventually(t, name+" is "+what, func(ctx context.Context) bool {
		all, err := s.sources(ctx)
		if err != nil {
			return false
		}
		last = all[name]
		return ok(last)
	})
	happened = true
}
