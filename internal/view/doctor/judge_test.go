package doctor

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/config"
)

const (
	well  = gatecast.FindingOK
	noted = gatecast.FindingNote
	risky = gatecast.FindingWarn
	worst = gatecast.FindingBad
)

func one(f gatecast.Finding) []gatecast.Finding { return []gatecast.Finding{f} }

func TestFreeSpaceAndInodesAreJudgedByTheReserve(t *testing.T) {
	const mib = 1 << 20
	for _, v := range []struct {
		s     space
		level gatecast.FindingLevel
		text  string
	}{
		{space{free: 255 * mib, total: 1000 * mib}, worst, "events are refused"},
		{space{free: 256 * mib, total: 1000 * mib}, risky, "below 256.0 MiB"},
		{space{free: 512 * mib, total: 1000 * mib}, well, "512.0 MiB of 1000.0 MiB are free"},
		{space{free: 900 * mib, total: 1000 * mib, inodes: 1e6, inodesLeft: 499}, worst, "nothing can be written"},
		{space{free: 900 * mib, total: 1000 * mib, inodes: 1e6, inodesLeft: 9999}, risky, "9999 more files"},
		{space{free: 900 * mib, total: 1000 * mib, inodes: 16384, inodesLeft: 9999}, well, "free"},
	} {
		found := judgeSpace("/data", v.s, 256*config.MiB)
		want(t, found, "disk", v.level, "/data", v.text, "")
		if v.level == well && len(found) != 1 {
			t.Errorf("%+v: %s", v.s, list(found))
		}
	}
}

func TestDaysLeftCountWhatRetentionRemoves(t *testing.T) {
	const gib = 1 << 30
	disk := space{free: 10*gib + 256<<20, total: 100 * gib} // 10 GiB above the reserve
	none := config.Journal{LowDisk: 256 * config.MiB}
	for name, v := range map[string]struct {
		perDay float64
		keep   config.Journal
		level  gatecast.FindingLevel
		text   string
	}{
		"nothing comes":   {0, none, well, "grew by 0 B"},
		"a year":          {gib / 36.5, none, well, "in 365 days"},
		"ten days":        {gib, none, risky, "in 10 days"},
		"two days":        {5 * gib, none, worst, "in 2 days"},
		"hours":           {50 * gib, none, worst, "within a day"},
		"age stops it":    {gib, config.Journal{LowDisk: none.LowDisk, MaxAge: 9 * 24 * time.Hour}, well, "is removed before"},
		"age is too long": {gib, config.Journal{LowDisk: none.LowDisk, MaxAge: 12 * 24 * time.Hour}, risky, "in 10 days"},
		"size stops it":   {50 * gib, config.Journal{LowDisk: none.LowDisk, MaxBytes: 5 * config.GiB}, well, "is removed before"},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, one(judgeGrowth("/data", disk, growth{held: gib, perDay: v.perDay}, v.keep)), "growth", v.level, "/data", v.text, "")
		})
	}
}

func TestGrowthIsWhatCameInADay(t *testing.T) {
	w := &ward{extent: gatecast.Extent{First: 1, Last: 100, Events: 100, Bytes: 50_000}, since: 80}
	g, err := measureGrowth(t.Context(), w, time.Now())
	if err != nil || g != (growth{held: 50_000, perDay: 10_000}) {
		t.Errorf("%+v, %v", g, err)
	}
	w.since = 100
	if g, _ = measureGrowth(t.Context(), w, time.Now()); g.perDay != 0 {
		t.Errorf("with nothing since yesterday: %+v", g)
	}
}

func TestAnFsyncIsNotBelievedThatIsFasterThanTheDiskCanBe(t *testing.T) {
	turns, virtual, flash := device{rotating: true}, device{rotating: true, virtual: true}, device{}
	for _, v := range []struct {
		d      device
		median time.Duration
		level  gatecast.FindingLevel
		text   string
	}{
		{flash, 3 * time.Microsecond, risky, "fsync may lie"},
		{flash, 25 * time.Microsecond, well, "25µs"},
		{virtual, 25 * time.Microsecond, risky, "no host of a virtual disk"},
		{virtual, 300 * time.Microsecond, well, "300µs"},
		{turns, 300 * time.Microsecond, risky, "no disk that turns"},
		{turns, 8 * time.Millisecond, well, "8ms"},
		{turns, 80 * time.Millisecond, risky, "no more than 12 groups"},
	} {
		s := syncs{v.median / 2, v.median, v.median * 2}
		want(t, one(judgeSync("/data", v.d, s)), "fsync", v.level, "/data", v.text, "")
	}
	want(t, one(judgeSync("/data", flash, syncs{time.Millisecond, time.Millisecond, 2 * time.Second})), "fsync", risky, "/data", "at most 2s", "kernel's log")
}

func TestFileSystemsThatKeepNothingAreTold(t *testing.T) {
	for kind, v := range map[string]struct {
		options string
		level   gatecast.FindingLevel
		text    string
	}{
		"tmpfs":      {"rw", worst, "memory"},
		"overlay":    {"rw,lowerdir=/x", risky, "lost with the container"},
		"nfs4":       {"rw,hard", risky, "network"},
		"fuse.sshfs": {"rw", risky, "network"},
		"ext4":       {"rw,nobarrier", worst, "nobarrier"},
		"ext3":       {"rw,barrier=0", worst, "barrier=0"},
		"xfs":        {"ro", worst, "read-only"},
	} {
		want(t, judgeMount("/data", mount{kind: kind, options: strings.Split(v.options, ",")}), "mount", v.level, "/data", v.text, "")
	}
	if found := judgeMount("/data", mount{kind: "ext4", options: []string{"rw", "relatime"}}); found != nil {
		t.Error(list(found))
	}
}

func TestTheMountOfADirectoryIsTheLongestThatHoldsIt(t *testing.T) {
	const table = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,errors=remount-ro
30 22 0:30 / /var rw - tmpfs tmpfs rw,size=1g
31 30 8:17 / /var/lib/my\040data rw,noatime shared:7 - xfs /dev/sdb1 rw,attr2
32 22 0:31 / /var rw - overlay overlay rw
broken line
`
	for dir, v := range map[string][2]string{
		"/home/a":              {"ext4", "254:0"},
		"/var":                 {"overlay", "0:31"}, // it hides the one before
		"/variable":            {"ext4", "254:0"},
		"/var/lib/my data/jnl": {"xfs", "8:17"},
	} {
		if m := findMount(table, dir); m.kind != v[0] || m.number != v[1] {
			t.Errorf("%s is on %+v", dir, m)
		}
	}
	if m := findMount(table, "/home"); !strings.Contains(strings.Join(m.options, " "), "errors=remount-ro") {
		t.Errorf("without the file system's options: %q", m.options)
	}
}

func TestWhatADiskIsStandsInTheKernelsFiles(t *testing.T) {
	sys := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(sys, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("devices/sda/queue/rotational", "1\n")
	write("devices/sda/sda1/partition", "1\n")
	write("devices/vdb/queue/rotational", "1\n")
	write("devices/sdc/queue/rotational", "0\n")
	write("devices/sdc/device/vendor", "QEMU    \n")
	for number, path := range map[string]string{"8:1": "sda/sda1", "254:16": "vdb", "8:32": "sdc"} {
		if err := os.Symlink(filepath.Join(sys, "devices", path), filepath.Join(sys, number)); err != nil {
			t.Fatal(err)
		}
	}
	for number, want := range map[string]device{
		"8:1": {rotating: true}, "254:16": {rotating: true, virtual: true}, "8:32": {virtual: true}, "0:44": {}, "9:9": {},
	} {
		if got := deviceOf(sys, mount{number: number}); got != want {
			t.Errorf("%s is %+v, want %+v", number, got, want)
		}
	}
}

func TestAClockThatNobodyKeepsRightIsTold(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	want(t, one(judgeClock(clock{now: now, known: true, synced: true, off: time.Millisecond})), "clock", well, "", "NTP", "")
	want(t, one(judgeClock(clock{now: now, known: true})), "clock", risky, "", "nothing keeps it right", "chrony")
	want(t, one(judgeClock(clock{now: now})), "clock", noted, "", "does not say", "chrony")
	want(t, one(judgeClock(clock{now: time.Unix(0, 0), known: true, synced: true})), "clock", worst, "", "cannot be", "set the clock")
}

func TestTheZoneOfTimesWithoutOneIsTold(t *testing.T) {
	want(t, one(judgeZone("Local", "UTC")), "zone", noted, "", "in UTC", "ingest.time_zone")
	want(t, one(judgeZone("Local", "Asia/Tokyo")), "zone", well, "", "Asia/Tokyo", "")
	want(t, one(judgeZone("Asia/Tokyo", "UTC")), "zone", well, "", "Asia/Tokyo", "")
}

func TestLimitsAreHeldAgainstTheSettings(t *testing.T) {
	c := config.Default()
	need := needFiles(c)
	want(t, one(judgeFiles(c, files{limit: need, open: 50})), "files", well, "", "50 are", "")
	want(t, one(judgeFiles(c, files{limit: 1024, open: 50})), "files", risky, "", fmt.Sprintf("need %d", need), "LimitNOFILE")
	want(t, one(judgeFiles(c, files{limit: 1024, open: 1000})), "files", worst, "", "soon nobody can connect", "ulimit -n")
	want(t, one(judgeFiles(c, files{limit: 256, open: -1})), "files", worst, "", "hardly suffices", "ulimit -n")

	want(t, one(judgeMemory(c, memory{limit: 2 << 30})), "memory", well, "", "the machine has 2.0 GiB", "")
	want(t, one(judgeMemory(c, memory{limit: 256 << 20, group: true})), "memory", risky, "", "the limit (control group) is 256.0 MiB", "hub.ring_bytes")
	want(t, one(judgeMemory(c, memory{})), "memory", noted, "", "cannot be found out", "")
}

func TestTheMemoryLimitIsTheLeastOfAllGroupsAbove(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"memory.max": "max\n", "a/memory.max": "1000\n", "a/b/memory.max": "max\n",
		"memory/memory.limit_in_bytes": "9223372036854771712\n", "memory/pod/memory.limit_in_bytes": "5000\n", "memory/pod/c/memory.limit_in_bytes": "9223372036854771712\n",
	} {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for own, want := range map[string]uint64{
		"0::/a/b\n": 1000, "0::/\n": 0, "9:cpu:/a\n4:memory:/pod/c\n0::/\n": 5000, "4:memory:/\n": 0, "nonsense": 0, "0::/gone/../a": 1000,
	} {
		if got := groupLimit(root, own); got != want {
			t.Errorf("%q: %d, want %d", own, got, want)
		}
	}
}

func TestSecretsThatOthersCanReadAreTold(t *testing.T) {
	mine := owned{mode: 0o600, uid: 7, me: 7}
	if found := judgeOwn("secrets", "/k", mine, true); found != nil {
		t.Error(list(found))
	}
	open := mine
	open.mode = 0o640
	want(t, judgeOwn("secrets", "/k", open, true), "secrets", worst, "/k", "will not start", "chmod 600 /k")
	want(t, judgeOwn("secrets", "/k", open, false), "secrets", risky, "/k", "mode is 0640", "chmod 600 /k")
	open.mode = 0o755
	want(t, judgeOwn("data", "/d", open, false), "data", risky, "/d", "0755", "chmod 700 /d")
	other := mine
	other.uid = 8
	want(t, judgeOwn("data", "/d", other, false), "data", risky, "/d", "belongs to user 8", "chown")
	other.me = 0
	if found := judgeOwn("data", "/d", other, false); found != nil {
		t.Error(list(found))
	}
}

func TestACertificateIsToldBeforeItEnds(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	leaf := func(from, to time.Duration, names ...string) *x509.Certificate {
		return &x509.Certificate{NotBefore: now.Add(from), NotAfter: now.Add(to), DNSNames: names}
	}
	const day = 24 * time.Hour
	for _, v := range []struct {
		leaf  *x509.Certificate
		level gatecast.FindingLevel
		text  string
	}{
		{leaf(-day, 60*day, "door.example"), well, "door.example"},
		{leaf(-day, 20*day, "door.example"), risky, "ends at"},
		{leaf(-day, 2*day, "door.example"), worst, "ends at"},
		{leaf(-day, -time.Second, "door.example"), worst, "has ended"},
		{leaf(time.Hour, 60*day, "door.example"), worst, "not valid before"},
		{leaf(-day, 60*day), worst, "names no host"},
	} {
		want(t, one(judgeCertificate("/c.pem", v.leaf, now)), "certificate", v.level, "/c.pem", v.text, "")
	}
}

func TestAnAddressThatCannotBeListenedOnIsTold(t *testing.T) {
	for err, v := range map[error]struct {
		level        gatecast.FindingLevel
		text, remedy string
	}{
		nil:                   {well, "free", ""},
		syscall.EADDRINUSE:    {worst, "taken", "ss -ltnp"},
		syscall.EACCES:        {worst, "may not listen", "above 1023"},
		syscall.EADDRNOTAVAIL: {worst, "no such address", "leave the host out"},
		fs.ErrInvalid:         {worst, "cannot be listened on", "server.listen"},
	} {
		var wrapped error
		if err != nil {
			wrapped = &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", err)}
		}
		want(t, one(judgeListen("server.listen", ":9000", wrapped)), "listen", v.level, ":9000", v.text, v.remedy)
	}
}

func TestSubscriptionsThatWaitAreTold(t *testing.T) {
	sub := &gatecast.Subscription{ID: "sub_1"}
	state := gatecast.SubscriptionState{Status: gatecast.SubscriptionDegraded, Reason: "HTTP 500", LagEvents: 12, Dead: 3}
	found := judgeSubscription(sub, state)
	want(t, found, "subscriptions", risky, "sub_1", "12 positions wait: HTTP 500", "sub show sub_1")
	want(t, found, "subscriptions", risky, "sub_1", "3 events were refused", "sub dead sub_1")
	want(t, judgeSubscription(sub, gatecast.SubscriptionState{Status: gatecast.SubscriptionRetrying}), "subscriptions", noted, "sub_1", "a moment ago", "nothing yet")
	if found := judgeSubscription(sub, gatecast.SubscriptionState{Status: gatecast.SubscriptionActive}); found != nil {
		t.Error(list(found))
	}
	sub.Paused = "by hand"
	want(t, judgeSubscription(sub, gatecast.SubscriptionState{}), "subscriptions", noted, "sub_1", "by hand", "sub resume sub_1")
}

func TestNamesThatCannotBeLookedUpAndSlowServersAreTold(t *testing.T) {
	for _, v := range []struct {
		err          error
		what, remedy string
	}{
		{&net.DNSError{Name: "gate.example", IsNotFound: true}, "no such host as gate.example", "DNS knows it"},
		{&net.DNSError{Name: "gate.example", Err: "server misbehaving"}, "cannot be looked up", "resolv.conf"},
		{&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, "no answer in time", "firewalls"},
		{&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, "no way to that host", "routes"},
	} {
		what, remedy := step(fmt.Errorf("round trip: %w", v.err))
		if !strings.Contains(what, v.what) || !strings.Contains(remedy, v.remedy) {
			t.Errorf("%v: %q > %q", v.err, what, remedy)
		}
	}
}
