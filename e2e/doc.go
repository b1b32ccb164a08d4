// Package e2e drives the real program from outside: the gatecast binary as a
// process of its own, its HTTP API, and WebSocket clients that nobody here
// wrote (stock/). It kills the server, cuts the power of its file system,
// fills its disk and stops it under load, and compares what was acknowledged
// with what is in the journal and what clients were sent.
//
// It owns no code of the product. Start at TestMain in server_test.go. How
// often the cruel tests go round is GATECAST_SOAK times their short count, and
// GATECAST_SEED repeats the choices of an earlier run.
package e2e
