// Package bench measures a gatecast server from outside: how fast it pushes,
// stores, replays and takes back its clients, and what that costs it.
//
// It owns the scenarios, the targets they are held against, and the report. It
// never looks into the server: it is a client like any other (see swarm for the
// sockets, load for what is sent, subject for the server's process), and beside
// each figure that depends on the machine it measures what the machine can do
// without gatecast (see floor). Start at [Run].
package bench
