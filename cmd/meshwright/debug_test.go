package main

import (
	"net"
	"net/http"
	"testing"
	"time"
)

// TestDebug: profiles are served where they are asked for, on loopback, and on
// no other address.
func TestDebug(t *testing.T) {
	for address, ok := range map[string]bool{"": true, "127.0.0.1:0": true, "[::1]:6060": true, ":6060": false, "0.0.0.0:6060": false, "10.0.0.1:6060": false, "127.0.0.1": false} {
		if err := (serveCmd{XdsAddress: "127.0.0.1:0", HealthWindow: time.Minute, DebugAddress: address}).Validate(); (err == nil) != ok {
			t.Errorf("--debug-address %q: %v", address, err)
		}
	}
	if l, s, err := openDebug(""); l != nil || s != nil || err != nil {
		t.Errorf("without an address: %v, %v, %v", l, s, err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	page := daemon(t, "--debug-address", address)
	for url, want := range map[string]int{"http://" + address + "/debug/pprof/heap": http.StatusOK, page + "/debug/pprof/heap": http.StatusNotFound} {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", url, resp.Status, want)
		}
	}
}
