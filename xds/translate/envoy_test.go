package translate_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/xds/ads"
)

// validate lets a real Envoy check a bootstrap and returns what it warned of.
func validate(t testing.TB, bootstrap []byte) (log string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, fixtures.Envoy(t), "-c", bootstrapFile(t, bootstrap), "--mode", "validate", "-l", "warning").CombinedOutput()
	if err != nil {
		t.Fatalf("envoy --mode validate: %v\n%s", err, out)
	}
	return string(trimOK(out))
}

// startEnvoy runs a real Envoy for the length of the test; log returns what it
// has warned of so far.
func startEnvoy(t testing.TB, bootstrap []byte) (log func() string) {
	t.Helper()
	_, log = runEnvoy(t, bootstrap)
	return log
}

func runEnvoy(t testing.TB, bootstrap []byte) (pid int, log func() string) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "envoy.log"))
	if err != nil {
		t.Fatal(err)
	}
	log = func() string { b, _ := os.ReadFile(file.Name()); return string(b) }
	cmd := exec.Command(fixtures.Envoy(t), "-c", bootstrapFile(t, bootstrap), "--concurrency", "1", "-l", "warning", "--use-dynamic-base-id")
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = file.Close()
		if t.Failed() {
			t.Logf("envoy:\n%s", log())
		}
	})
	return cmd.Process.Pid, log
}

func bootstrapFile(t testing.TB, bootstrap []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bootstrap.json")
	if err := os.WriteFile(file, bootstrap, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// runServer runs an ADS server until stop, at the latest until the test ends.
func runServer(t testing.TB, s *ads.Server) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("ads: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// trimOK takes out the line by which Envoy says that all is well.
func trimOK(out []byte) []byte {
	return []byte(okLine.ReplaceAllString(string(out), ""))
}

var okLine = regexp.MustCompile(`(?m)^configuration '.*' OK\n?`)
