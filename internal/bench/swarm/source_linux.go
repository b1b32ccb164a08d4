package swarm

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
)

// mostPerSource is how many clients one source address gets. The system has
// some 28,000 ports for it, and finding a free one takes longer the fewer are
// left.
const mostPerSource = 20_000

// perSource returns how many clients one source address gets on this machine.
func perSource() int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return mostPerSource
	}
	return shareOf(string(text))
}

// shareOf returns it for a range of ports as the system writes it.
func shareOf(ports string) int {
	var from, to int
	if n, err := fmt.Sscan(ports, &from, &to); n < 2 || err != nil || to < from {
		return mostPerSource
	}
	return max(1, min(mostPerSource, (to-from+1)*7/10))
}

// source returns the address that a client has to bind to, or false if the
// system is to choose: there are more than one for a loopback target only.
func source(client, per int, to netip.Addr) (a netip.Addr, ok bool) {
	n := client / per
	if n == 0 || !to.Is4() || !to.IsLoopback() {
		return netip.Addr{}, false
	}
	loopback := uint32(127<<24 | 1)
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, loopback+uint32(n)))), true
}
