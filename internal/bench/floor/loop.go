package floor

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Loop is a process that runs [WriteLoop], as its parent sees it. It is for one
// goroutine.
type Loop struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	addr string
}

// Start starts a program that runs [WriteLoop] on its standard input and output,
// which the caller leaves open in cmd.
func Start(cmd *exec.Cmd) (*Loop, error) {
	l := &Loop{cmd: cmd}
	var err error
	if l.in, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start the bare loop: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the bare loop: %w", err)
	}
	l.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the bare loop: %w", err)
	}
	if l.addr, err = l.read("listen"); err != nil {
		_ = l.Close() // ends with the same, or because its input does
		return nil, err
	}
	return l, nil
}

// Addr returns where the loop listens, "127.0.0.1:PORT".
func (l *Loop) Addr() string { return l.addr }

// PID returns the process's number.
func (l *Loop) PID() int { return l.cmd.Process.Pid }

// Clients returns how many clients the loop has answered and not lost since.
func (l *Loop) Clients() (int, error) {
	rest, err := l.ask("clients", "clients")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(rest)
}

// Write has one text frame with this payload, of 3 MiB at most, written to each
// client by so many threads, and returns when the kernel has taken the last.
func (l *Loop) Write(payload []byte, writers int) (Spent, error) {
	command := "write " + strconv.Itoa(writers) + " " + base64.StdEncoding.EncodeToString(payload)
	rest, err := l.ask(command, "done")
	if err != nil {
		return Spent{}, err
	}
	var wall, cpu int64
	if _, err := fmt.Sscan(rest, &wall, &cpu); err != nil {
		return Spent{}, fmt.Errorf("the bare loop answered %q: %w", rest, err)
	}
	return Spent{Wall: time.Duration(wall), CPU: time.Duration(cpu)}, nil
}

// Close ends the process, waits for it, and returns an error if it has failed.
func (l *Loop) Close() error {
	_ = l.in.Close() // the end of its input is the loop's end; it may be there already
	if err := l.cmd.Wait(); err != nil {
		return fmt.Errorf("the bare loop: %w", err)
	}
	return nil
}

func (l *Loop) ask(command, word string) (string, error) {
	if _, err := io.WriteString(l.in, command+"\n"); err != nil {
		return "", fmt.Errorf("tell the bare loop: %w", err)
	}
	return l.read(word)
}

// read returns what stands behind a word on the next line.
func (l *Loop) read(word string) (string, error) {
	line, err := l.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("the bare loop has ended: %w", err)
	}
	rest, ok := strings.CutPrefix(line, word+" ")
	if !ok {
		return "", fmt.Errorf("the bare loop answered %.80q", line)
	}
	return strings.TrimSpace(rest), nil
}
