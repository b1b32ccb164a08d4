package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/urfave/cli/v3"
)

const mqttUsersPath = "/api/v1/mqtt/users"

func mqttUserPath(name string, more ...string) string {
	path := mqttUsersPath + "/" + url.PathEscape(name)
	for _, part := range more {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// mqttCommand is everything about devices that publish over MQTT.
func mqttCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name:  "mqtt",
		Usage: "Let devices send their events over MQTT",
		Commands: []*cli.Command{{
			Name:  "user",
			Usage: "Manage the users that devices sign in as",
			Commands: []*cli.Command{
				mqttUserAdd(t),
				mqttUserList(t),
				oneMQTTUser(t, "show", "Show one user and its devices", http.MethodGet),
				mqttUserUpdate(t),
				oneMQTTUser(t, "rotate", "Give a user another password; the former ends at once", http.MethodPost, "rotate"),
				{
					Name: "delete", Usage: "Delete a user: its devices are cut off with their next packet", ArgsUsage: "NAME", Flags: remoteFlags(),
					Action: func(ctx context.Context, c *cli.Command) error { return deleteMQTTUser(ctx, t, c) },
				},
			},
		}},
	}
}

// mqttUserView is a user as the API shows it. Password is only in the answers to
// create and rotate.
type mqttUserView struct {
	Name     string    `json:"name"`
	Devices  []string  `json:"devices"`
	Created  time.Time `json:"created"`
	Rotated  time.Time `json:"rotated"`
	Online   int       `json:"online"`
	Password string    `json:"password"`
}

// deviceFlags say whose events a user may send.
func deviceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "device", Usage: "`SN` of a device; may be repeated. One that ends in * stands for all that begin so"},
		&cli.BoolFlag{Name: "all", Usage: "every device, for a gateway of a whole site"},
	}
}

func devicesOf(c *cli.Command) ([]string, error) {
	devices := c.StringSlice("device")
	switch all := c.Bool("all"); {
	case all && len(devices) > 0:
		return nil, usage(c, "--all is every device, but --device names some")
	case all:
		return []string{"*"}, nil
	case len(devices) == 0:
		return nil, usage(c, "say whose events the user may send: --device SN, or --all")
	}
	return devices, nil
}

// atDeviceFlag turns a refusal that names a field into one that names the flag.
func atDeviceFlag(err error) error {
	return atFlag(err, map[string]string{"name": "NAME", "devices": "--device"})
}

func mqttUserAdd(t terminal) *cli.Command {
	return &cli.Command{
		Name: "add", Usage: "Let a device, or several, sign in over MQTT", ArgsUsage: "NAME",
		Description: `The password is made by the server, shown once, and kept nowhere. A device publishes
its events to gatecast/SN/record and gatecast/SN/alarm with quality (QoS) 1.`,
		Flags: remoteFlags(deviceFlags()...),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			devices, err := devicesOf(c)
			if err != nil {
				return err
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			var u mqttUserView
			body, err := a.call(ctx, http.MethodPost, mqttUsersPath, map[string]any{"name": c.Args().First(), "devices": devices}, &u)
			if err != nil {
				return atDeviceFlag(err)
			}
			return showMQTTUser(t, c, body, u)
		},
	}
}

func mqttUserUpdate(t terminal) *cli.Command {
	return &cli.Command{
		Name: "update", Usage: "Give a user other devices, in the place of those it had", ArgsUsage: "NAME",
		Flags: remoteFlags(deviceFlags()...),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			devices, err := devicesOf(c)
			if err != nil {
				return err
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			var u mqttUserView
			body, err := a.call(ctx, http.MethodPatch, mqttUserPath(c.Args().First()), map[string]any{"devices": devices}, &u)
			if err != nil {
				return atDeviceFlag(err)
			}
			return showMQTTUser(t, c, body, u)
		},
	}
}

// oneMQTTUser is a command that does one thing to one user and shows the answer.
func oneMQTTUser(t terminal, name, text, method string, more ...string) *cli.Command {
	return &cli.Command{
		Name: name, Usage: text, ArgsUsage: "NAME", Flags: remoteFlags(),
		Action: func(ctx context.Context, c *cli.Command) error {
			a, err := oneArgument(c)
			if err != nil {
				return err
			}
			var u mqttUserView
			body, err := a.call(ctx, method, mqttUserPath(c.Args().First(), more...), nil, &u)
			if err != nil {
				return err
			}
			return showMQTTUser(t, c, body, u)
		},
	}
}

func showMQTTUser(t terminal, c *cli.Command, body []byte, u mqttUserView) error {
	if c.Bool("json") {
		return printJSON(t.out, body)
	}
	pairs := []string{
		"name", clean(u.Name), "devices", clean(strings.Join(u.Devices, ", ")), "created", timeText(u.Created), "password of", timeText(u.Rotated),
		"online", fmt.Sprint(u.Online),
	}
	if u.Password != "" {
		pairs = append(pairs, "password", clean(u.Password))
	}
	if err := properties(t.out, pairs...); err != nil {
		return err
	}
	if u.Password != "" {
		fmt.Fprintln(t.err, "Keep the password now: the server has only its hash.")
	}
	return nil
}

func mqttUserList(t terminal) *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "List the users and their devices", Flags: remoteFlags(),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			var answer struct {
				Users []mqttUserView `json:"users"`
			}
			body, err := a.call(ctx, http.MethodGet, mqttUsersPath, nil, &answer)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(t.out, body)
			}
			return listMQTTUsers(t, answer.Users)
		},
	}
}

func listMQTTUsers(t terminal, users []mqttUserView) error {
	if len(users) == 0 {
		fmt.Fprintln(t.err, "There are no users yet. Make one: gatecast mqtt user add NAME --device SN")
		return nil
	}
	rows := [][]string{{"NAME", "ONLINE", "CREATED", "PASSWORD OF", "DEVICES"}}
	for _, u := range users {
		devices := strings.Join(u.Devices[:min(len(u.Devices), 3)], ", ")
		if n := len(u.Devices) - 3; n > 0 {
			devices += fmt.Sprintf(" and %d more", n)
		}
		rows = append(rows, []string{clean(u.Name), fmt.Sprint(u.Online), timeText(u.Created), timeText(u.Rotated), clean(devices)})
	}
	return table(t.out, rows)
}

func deleteMQTTUser(ctx context.Context, t terminal, c *cli.Command) error {
	a, err := oneArgument(c)
	if err != nil {
		return err
	}
	name := c.Args().First()
	if _, err := a.call(ctx, http.MethodDelete, mqttUserPath(name), nil, nil); err != nil {
		return err
	}
	return deleted(t, c, "name", name)
}
