package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// program is one run of a stock client.
type program struct {
	cmd   *exec.Cmd
	urls  io.Writer   // see stock.stays
	lines chan string // what it prints; closed when it has ended
}

// usable returns why this machine cannot run the client, or nil.
func (c stock) usable() error {
	if out, err := exec.Command(c.program, c.probe...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s is not usable: %w: %s", c.name, err, firstLine(out))
	}
	return nil
}

// usableStocks returns the stock clients that this machine can run. In CI it
// has to be all of them.
func usableStocks(t *testing.T) []stock {
	t.Helper()
	var there []stock
	for _, c := range stocks() {
		switch err := c.usable(); {
		case err == nil:
			there = append(there, c)
		case os.Getenv("CI") == "true":
			t.Fatal(err)
		default:
			t.Log(err)
		}
	}
	if len(there) == 0 {
		missing(t, "no stock client is usable")
	}
	return there
}

// launch starts the client. The test's end kills what still runs of it.
func (c stock) launch(t *testing.T, url string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(c.program, append(slices.Clone(c.args), url)...), lines: make(chan string)}
	var complaints bytes.Buffer
	p.cmd.Stderr = &complaints
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.urls, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	abandoned, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(p.lines)
		in := bufio.NewScanner(out)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			select {
			case p.lines <- in.Text():
			case <-abandoned:
			}
		}
		_ = p.cmd.Wait() // how it ended is the library's affair
	}()
	t.Cleanup(func() {
		select {
		case <-ended:
		default:
			close(abandoned)
			signal(p.tree(), syscall.SIGKILL)
			<-ended
		}
		if t.Failed() && complaints.Len() > 0 {
			t.Logf("standard error of %s:\n%s", c.name, complaints.String())
		}
	})
	return p
}

// leave asks the client to close the connection and end.
func (p *program) leave() { signal([]int{p.cmd.Process.Pid}, syscall.SIGTERM) }

// freeze stops the client with all its processes, and thaw lets them go on.
func (p *program) freeze() (thaw func()) {
	all := p.tree()
	signal(all, syscall.SIGSTOP)
	return func() { signal(all, syscall.SIGCONT) }
}

// tree returns the client's processes, parents first: a browser is many.
func (p *program) tree() []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is a good one
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path))) // the pattern sees to it
		// The name, in parentheses, may hold anything; behind it come state and parent.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		parent, _ := strconv.Atoi(fields[1]) // the kernel writes a number
		children[parent] = append(children[parent], pid)
	}
	all := []int{p.cmd.Process.Pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// signal sends a signal to processes. Whoever has ended meanwhile needs none.
func signal(pids []int, sig syscall.Signal) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig)
	}
}
