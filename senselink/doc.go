// Package senselink is the vendor's push protocol as pure bytes: how a client
// signs, what the server answers, and how events are read and written.
//
// It owns every byte that crosses the wire in that protocol. It never opens a
// socket, never looks at a clock (times are passed in) and never stores
// anything. Start at [Verify] for the handshake, [Session] for the life of a
// connection, [AppendPush] for what goes out and [Decoder] for what comes in.
package senselink
