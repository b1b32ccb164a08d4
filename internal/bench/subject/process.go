package subject

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// process is a gatecast serve that was started here.
type process struct {
	own    Own
	dir    string // of ready file, log and certificate
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd is gone
}

// freePort returns a port that nobody listens on, from below those that systems
// give to outgoing connections: a server that is killed is to come back where it
// was, and meanwhile its clients dial by the thousand. 0 leaves it to the system.
func freePort() int {
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		if l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port)); err == nil {
			_ = l.Close() // nothing was accepted
			return port
		}
	}
	return 0
}

// launch starts a server on a free port.
func launch(o Own) (*process, error) {
	dir, err := os.MkdirTemp("", "gatecast-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the server's log: %w", err)
	}
	p := &process{own: o, dir: dir}
	if o.TLS {
		if err := writeCertificate(p.file("cert.pem"), p.file("key.pem")); err != nil {
			p.cleanUp()
			return nil, err
		}
	}
	if err := p.start(fmt.Sprint("127.0.0.1:", freePort())); err != nil {
		p.cleanUp()
		return nil, err
	}
	return p, nil
}

// start runs the program. Settings of the environment are kept from it, so
// that what is measured is what the report says.
func (p *process) start(address string) error {
	args := []string{"serve", "--listen", address, "--data", p.own.Data, "--ready-file", p.file("ready"), "--log.level=warn"}
	if p.own.TLS {
		args = append(args, "--tls.cert="+p.file("cert.pem"), "--tls.key="+p.file("key.pem"))
	}
	log, err := os.OpenFile(p.file("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the server's log: %w", err)
	}
	defer func() { _ = log.Close() }() // the child has its own
	if err := os.Remove(p.file("ready")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the last ready file: %w", err)
	}
	p.cmd = exec.Command(p.own.Program, append(args, p.own.Settings...)...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GATECAST_") })
	p.cmd.SysProcAttr = leaveNothingBehind()
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.own.Program, err)
	}
	p.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait() // kill and ready tell what became of it
		close(exited)
	}(p.cmd, p.exited)
	return nil
}

// ready waits for the ready file, which holds the server's URL.
func (p *process) ready(ctx context.Context) (url string, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.own.Patience)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if text, err := os.ReadFile(p.file("ready")); err == nil {
			return strings.TrimSpace(string(text)), nil
		}
		select {
		case <-p.exited:
			return "", p.failed("the server ended instead of starting")
		case <-ctx.Done():
			return "", p.failed("the server did not become ready")
		case <-tick.C:
		}
	}
}

// failed tells what the server's log ends with.
func (p *process) failed(what string) error {
	text, _ := os.ReadFile(p.file("log"))
	e := gatecast.Errorf(gatecast.Internal, "%s: %s", what, strings.TrimSpace(string(text[max(0, len(text)-500):])))
	e.Remedy = "try it by itself, on the same disk: gatecast serve --data DIR"
	return e
}

func (p *process) kill() {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.exited
}

func (p *process) cleanUp() { _ = os.RemoveAll(p.dir) }

func (p *process) file(name string) string { return filepath.Join(p.dir, name) }

func (p *process) path(name string) string { return filepath.Join(p.own.Data, name) }
