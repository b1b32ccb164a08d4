// Package webhook is what gatecast posts to a subscriber's URL, as pure bytes:
// the body, the signature over it, and the check that a receiver makes.
//
// The body is the vendor's; beside it go the three headers of Standard Webhooks
// 1.0 (https://www.standardwebhooks.com), so that any library for that works as
// a receiver. It never sends a request, never keeps a secret anywhere but in
// memory, and never puts one into an error. Senders start at [AppendBody] and
// [NewSigner], receivers in Go at [NewVerifier] and [Handler].
package webhook
