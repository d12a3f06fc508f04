package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/meshwright/meshwright/schema"
)

// standIn is an application of a case: it answers HTTP/1, HTTP/2, gRPC,
// WebSocket and TCP with its name and what it saw, or fails as it is told.
type standIn struct {
	name string

	mu       sync.Mutex
	fault    fault
	pages    map[string][]byte // path → body
	attempts int               // requests and connections, but for health checks
	serving  []*serving
}

// serving is one port of a stand-in.
type serving struct {
	listen   func() (net.Listener, error) // at the same address each time
	protocol schema.Protocol
	frames   bool   // HTTP/2 that can refuse streams
	close    func() // nil while it does not listen
}

// fault is what a stand-in does instead of an answer.
type fault struct {
	kind  string        // status of HTTP or gRPC, reset, hang, health
	delay time.Duration // before any answer, also a good one
	left  int           // how many times more; negative: for good
}

// newFault reads WHAT [xN], as `fail` has it.
func newFault(args []string) (fault, error) {
	f := fault{left: -1}
	for _, arg := range args {
		_, isStatus := statusCode(arg)
		switch {
		case strings.HasPrefix(arg, "delay="):
			d, err := time.ParseDuration(arg[len("delay="):])
			if err != nil {
				return f, err
			}
			f.delay = d
		case strings.HasPrefix(arg, "x"):
			if _, err := fmt.Sscanf(arg, "x%d", &f.left); err != nil {
				return f, fmt.Errorf("%s: write xN", arg)
			}
		case isStatus, arg == "reset", arg == "refuse", arg == "hang", arg == "health":
			f.kind = arg
		default:
			return f, fmt.Errorf("%s: no such fault; write a status, delay=D, reset, refuse, hang, health, and xN for the next N only", arg)
		}
	}
	return f, nil
}

// statusCode reads a status of HTTP, or a gRPC code by its name.
func statusCode(s string) (code int, ok bool) {
	for c := codes.OK; c <= codes.Unauthenticated; c++ {
		if c.String() == s {
			return int(c), true
		}
	}
	code, err := strconv.Atoi(s)
	return code, err == nil && code >= 100
}

// begin counts a request and returns what is to become of it.
func (s *standIn) begin(check bool) fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case check && s.fault.kind == "health":
		return fault{kind: "503"}
	case check:
		return fault{}
	}
	s.attempts++
	if s.fault.kind == "health" || s.fault.left == 0 {
		return fault{}
	}
	if s.fault.left > 0 {
		s.fault.left--
	}
	return s.fault
}

// taken returns and forgets the attempts.
func (s *standIn) taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.attempts
	s.attempts = 0
	return n
}

func (s *standIn) fail(f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// start listens on all ports that are stopped.
func (s *standIn) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.serving {
		if p.close != nil {
			continue
		}
		l, err := p.listen()
		if err != nil {
			return err
		}
		switch {
		case p.protocol == schema.ProtocolTCP:
			p.close = s.serveTCP(l)
		case p.protocol == schema.ProtocolGRPC:
			p.close = s.serveGRPC(l)
		case p.frames:
			p.close = s.serveFrames(l)
		default:
			p.close = s.serveHTTP(l)
		}
	}
	return nil
}

// stop closes all ports and connections.
func (s *standIn) stop() {
	s.mu.Lock()
	var closers []func()
	for _, p := range s.serving {
		if p.close != nil {
			closers = append(closers, p.close)
			p.close = nil
		}
	}
	s.mu.Unlock()
	for _, c := range closers {
		c()
	}
}

// sight is what a stand-in saw of a request; it travels back in the header
// x-sight.
type sight struct {
	Node, Proto, Method, Path, Host string
	Header                          map[string]string
}

func (s *standIn) serveHTTP(l net.Listener) (stop func()) {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	socket := websocket.Server{Handler: func(c *websocket.Conn) {
		_ = websocket.Message.Send(c, s.name)
		_, _ = io.Copy(c, c)
	}}
	server := &http.Server{Protocols: protocols, ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := s.begin(strings.HasPrefix(r.UserAgent(), "Envoy/HC"))
		if !f.wait(r.Context()) {
			panic(http.ErrAbortHandler) // closes the connection, or resets the stream
		}
		if r.Header.Get("Upgrade") == "websocket" {
			socket.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("x-sight", s.sees(r.Proto, r.Method, r.RequestURI, r.Host, r.Header))
		code := http.StatusOK
		if f.kind != "" {
			code, _ = statusCode(f.kind)
		}
		w.WriteHeader(code)
		s.mu.Lock()
		page := s.pages[r.URL.Path]
		s.mu.Unlock()
		_, _ = w.Write(page)
	})}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(l) }) // ends with ErrServerClosed
	return func() { _ = server.Close(); running.Wait() }
}

// wait waits as long as the fault says; false if there is no answer then.
func (f fault) wait(ctx context.Context) bool {
	delay := f.delay
	if f.kind == "hang" {
		delay = time.Hour
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(delay):
	}
	return f.kind != "reset"
}

// serveGRPC answers every method, and health checks.
func (s *standIn) serveGRPC(l net.Listener) (stop func()) {
	clients := &clients{Listener: l, open: map[string]net.Conn{}}
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		ctx := stream.Context()
		f := s.begin(false)
		if !f.wait(ctx) {
			if from, ok := peer.FromContext(ctx); ok && ctx.Err() == nil {
				clients.drop(from.Addr)
			}
			return status.Error(codes.Aborted, "nobody hears this")
		}
		if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
			return err
		}
		md, _ := metadata.FromIncomingContext(ctx)
		method, _ := grpc.MethodFromServerStream(stream)
		seen := metadata.Pairs("x-sight", s.sees("HTTP/2.0", http.MethodPost, method, strings.Join(md.Get(":authority"), ","), http.Header(md)))
		if f.kind != "" {
			stream.SetTrailer(seen) // the answer is nothing but trailers
			code, _ := statusCode(f.kind)
			return status.Error(codes.Code(code), "told to fail")
		}
		if err := stream.SetHeader(seen); err != nil {
			return err
		}
		return stream.SendMsg(&emptypb.Empty{})
	}))
	healthv1.RegisterHealthServer(server, healthOf{standIn: s})
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(clients) }) // ends when stopped
	return func() { server.Stop(); running.Wait() }
}

// clients are the connections of a listener, so that one can be dropped.
type clients struct {
	net.Listener
	mu   sync.Mutex
	open map[string]net.Conn // by the client's address
}

func (c *clients) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.open[conn.RemoteAddr().String()] = conn
	}
	return conn, err
}

func (c *clients) drop(client net.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.open[client.String()].Close()
}

// healthOf answers gRPC health checks.
type healthOf struct {
	healthv1.UnimplementedHealthServer
	*standIn
}

func (h healthOf) Check(context.Context, *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	if h.begin(true).kind != "" {
		return &healthv1.HealthCheckResponse{Status: healthv1.HealthCheckResponse_NOT_SERVING}, nil
	}
	return &healthv1.HealthCheckResponse{Status: healthv1.HealthCheckResponse_SERVING}, nil
}

// serveTCP speaks first, with the stand-in's name, as databases do; then it
// sends back each line.
func (s *standIn) serveTCP(l net.Listener) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			running.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				if f := s.begin(false); !f.wait(ctx) {
					return
				}
				if _, err := fmt.Fprintln(conn, s.name); err != nil {
					return
				}
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					if _, err := fmt.Fprintln(conn, lines.Text()); err != nil {
						return
					}
				}
			})
		}
	})
	return func() { _ = l.Close(); cancel(); running.Wait() }
}

func (s *standIn) sees(proto, method, path, host string, header http.Header) string {
	seen := sight{Node: s.name, Proto: proto, Method: method, Path: path, Host: host, Header: map[string]string{}}
	for k, v := range header {
		seen.Header[strings.ToLower(k)] = strings.Join(v, ",")
	}
	b, err := json.Marshal(seen)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
