package doctor

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// mount is where a directory is mounted from.
type mount struct {
	kind    string   // "ext4"; empty: not known
	options []string // of the mount and of the file system
	number  string   // of its device, "254:0"
	source  string   // "/dev/vda1"
}

// device is what a disk says of itself.
type device struct {
	rotating bool
	virtual  bool
}

// mountOf finds what a directory lies on. What cannot be found out is zero.
func mountOf(dir string) (mount, device) {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return mount{}, device{}
	}
	m := findMount(string(table), dir)
	return m, deviceOf("/sys/dev/block", m)
}

// findMount finds a directory in a table as in /proc/self/mountinfo, see proc(5).
// Of several mounts at one place the latest is seen.
func findMount(table, dir string) (m mount) {
	longest := -1
	for line := range strings.Lines(table) {
		before, after, whole := strings.Cut(line, " - ")
		head, tail := strings.Fields(before), strings.Fields(after)
		if !whole || len(head) < 6 || len(tail) < 3 {
			continue
		}
		point := unescape(head[4])
		if !within(dir, point) || len(point) < longest {
			continue
		}
		longest = len(point)
		m = mount{
			kind: tail[0], source: unescape(tail[1]), number: head[2],
			options: append(strings.Split(head[5], ","), strings.Split(tail[2], ",")...),
		}
	}
	return m
}

func within(dir, point string) bool {
	return dir == point || point == "/" || strings.HasPrefix(dir, point+"/")
}

// unescape reads what the kernel writes for blanks and backslashes: \040.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// deviceOf asks the kernel about a mount's disk, in a directory as /sys/dev/block.
func deviceOf(sys string, m mount) device {
	if m.number == "" || strings.HasPrefix(m.number, "0:") { // no block device
		return device{}
	}
	at := filepath.Join(sys, m.number)
	if real, err := filepath.EvalSymlinks(at); err == nil {
		at = real
	}
	if _, err := os.Stat(filepath.Join(at, "queue")); err != nil {
		at = filepath.Dir(at) // of a partition, which has no queue of its own
	}
	read := func(name string) string {
		text, _ := os.ReadFile(filepath.Join(at, name)) // what is not there is not known
		return strings.TrimSpace(string(text))
	}
	maker := strings.ToUpper(read("device/vendor") + " " + read("device/model"))
	name := filepath.Base(at)
	d := device{rotating: read("queue/rotational") == "1"}
	for _, mark := range []string{"QEMU", "VIRTUAL", "VMWARE", "VBOX", "AMAZON ELASTIC", "GOOGLE", "MSFT", "0X1AF4"} {
		d.virtual = d.virtual || strings.Contains(maker, mark)
	}
	for _, prefix := range []string{"vd", "xvd", "loop"} {
		d.virtual = d.virtual || strings.HasPrefix(name, prefix)
	}
	return d
}
