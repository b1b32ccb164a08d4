package registry

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatecast/gatecast/internal/auth"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func ensure(t *testing.T, r *Registry, path string) bool {
	t.Helper()
	made, err := r.EnsureAdminToken(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.PrincipalByTokenHash(t.Context(), auth.HashToken(strings.TrimSpace(read(t, path))))
	if err != nil || !p.Has(auth.Admin) {
		t.Fatalf("the token in the file belongs to %+v, %v", p, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	return made
}

func TestTheFirstStartMakesAnAdminTokenAndLaterOnesKeepIt(t *testing.T) {
	r := OpenMem(Options{})
	defer r.Close()
	path := filepath.Join(t.TempDir(), "admin.token")
	if !ensure(t, r, path) {
		t.Error("the first start made no token")
	}
	before := read(t, path)
	if ensure(t, r, path) || read(t, path) != before {
		t.Error("the second start made another token")
	}
	if len(r.Tokens()) != 1 {
		t.Errorf("tokens: %+v", r.Tokens())
	}
}

func TestALostOrUselessAdminTokenIsReplaced(t *testing.T) {
	r := OpenMem(Options{})
	defer r.Close()
	path := filepath.Join(t.TempDir(), "admin.token")
	_, reader, err := r.CreateToken(t.Context(), "reader", []auth.Scope{auth.Read})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "gct_unknown\n", reader} {
		write(t, path, text)
		if !ensure(t, r, path) {
			t.Errorf("a file that holds %q was kept", text)
		}
	}
	former := read(t, path)
	remove(t, path)
	if !ensure(t, r, path) {
		t.Error("a deleted file was not replaced")
	}
	if p, err := r.PrincipalByTokenHash(t.Context(), auth.HashToken(strings.TrimSpace(former))); err != nil || !p.Has(auth.Admin) {
		t.Errorf("the former token: %+v, %v", p, err)
	}
}

func TestAnAdminTokenOthersCanReadIsRefused(t *testing.T) {
	r := OpenMem(Options{})
	defer r.Close()
	path := filepath.Join(t.TempDir(), "admin.token")
	ensure(t, r, path)
	chmod(t, path, 0o644)
	_, err := r.EnsureAdminToken(t.Context(), path)
	refused(t, err, "chmod 600 "+path)
}

func TestAnAdminTokenThatCannotBeWrittenLeavesNoToken(t *testing.T) {
	r := OpenMem(Options{})
	defer r.Close()
	if _, _, err := r.CreateToken(t.Context(), "other", []auth.Scope{auth.Admin}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.EnsureAdminToken(t.Context(), filepath.Join(t.TempDir(), "missing", "admin.token")); err == nil {
		t.Error("no error")
	}
	if got := r.Tokens(); len(got) != 1 {
		t.Errorf("tokens: %+v", got)
	}
}

func TestMetricsCountWhatThereIs(t *testing.T) {
	r := OpenMem(Options{})
	defer r.Close()
	create(t, r, "a")
	create(t, r, "b")
	for range 3 {
		subscribe(t, r, "")
	}
	all := prometheus.NewPedanticRegistry()
	all.MustRegister(r.Metrics()...)
	const want = `
# HELP gatecast_registry_apps Apps there are.
# TYPE gatecast_registry_apps gauge
gatecast_registry_apps 2
# HELP gatecast_registry_healthy 1 while changes from other nodes arrive, else 0.
# TYPE gatecast_registry_healthy gauge
gatecast_registry_healthy 1
# HELP gatecast_registry_resyncs_total How often the watch on the registry was lost and begun anew.
# TYPE gatecast_registry_resyncs_total counter
gatecast_registry_resyncs_total 0
# HELP gatecast_registry_sources Sources there are.
# TYPE gatecast_registry_sources gauge
gatecast_registry_sources 0
# HELP gatecast_registry_subscriptions Subscriptions there are.
# TYPE gatecast_registry_subscriptions gauge
gatecast_registry_subscriptions 3
# HELP gatecast_registry_tokens API tokens there are.
# TYPE gatecast_registry_tokens gauge
gatecast_registry_tokens 0
`
	if err := testutil.GatherAndCompare(all, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
