package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast/senselink"
)

func signCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name:  "sign",
		Usage: "Print a signed WebSocket URL",
		Description: `With --secret nothing is asked of the server; without it the secret is looked up,
which takes the administrator's token. Whoever has the URL can use it as long as
the app's timestamp window allows: treat it as a password.`,
		Flags: remoteFlags(
			appFlag(),
			secretFlag(),
			&cli.StringFlag{Name: "timestamp", Usage: "sign this `TIME`, as the protocol writes it (Unix milliseconds); default is now"},
			&cli.BoolFlag{Name: "sign-only", Usage: "print the 32 characters of the signature alone"},
		),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			ts := c.String("timestamp")
			if ts == "" {
				ts = strconv.FormatInt(time.Now().UnixMilli(), 10)
			} else if strings.Trim(ts, "0123456789") != "" || len(ts) != 13 && len(ts) != 10 {
				return usage(c, "--timestamp %q is not 13 (or 10) digits", ts)
			}
			cred, base, err := credentials(ctx, c)
			if err != nil {
				return err
			}
			return printSigned(t, c, base, senselink.Credentials{
				AppKey: cred.Key, Timestamp: ts, Sign: senselink.Sign(ts, cred.Secret),
			})
		},
	}
}

func printSigned(t terminal, c *cli.Command, base string, cred senselink.Credentials) error {
	address := webSocketURL(base, cred)
	if c.Bool("json") {
		return printValue(t.out, map[string]string{
			"url": address, "app_key": cred.AppKey, "timestamp": cred.Timestamp, "sign": cred.Sign,
		})
	}
	if c.Bool("sign-only") {
		address = cred.Sign
	}
	_, err := fmt.Fprintln(t.out, address)
	return err
}

// webSocketURL is the address a client connects to with cred.
func webSocketURL(base string, cred senselink.Credentials) string {
	return "ws" + strings.TrimPrefix(base, "http") + senselink.Path(cred)
}

func appFlag() cli.Flag {
	return &cli.StringFlag{Name: "app", Usage: "`KEY` of the app", Required: true}
}

func secretFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "secret", Usage: "the app's secret; default is to look it up with the administrator's token",
		HideDefault: true,
	}
}

// keyAndSecret is an app as it signs.
type keyAndSecret struct {
	Key    string `json:"app_key"`
	Secret string `json:"app_secret"`
}

// credentials takes an app's key and secret from the flags, or the secret from
// the server.
func credentials(ctx context.Context, c *cli.Command) (keyAndSecret, string, error) {
	base, err := serverAddress(c)
	if err != nil {
		return keyAndSecret{}, "", err
	}
	k := keyAndSecret{Key: c.String("app"), Secret: c.String("secret")}
	if k.Key == "" {
		return keyAndSecret{}, "", usage(c, "--app is empty; it needs an app's key")
	}
	if k.Secret != "" {
		return k, base, nil
	}
	a, err := remote(c)
	if err != nil {
		return keyAndSecret{}, "", err
	}
	_, err = a.call(ctx, http.MethodGet, "/api/v1/apps/"+url.PathEscape(k.Key)+"/secret", nil, &k)
	return k, base, err
}
