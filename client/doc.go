// Package client is the Go SDK of gatecast: receive events as they happen, and
// hand events in.
//
// It owns the manners of a good client: it signs each connection anew, comes
// back after every failure without making things worse, and confirms an event
// only when it has been handled. It never keeps state on disk. Start at [New],
// [Client.Events] and [Client.Publish].
//
// It speaks the vendor's protocol and nothing more, so Events also works with
// a SenseLink server.
package client
