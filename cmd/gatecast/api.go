package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/problem"
)

const (
	defaultServer = "http://127.0.0.1:9000"
	defaultData   = "./gatecast-data"
	// tokenFile is where a server leaves the token of its administrator.
	tokenFile = "admin.token"
	// answerTime is how long a server may take to answer one request.
	answerTime = 30 * time.Second
	// maxAnswer is the largest answer read; no list of apps comes near it.
	maxAnswer = 64 << 20
)

// remoteFlags are the flags of every command that talks to a server.
func remoteFlags(more ...cli.Flag) []cli.Flag {
	return append(more,
		&cli.StringFlag{
			Name: "server", Usage: "address of the server", Value: defaultServer,
			Sources: cli.EnvVars("GATECAST_SERVER"), Category: "SERVER",
		},
		&cli.StringFlag{
			Name: "token", Usage: "token to authenticate with; default is the one in DATA/" + tokenFile,
			Sources: cli.EnvVars("GATECAST_TOKEN"), Category: "SERVER", HideDefault: true,
		},
		&cli.StringFlag{
			Name: "data", Usage: "data directory of a server on this machine", Value: defaultData,
			Sources: cli.EnvVars("GATECAST_SERVER_DATA"), Category: "SERVER",
		},
		jsonFlag(),
	)
}

func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print JSON"} }

// api is a server's HTTP API, with a token for it.
type api struct {
	base  string // "http://127.0.0.1:9000"
	token string
	http  *http.Client
}

// remote takes server and token from a command's flags.
func remote(c *cli.Command) (*api, error) {
	base, err := serverAddress(c)
	if err != nil {
		return nil, err
	}
	token, err := findToken(c)
	if err != nil {
		return nil, err
	}
	return newAPI(base, token), nil
}

func newAPI(base, token string) *api {
	return &api{base: base, token: token, http: &http.Client{Timeout: answerTime}}
}

// serverAddress reads --server: a URL, or a host and port.
func serverAddress(c *cli.Command) (string, error) {
	text := strings.TrimRight(c.String("server"), "/")
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", usage(c, "--server %q is not an address such as %s", c.String("server"), defaultServer)
	}
	return text, nil
}

// findToken is --token, its variable, or what the server left in its data
// directory.
func findToken(c *cli.Command) (string, error) {
	if token := strings.TrimSpace(c.String("token")); token != "" {
		if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return "", usage(c, "--token holds a character that is in no token")
		}
		return token, nil
	}
	path := filepath.Join(c.String("data"), tokenFile)
	text, err := os.ReadFile(path)
	if err == nil && len(bytes.TrimSpace(text)) > 0 {
		return string(bytes.TrimSpace(text)), nil
	}
	e := gatecast.Errorf(gatecast.Unauthenticated, "no token: none given, and %s cannot be read", path)
	if errors.Is(err, os.ErrNotExist) {
		e.Message = fmt.Sprintf("no token: none given, and there is no %s", path)
	}
	e.Remedy = "give --token or GATECAST_TOKEN, or --data with the server's data directory"
	return "", e
}

// call sends a request with in as its JSON body, if not nil, and returns the
// answer's body, which is also put into out, if not nil.
func (a *api) call(ctx context.Context, method, path string, in, out any) ([]byte, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, fmt.Errorf("write request: %w", err)
		}
	}
	return a.send(ctx, method, path, "application/json", body, out)
}

// send is call with a body of any type.
func (a *api) send(ctx context.Context, method, path, contentType string, body []byte, out any) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	req.Header.Set("User-Agent", "gatecast-cli")
	res, err := a.http.Do(req)
	if err != nil {
		return nil, a.unreachable(ctx, err)
	}
	defer func() { _ = res.Body.Close() }() // only read from: nothing is lost
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, a.unreachable(ctx, err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, a.refusal(res, answer)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			return nil, notGatecast(a.base, err)
		}
	}
	return answer, nil
}

// unreachable says why no answer came.
func (a *api) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e := gatecast.Errorf(gatecast.Unavailable, "cannot reach %s", a.base)
	e.Cause = err
	var lookup *net.DNSError
	var certificate *tls.CertificateVerificationError
	var late interface{ Timeout() bool }
	switch {
	case errors.As(err, &lookup):
		e.Message += ": its host name is not known here"
		e.Remedy = "check --server (or GATECAST_SERVER)"
	case errors.As(err, &certificate):
		e.Message += ": its certificate is not trusted here: " + certificate.Err.Error()
		e.Remedy = "trust the certificate's issuer on this machine, or use the name that the certificate is for"
	case errors.Is(err, http.ErrSchemeMismatch):
		e.Message += ": it speaks HTTP, not HTTPS"
		e.Remedy = "give it as --server http://" + strings.TrimPrefix(a.base, "https://") + " (or in GATECAST_SERVER)"
	case errors.As(err, &late) && late.Timeout():
		e.Message += ": no answer in time"
		e.Remedy = "look at the server's log, then try again"
	default:
		e.Message += ": " + rootCause(err)
		e.Remedy = "is gatecast serve running? give its address with --server (or GATECAST_SERVER)"
	}
	return e
}

// rootCause is the innermost error: "connection refused" without the layers.
func rootCause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// refusal turns an answer that is no success into an error.
func (a *api) refusal(res *http.Response, body []byte) error {
	e, told := problem.Read(res, body)
	switch {
	case !told && bytes.Contains(body, []byte(wantsTLS)):
		e.Code = gatecast.Unavailable
		e.Message = "cannot reach " + a.base + ": it speaks HTTPS, not HTTP"
		e.Remedy = "give it as --server https://" + strings.TrimPrefix(a.base, "http://") + " (or in GATECAST_SERVER)"
	case !told:
		e.Remedy = "check --server: this answer does not look like gatecast's"
	case e.Code == gatecast.Unauthenticated && e.Remedy == "":
		e.Remedy = "check --token, GATECAST_TOKEN or --data"
	}
	return e
}

// wantsTLS is what net/http answers to HTTP on a port with TLS.
const wantsTLS = "Client sent an HTTP request to an HTTPS server"

func notGatecast(base string, cause error) error {
	e := gatecast.Errorf(gatecast.Internal, "%s gave an answer that is not gatecast's", base)
	e.Remedy = "check --server (or GATECAST_SERVER)"
	e.Cause = cause
	return e
}
