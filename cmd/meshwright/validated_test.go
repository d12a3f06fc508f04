package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshwright/meshwright/fixtures/scale"
)

// A start takes over what the one before has validated; a file that is damaged
// costs a line, and the files are validated as if there were none.
func TestValidatedFilesAreKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "validated")
	files := scale.Mesh{Services: 5}.FS()
	start := func() (said string, again bool) {
		var log bytes.Buffer
		kept := newValidated(file, slog.New(slog.NewTextHandler(&log, nil)))
		r, err := newKeptLoad(nil, kept)(t.Context(), files)
		if err != nil || r.Spec == nil {
			t.Fatal(err, r)
		}
		select {
		case news := <-kept.news:
			if err := kept.write(news); err != nil {
				t.Fatal(err)
			}
			return log.String(), true
		default:
			return log.String(), false
		}
	}
	if said, again := start(); said != "" || !again {
		t.Errorf("first start: %v, %s", again, said)
	}
	if said, again := start(); said != "" || again {
		t.Errorf("second start: validated again: %v, %s", again, said)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string][]byte{"cut": whole[:len(whole)/2], "empty": nil, "another's": []byte("sqlite\n\x00")} {
		if err := os.WriteFile(file, other, 0o600); err != nil {
			t.Fatal(err)
		}
		if said, again := start(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "validated files not restored") || !again {
			t.Errorf("%s: validated again: %v, %s", name, again, said)
		}
	}
	if said, again := start(); said != "" || again {
		t.Errorf("last start: validated again: %v, %s", again, said)
	}
}
