// Package client is the Go SDK of gatecast: receive events as they happen, miss
// none of those that happened meanwhile, and hand events in.
//
// It owns the manners of a good client: it signs each connection anew, comes
// back after every failure without making things worse, goes on where it was,
// and confirms an event only when it has been handled. It never keeps state on
// disk, but for the one file of a [FileCursor]. Start at [New],
// [Client.Subscribe] and [Client.Publish].
//
// [Client.Events] speaks the vendor's protocol and nothing more, so it also
// works with a SenseLink server.
package client
