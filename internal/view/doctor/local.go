package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gatecast/gatecast"
)

// local lists the checks that need no server. j is nil if none runs.
func local(o Options, j Journal) []check {
	one := func(name, subject string, run func(context.Context) []gatecast.Finding) check {
		return check{name, subject, run}
	}
	return []check{
		one("clock", "", func(context.Context) []gatecast.Finding {
			return []gatecast.Finding{judgeClock(measureClock(o.Now()))}
		}),
		one("zone", "", func(context.Context) []gatecast.Finding {
			return []gatecast.Finding{judgeZone(o.Config.Ingest.TimeZone, zoneName(o.Now()))}
		}),
		one("disk", o.DataDir, func(ctx context.Context) []gatecast.Finding { return checkDisk(ctx, o, j) }),
		one("fsync", o.DataDir, func(ctx context.Context) []gatecast.Finding { return checkSync(ctx, o) }),
		one("files", "", func(context.Context) []gatecast.Finding { return checkFiles(o) }),
		one("memory", "", func(context.Context) []gatecast.Finding {
			return []gatecast.Finding{judgeMemory(o.Config, measureMemory())}
		}),
		one("data", o.DataDir, func(context.Context) []gatecast.Finding { return checkOwn(o) }),
		one("certificate", o.Config.TLS.Cert, func(context.Context) []gatecast.Finding { return checkCertificate(o) }),
		one("settings", "", func(context.Context) []gatecast.Finding { return judgeSettings(o.Config.Warnings()) }),
		one("version", "", func(context.Context) []gatecast.Finding {
			return []gatecast.Finding{ok("version", "", fmt.Sprintf("gatecast %s, %s, %s", o.Version, runtime.Version(), kernel()))}
		}),
	}
}

func checkFiles(o Options) []gatecast.Finding {
	f, err := measureFiles()
	if err != nil {
		return []gatecast.Finding{note("files", "", err.Error(), "look at it by hand: ulimit -n")}
	}
	return []gatecast.Finding{judgeFiles(o.Config, f)}
}

// judgeSettings passes on what the server logs when it starts.
func judgeSettings(warnings []string) (found []gatecast.Finding) {
	for _, text := range warnings {
		if strings.HasPrefix(text, "journal.sync") {
			continue // another check knows more of it
		}
		found = append(found, note("settings", "", text, "nothing, if that is meant; else see docs/config.md"))
	}
	if found == nil {
		found = append(found, ok("settings", "", "none is risky"))
	}
	return found
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return runtime.GOOS + "/" + runtime.GOARCH
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:]) + " " + runtime.GOARCH
}

// Offline looks at what can be looked at when no server runs: why it does not
// start, and what it will find when it does. Of the files' limit it tells that
// of this process.
func Offline(ctx context.Context, o Options) gatecast.Diagnosis {
	o = o.withDefaults()
	now := o.Now()
	checks := append(
		local(o, nil),
		check{"lock", o.DataDir, func(context.Context) []gatecast.Finding { return checkLock(o) }},
		check{"listen", o.Config.Server.Listen, func(context.Context) []gatecast.Finding {
			return []gatecast.Finding{checkListen("server.listen", o.Config.Server.Listen)}
		}},
	)
	found, _ := examine(ctx, o.Limit, checks)
	return gatecast.Diagnosis{At: now, Took: o.Now().Sub(now), Findings: found}
}

// checkLock tells whether a server uses the data directory.
func checkLock(o Options) []gatecast.Finding {
	path := filepath.Join(o.DataDir, "journal", "lock")
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil // no server was ever here
	}
	if err != nil {
		return []gatecast.Finding{unreadable("lock", path, err)}
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) // ends with f
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := os.ReadFile(path)
		who := "process " + cmp.Or(strings.TrimSpace(string(holder)), "unknown")
		return []gatecast.Finding{bad("lock", o.DataDir, "a server uses the data directory: "+who+"; another one does not start", "ask that one, with --server and its address; or stop it; or give this one another server.data")}
	}
	if err != nil {
		return []gatecast.Finding{warn("lock", path, "the lock cannot be tried: "+err.Error(), "put server.data on a file system that has locks")}
	}
	return []gatecast.Finding{ok("lock", o.DataDir, "no server uses the data directory")}
}

// checkListen tries an address.
func checkListen(setting, address string) gatecast.Finding {
	l, err := net.Listen("tcp", address)
	if err == nil {
		_ = l.Close()
	}
	return judgeListen(setting, address, err)
}

func judgeListen(setting, address string, err error) gatecast.Finding {
	switch {
	case err == nil:
		return ok("listen", address, "the address of "+setting+" is free")
	case errors.Is(err, syscall.EADDRINUSE):
		return bad("listen", address, "the address of "+setting+" is taken", "find out by whom (ss -ltnp), and stop it, or choose another address with "+setting)
	case errors.Is(err, syscall.EACCES):
		return bad("listen", address, "this user may not listen on the address of "+setting, "choose a port above 1023, or give the program the right: setcap cap_net_bind_service=+ep, or AmbientCapabilities= of the systemd unit")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return bad("listen", address, "this machine has no such address ("+setting+")", "choose one it has, or leave the host out, as in :9000")
	}
	return bad("listen", address, "the address of "+setting+" cannot be listened on: "+err.Error(), "correct "+setting)
}

// checks lists what is looked at of a server that runs.
func (d *Doctor) checks(now time.Time) []check {
	list := append(
		local(d.opts, d.Journal),
		check{"ready", "", d.checkHealth},
		check{"quarantine", "", d.checkQuarantine},
		check{"subscriptions", "", d.checkSubscriptions},
	)
	sources := d.Sources.Sources()
	known := make(map[string]bool, len(sources))
	for _, src := range sources {
		known[src.Name] = true
		list = append(list, d.sourceChecks(src, now)...)
	}
	for name := range d.logins {
		if !known[name] {
			delete(d.logins, name)
		}
	}
	return list
}
