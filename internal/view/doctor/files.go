package doctor

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gatecast/gatecast"
)

func journalDir(o Options) string {
	dir := filepath.Join(o.DataDir, "journal")
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return dir
	}
	return o.DataDir
}

func keyFile(o Options) string {
	if o.Config.Registry.KeyFile != "" {
		return o.Config.Registry.KeyFile
	}
	return filepath.Join(o.DataDir, "secret.key")
}

// checkOwn looks at the data directory and at the files that hold secrets.
func checkOwn(o Options) []gatecast.Finding {
	info, err := os.Stat(o.DataDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []gatecast.Finding{note("data", o.DataDir, "the data directory is not there yet: it is made at the start", "if events should be there, check server.data")}
	case err != nil:
		return []gatecast.Finding{unreadable("data", o.DataDir, err)}
	case !info.IsDir():
		return []gatecast.Finding{bad("data", o.DataDir, "this is no directory", "check server.data")}
	}
	found := judgeOwn("data", o.DataDir, ownOf(info), false)
	secrets := []string{keyFile(o), filepath.Join(o.DataDir, "admin.token")}
	if o.Config.TLS.Key != "" {
		secrets = append(secrets, o.Config.TLS.Key)
	}
	for _, path := range secrets {
		info, err := os.Stat(path)
		switch {
		case err == nil:
			found = append(found, judgeOwn("secrets", path, ownOf(info), path == keyFile(o))...)
		case !errors.Is(err, fs.ErrNotExist):
			found = append(found, unreadable("secrets", path, err))
		}
	}
	if found == nil {
		found = append(found, ok("data", o.DataDir, "it and its secrets are for the server's user alone"))
	}
	return found
}

// owned is whose a file is.
type owned struct {
	mode fs.FileMode
	uid  int
	me   int // effective user of this process
}

func ownOf(info fs.FileInfo) owned {
	o := owned{mode: info.Mode().Perm(), uid: -1, me: os.Geteuid()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		o.uid = int(st.Uid)
	}
	return o
}

// judgeOwn says whether others can read a file, or take it away. strict: the
// server does not start if they can.
func judgeOwn(check, path string, o owned, strict bool) (found []gatecast.Finding) {
	if open := o.mode & 0o077; open != 0 {
		mode := "600"
		if check == "data" {
			mode = "700"
		}
		f := warn(check, path, fmt.Sprintf("its mode is %04o: other users of this machine can get at it", o.mode), "chmod "+mode+" "+path)
		if strict {
			f.Level, f.Text = gatecast.FindingBad, f.Text+", and the server will not start"
		}
		found = append(found, f)
	}
	if o.uid >= 0 && o.uid != o.me && o.me != 0 {
		found = append(found, warn(check, path, fmt.Sprintf("it belongs to user %d, and this is user %d", o.uid, o.me), fmt.Sprintf("chown it to the user that runs gatecast, or run as user %d", o.uid)))
	}
	return found
}

// Before a certificate ends.
const (
	certSoon  = 21 * 24 * time.Hour
	certClose = 3 * 24 * time.Hour
)

func checkCertificate(o Options) []gatecast.Finding {
	if o.Config.TLS.Cert == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(o.Config.TLS.Cert, o.Config.TLS.Key)
	if err != nil {
		return []gatecast.Finding{bad("certificate", o.Config.TLS.Cert, "certificate and key cannot be used: "+err.Error(), "check tls.cert and tls.key: PEM files that belong together, and that the server's user may read")}
	}
	return []gatecast.Finding{judgeCertificate(o.Config.TLS.Cert, pair.Leaf, o.Now())}
}

func judgeCertificate(path string, leaf *x509.Certificate, now time.Time) gatecast.Finding {
	names := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	text := fmt.Sprintf("it is for %s, and ends at %s", strings.Join(names, ", "), moment(leaf.NotAfter))
	const remedy = "renew it; the server reads the files again by itself"
	switch left := leaf.NotAfter.Sub(now); {
	case len(names) == 0:
		return bad("certificate", path, "it names no host (subject alternative name): no client trusts it", "make one that names the hosts that clients use")
	case now.Before(leaf.NotBefore):
		return bad("certificate", path, "it is not valid before "+moment(leaf.NotBefore), "check the machine's clock, or take another one")
	case left <= 0:
		return bad("certificate", path, text+": it has ended, and clients no longer connect", remedy)
	case left < certClose:
		return bad("certificate", path, text, remedy)
	case left < certSoon:
		return warn("certificate", path, text, remedy)
	}
	return ok("certificate", path, text)
}
