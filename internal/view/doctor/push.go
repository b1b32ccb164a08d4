package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/gobwas/ws"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// checkPush looks at where a source pushes. A plain request, which nobody counts
// as a login, tells whether it can be reached and what its clock shows.
func (d *Doctor) checkPush(ctx context.Context, src *gatecast.Source, st gatecast.SourceState, login bool) []gatecast.Finding {
	plain := "http" + strings.TrimPrefix(src.Settings.URL, "ws")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(plain, "/")+"/", nil)
	if err != nil {
		return []gatecast.Finding{bad("reach", src.Name, "its URL cannot be understood", "correct it: gatecast source update "+src.Name+" --url URL")}
	}
	p := d.probe(req, false)
	found := []gatecast.Finding{judgeReach(src.Name, src.Settings.URL, p)}
	if p.err != nil {
		return found
	}
	if p.dated {
		found = append(found, judgeSkew(src.Name, p.ahead))
	}
	switch {
	case connected(st):
		found = append(found, ok("login", src.Name, "its server has let gatecast in"))
	case login:
		first, err := d.login(ctx, src.Settings)
		found = append(found, judgeLogin(src.Name, first, err))
	}
	return found
}

// greeting is the first message of a connection.
type greeting struct {
	Code int    `json:"code"`
	Desc string `json:"desc"`
}

// login connects as any client does, and returns the first thing that it is told.
func (d *Doctor) login(ctx context.Context, s gatecast.SourceSettings) (g greeting, err error) {
	stamp := strconv.FormatInt(d.opts.Now().UnixMilli(), 10)
	sign := senselink.Sign(stamp, s.AppSecret)
	defer func() { // nothing that a server says may carry our signature on
		g.Desc = strings.ReplaceAll(g.Desc, sign, "***")
	}()
	target := strings.TrimRight(s.URL, "/") + senselink.Path(senselink.Credentials{AppKey: s.AppKey, Timestamp: stamp, Sign: sign})
	dialer := ws.Dialer{TLSConfig: d.opts.TLS}
	conn, early, _, err := dialer.Dial(ctx, target)
	if err != nil {
		if status, ok := errors.AsType[ws.StatusError](err); ok {
			return g, fmt.Errorf("HTTP %d %s", int(status), http.StatusText(int(status)))
		}
		return g, bare(err)
	}
	defer func() { _ = conn.Close() }() // nothing was said that could be lost
	if end, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(end); err != nil {
			return g, err
		}
	}
	var in io.Reader = conn
	if early != nil { // frames that came with the answer
		in = io.MultiReader(early, conn)
	}
	for {
		h, err := ws.ReadHeader(in)
		if err != nil {
			return g, err
		}
		if h.Length > maxAnswer {
			return g, fmt.Errorf("its first message has %d bytes", h.Length)
		}
		text := make([]byte, h.Length)
		if _, err := io.ReadFull(in, text); err != nil {
			return g, err
		}
		switch h.OpCode {
		case ws.OpText:
			err := json.Unmarshal(text, &g)
			_, _ = conn.Write(ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))))) // we leave whatever comes of it
			return g, err
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(text)
			return g, fmt.Errorf("it closed the connection (%d %s)", code, clean(reason))
		case ws.OpPing, ws.OpPong, ws.OpBinary, ws.OpContinuation:
		}
	}
}

func judgeLogin(name string, g greeting, err error) gatecast.Finding {
	switch {
	case err != nil:
		what, remedy := step(err)
		return bad("login", name, "its server does not let gatecast in: "+clean(what), remedy)
	case g.Code == senselink.CodeDenied:
		return bad("login", name, "its server does not let gatecast in (20002): "+clean(g.Desc), refusedRemedy(name, g.Desc))
	case g.Code == senselink.CodeConnected:
		return ok("login", name, "its server lets gatecast in")
	}
	return warn("login", name, fmt.Sprintf("its server says something unknown to who connects: code %d %s", g.Code, clean(g.Desc)), "check that its URL is that of the WebSocket push of a SenseLink server")
}

// refusedRemedy goes by the words that servers are known to use.
func refusedRemedy(name, desc string) string {
	update := "gatecast source update " + name
	switch low := strings.ToLower(desc); {
	case strings.Contains(low, "frequent"), strings.Contains(low, "limit"):
		return "wait: gatecast tries again slowly by itself; see who else logs in with this app key"
	case strings.Contains(low, "sign"):
		return "the secret is not that of this app key: " + update + " --app-secret @FILE"
	case strings.Contains(low, "time"):
		return "set the clocks of both machines (NTP)"
	case strings.Contains(low, "key"):
		return "the server has no such app: " + update + " --app-key KEY --app-secret @FILE"
	}
	return "check key and secret (" + update + " --app-key KEY --app-secret @FILE), and that the app is enabled at the server"
}

// clean makes foreign text fit for a line.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	if runes := []rune(text); len(runes) > 200 {
		text = string(runes[:200]) + "…"
	}
	return text
}
