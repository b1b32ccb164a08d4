// Package floor is what the machine can do without gatecast: a bare loop of
// write(2) over as many sockets, appends with fsync(2) to the same disk, and
// requests of net/http to the same endpoint.
//
// It owns the loops and the pipes to the processes that two of them run in. It
// never does anything cleverer than that, for it is what clever things are
// compared with. Start at [WriteLoop], [Sync] and [PostLoop].
package floor

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// maxLine is how long a command may be: one with a payload of 3 MiB.
const maxLine = 5 << 20

// WriteLoop is the bare loop. It listens on a free port of 127.0.0.1, answers
// every request with a fixed 101, and does what the lines of in say:
//
//	clients               answers "clients N": how many are connected
//	write WRITERS BASE64  writes one text frame with that payload to each of
//	                      them, by WRITERS threads that have equal shares;
//	                      answers "done NANOSECONDS CPU_NANOSECONDS", the latter
//	                      of this process, when the kernel has taken the last
//	quit                  ends it, as the end of in does
//
// The first line of out is "listen 127.0.0.1:PORT". A frame is one plain
// write(2) per socket; a socket that is full is waited for with poll(2), and one
// whose client has gone is left out from then on. ctx ends the loop at the next
// line, or at once if in is an io.Closer that ends its Read.
func WriteLoop(ctx context.Context, in io.Reader, out io.Writer) error {
	d, err := open()
	if err != nil {
		return err
	}
	defer d.close()
	if c, ok := in.(io.Closer); ok {
		defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	}
	if _, err := fmt.Fprintf(out, "listen %s\n", d.addr()); err != nil {
		return fmt.Errorf("tell where the bare loop listens: %w", err)
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		answer, err := d.obey(ctx, lines.Text())
		if err != nil || answer == "" {
			return err
		}
		if _, err := fmt.Fprintln(out, answer); err != nil {
			return fmt.Errorf("answer a command: %w", err)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read a command: %w", err)
	}
	return nil
}

// obey does what a line says and returns what to answer; nothing for quit.
func (d *door) obey(ctx context.Context, line string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	command, rest, _ := strings.Cut(line, " ")
	switch command {
	case "quit":
		return "", nil
	case "clients":
		return "clients " + strconv.Itoa(len(d.clients())), nil
	case "write":
		count, text, _ := strings.Cut(rest, " ")
		writers, err := strconv.Atoi(count)
		if err != nil || writers < 1 {
			return "", fmt.Errorf("%q is no number of writers", count)
		}
		payload, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return "", fmt.Errorf("the payload is not base64: %w", err)
		}
		s, err := d.write(ctx, textFrame(payload), writers)
		return fmt.Sprintf("done %d %d", s.Wall.Nanoseconds(), s.CPU.Nanoseconds()), err
	}
	return "", fmt.Errorf("%.40q is no command", line)
}

// Spent is what a round of writes or requests took.
type Spent struct {
	Wall time.Duration // until the kernel had taken the last frame, or the last answer had come
	CPU  time.Duration // of the loop's process, in user and kernel
}
