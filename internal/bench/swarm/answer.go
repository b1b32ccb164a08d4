package swarm

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// maxAnswer is how many bytes the head of an answer may have, maxBody how many
// of a refusal's body are shown.
const (
	maxAnswer = 16 << 10
	maxBody   = 512
)

// busyError is a refusal that may be over in a moment.
type busyError struct {
	after time.Duration // Retry-After; 0: none
}

func (*busyError) Error() string { return "the server is busy (503)" }

// errUnfinished says that not all of an answer has come.
var errUnfinished = errors.New("the answer has not come completely")

// readAnswer judges what a server has answered to an upgrade so far; ended says
// that no more will come. It returns where the frames begin and whether deflate
// was agreed to; or errUnfinished, a *busyError, a *Refusal, or what is wrong.
func readAnswer(b []byte, ended bool) (frames int, deflate bool, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	switch {
	case end < 0 && ended:
		return 0, false, io.ErrUnexpectedEOF
	case end < 0 && len(b) > maxAnswer:
		return 0, false, fmt.Errorf("the server's answer has no end: %.80q", b)
	case end < 0:
		return 0, false, errUnfinished
	}
	if bytes.HasPrefix(b, []byte("HTTP/1.1 101 ")) {
		return end + 4, bytes.Contains(b[:end], []byte("permessage-deflate")), nil
	}
	return 0, false, refusal(b, ended)
}

// refusal reads an answer that is not 101.
func refusal(b []byte, ended bool) error {
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
	if err != nil {
		return fmt.Errorf("the server does not speak HTTP: %w", err)
	}
	defer r.Body.Close()
	if r.StatusCode == http.StatusServiceUnavailable {
		seconds, _ := strconv.Atoi(r.Header.Get("Retry-After")) // a date, or nothing, is no pause
		return &busyError{time.Duration(max(0, seconds)) * time.Second}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil && r.ContentLength >= 0 && !ended {
		return errUnfinished
	}
	return &Refusal{r.StatusCode, string(bytes.TrimSpace(body))}
}

// momentary reports whether a handshake that failed is worth another try, and
// how long the server wants it to wait.
func momentary(err error) (after time.Duration, ok bool) {
	var busy *busyError
	if errors.As(err, &busy) {
		return busy.after, true
	}
	for _, e := range []error{
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.ETIMEDOUT,
		io.EOF, io.ErrUnexpectedEOF,
	} {
		if errors.Is(err, e) {
			return 0, true
		}
	}
	return 0, false
}
