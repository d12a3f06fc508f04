package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// openDebug listens where profiles are served; nil without an address. Whoever
// reaches them sees what is in memory: they are not on the HTTP side, and the
// address is held to loopback.
func openDebug(address string) (net.Listener, *http.Server, error) {
	if address == "" {
		return nil, nil, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, nil, fmt.Errorf("--debug-address: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return l, &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}, nil
}
