package bench

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// Machine is where a measurement was made: without it, its figures say nothing
// to anybody else.
type Machine struct {
	System     string `json:"system"` // "linux/amd64"
	Kernel     string `json:"kernel,omitempty"`
	Processor  string `json:"processor,omitempty"`
	CPUs       int    `json:"cpus"` // that this process may use
	Memory     int64  `json:"memory_bytes,omitempty"`
	Go         string `json:"go"`
	Gatecast   string `json:"gatecast"` // version of this program, which is not that of a server elsewhere
	DataSystem string `json:"data_filesystem,omitempty"`
}

// describe finds out about this machine. Data is where the server's data lie.
func describe(data string) Machine {
	m := Machine{
		System: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0), Go: runtime.Version(), Gatecast: "unknown",
		Kernel:    strings.TrimSpace(text("/proc/sys/kernel/osrelease")),
		Processor: field("/proc/cpuinfo", "model name"),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		m.Gatecast = info.Main.Version
	}
	if kb, _, ok := strings.Cut(field("/proc/meminfo", "MemTotal"), " "); ok {
		n, _ := strconv.ParseInt(kb, 10, 64)
		m.Memory = n * 1024
	}
	if data != "" {
		m.DataSystem = fileSystem(data)
	}
	return m
}

func text(file string) string {
	b, _ := os.ReadFile(file) // not there on other systems, and then not told
	return string(b)
}

// field returns the first value of a name in a file of "name: value" lines.
func field(file, name string) string {
	for line := range strings.Lines(text(file)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// inMemory reports whether an fsync there costs nothing, and proves nothing.
func inMemory(fileSystem string) bool { return fileSystem == "tmpfs" || fileSystem == "ramfs" }

// fileSystem returns the type of the file system that a directory lies on, by
// the longest mount point that it is under.
func fileSystem(dir string) string {
	best, kind := "", ""
	for line := range strings.Lines(text("/proc/self/mounts")) {
		parts := strings.Fields(line)
		if len(parts) < 3 {
			continue
		}
		at := strings.TrimRight(parts[1], "/") + "/"
		if strings.HasPrefix(dir+"/", at) && len(at) >= len(best) {
			best, kind = at, parts[2]
		}
	}
	return kind
}
