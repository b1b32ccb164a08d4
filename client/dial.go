package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/problem"
)

// handshakeTimeout bounds dialling and the upgrade together.
const handshakeTimeout = 20 * time.Second

// maxAnswer bounds how much of an HTTP answer is read.
const maxAnswer = 64 << 10

// dial makes one WebSocket connection (RFC 6455, section 4.1), signed for now.
// It goes through net/http, so that proxies, certificates and HTTP errors work
// as everywhere else. query is what is asked for beyond the vendor's protocol.
func (c *Client) dial(ctx context.Context, query url.Values) (*link, error) {
	if c.opts.AppKey == "" || c.opts.AppSecret == "" {
		e := gatecast.Errorf(gatecast.Invalid, "no app key and secret")
		e.Remedy = "set AppKey and AppSecret"
		return nil, e
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	nonce := make([]byte, 16)
	rand.Read(nonce) // never fails: it ends the process instead
	key := base64.StdEncoding.EncodeToString(nonce)
	target := c.base.String() + signedPath(c.opts.AppKey, c.opts.AppSecret, time.Now())
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, unreachable(err)
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	req.Header.Set("Sec-WebSocket-Key", key)
	resp, err := c.upgrade.Do(req)
	if err != nil {
		return nil, unreachable(err)
	}
	rwc, ok := resp.Body.(io.ReadWriteCloser)
	if resp.StatusCode != http.StatusSwitchingProtocols || !ok {
		defer func() { _ = resp.Body.Close() }()
		return nil, answerError(resp)
	}
	if err := checkUpgrade(resp.Header, key); err != nil {
		_ = rwc.Close()
		return nil, err
	}
	return newLink(rwc, c.opts.DeadAfter, c.opts.MaxMessage), nil
}

// checkUpgrade holds the server to RFC 6455, section 4.1, items 2 to 6: an
// intermediary that repeats a cached answer is found out here.
func checkUpgrade(h http.Header, key string) error {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	switch {
	case !strings.EqualFold(h.Get("Upgrade"), "websocket"), !strings.EqualFold(h.Get("Connection"), "upgrade"),
		h.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]):
		return gatecast.Errorf(gatecast.Unavailable, "the answer to the WebSocket handshake is not a valid one")
	case h.Get("Sec-WebSocket-Extensions") != "", h.Get("Sec-WebSocket-Protocol") != "":
		return gatecast.Errorf(gatecast.Unavailable, "the server chose an extension that was not offered")
	}
	return nil
}

// unreachable wraps an error of the network. A *url.Error would show the URL,
// and the URL holds the signature.
func unreachable(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	e := gatecast.Errorf(gatecast.Unavailable, "the server cannot be reached: %v", err)
	e.Cause = err
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	if certificate || noTLS || errors.Is(err, http.ErrSchemeMismatch) {
		e.Code = gatecast.Invalid // waiting does not help
		e.Remedy = "check http or https in the URL, and the server's certificate"
	}
	return e
}

// answerError makes an error of an HTTP answer that is not the wanted one.
func answerError(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // what is there is enough
	e, told := problem.Read(resp, body)
	if !told {
		if text := string(bytes.TrimSpace(body)); text != "" && len(text) <= 200 && !strings.HasPrefix(text, "<") {
			e.Message += fmt.Sprintf(" (%s)", text)
		}
	}
	if e.Code == gatecast.NotFound && e.Remedy == "" {
		e.Remedy = "check the URL: no gatecast answers there"
	}
	return e
}
