package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gatecast": main})
}

// TestScripts drives the program as a user does: each script in
// testdata/script is one story.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"until":   until,
			"capture": capture,
			"exits":   exits,
			"port":    port,
		},
		RequireUniqueNames: true,
	})
}

// patience is the longest any wait may take. It bounds a hang; nothing is
// measured with it.
const patience = 2 * time.Minute

// until runs a command again and again until its standard output matches:
//
//	until REGEXP COMMAND [ARG...]
//
// It is for states of another process that tell nobody when they change.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEXP COMMAND [ARG...]")
	}
	pattern := regexp.MustCompile("(?s)" + args[0])
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		// The command may fail while the server starts.
		if ts.Exec(args[1], args[2:]...) == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			ts.Fatalf("%s never matched %q", strings.Join(args[1:], " "), args[0])
		}
	}
}

// capture puts what a regular expression finds in a file into a variable:
//
//	capture NAME FILE REGEXP
//
// The file may be stdout or stderr, and one that is yet to appear is waited
// for. The value is the first group, or else the whole match.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: capture NAME FILE REGEXP")
	}
	pattern := regexp.MustCompile("(?m)" + args[2])
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		var text string
		if args[1] == "stdout" || args[1] == "stderr" {
			text = ts.ReadFile(args[1])
		} else if b, err := os.ReadFile(ts.MkAbs(args[1])); err == nil {
			text = string(b)
		}
		if m := pattern.FindStringSubmatch(text); m != nil {
			ts.Setenv(args[0], m[len(m)-1])
			return
		}
		select {
		case <-tick.C:
		case <-late:
			ts.Fatalf("%s never held %q; it has:\n%s", args[1], args[2], text)
		}
	}
}

// port puts a port of the loopback address into a variable, for a server that
// is to come back where it was:
//
//	port NAME
//
// It is below those that the system gives to outgoing connections: one of them
// may be somebody else's as soon as it is free.
func port(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: port NAME")
	}
	for range 1000 {
		n := fmt.Sprint(10_000 + rand.IntN(20_000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+n); err == nil {
			ts.Check(l.Close())
			ts.Setenv(args[0], n)
			return
		}
	}
	ts.Fatalf("no free port")
}

// exits runs a command and checks its exit status:
//
//	exits STATUS COMMAND [ARG...]
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARG...]")
	}
	got := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("%s: exit status %s, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}
