package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// The ports of every node of the mesh that TestE2EChanges changes.
const (
	pagePort  = 8080 // http
	callPort  = 8090 // http2
	linePort  = 6379 // tcp
	sparePort = 8081
)

// startServing starts a node's proxy, and an application that speaks HTTP/1
// and HTTP/2 on one port and lines of text on another, and answers with the
// node's name.
func startServing(t *testing.T, l *lab.Lab, name string, at netip.Addr, c translate.BootstrapConfig) *lab.Envoy {
	t.Helper()
	web, lines := listenLoopback(t), listenLoopback(t)
	serveNamed(t, name, web)
	serveLines(t, name, lines)
	listen, app := map[string]netip.AddrPort{}, map[string]netip.AddrPort{}
	for port, l := range map[uint16]net.Listener{pagePort: web, callPort: web, sparePort: web, linePort: lines} {
		listen[fmt.Sprint(port)] = netip.AddrPortFrom(at, port)
		app[fmt.Sprint(port)] = netip.MustParseAddrPort(l.Addr().String())
	}
	c.Capture = xds.NewCapture(true, map[xds.Role]map[string]netip.AddrPort{xds.RoleListen: listen, xds.RoleApp: app})
	return startProxy(t, l, name, at, c)
}

func startProxy(t *testing.T, l *lab.Lab, name string, at netip.Addr, c translate.BootstrapConfig) *lab.Envoy {
	t.Helper()
	c.NodeID, c.AdminAddress = name, netip.AddrPortFrom(at, 9901)
	b, err := translate.Bootstrap(c)
	must(t, err)
	e, err := l.StartEnvoy(lab.EnvoyConfig{Name: name, Bootstrap: b, Admin: c.AdminAddress})
	must(t, err)
	return e
}

func listenLoopback(t *testing.T) net.Listener {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	return l
}

// serveNamed answers with its name; a request with a body is a conversation, of
// which every line is answered.
func serveNamed(t *testing.T, name string, at net.Listener) {
	s := &http.Server{Protocols: bothHTTP(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			_, _ = io.WriteString(w, name)
			return
		}
		flush := http.NewResponseController(w)
		_ = flush.Flush()
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			_, _ = io.WriteString(w, name+"\n")
			_ = flush.Flush()
		}
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(at) })
	t.Cleanup(func() { _ = s.Close(); serving.Wait() })
}

func bothHTTP() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return &p
}

// serveLines answers each line of each connection with its name.
func serveLines(t *testing.T, name string, at net.Listener) {
	go func() {
		for {
			c, err := at.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					if _, err := io.WriteString(c, name+"\n"); err != nil {
						return
					}
				}
			}()
		}
	}()
	t.Cleanup(func() { _ = at.Close() })
}

// load is steady traffic of every sort through one proxy. Each sort counts.
type load struct {
	stop    context.CancelFunc
	working sync.WaitGroup
	mu      sync.Mutex
	counts  map[string]*tally
}

// tally is what happened to one sort of traffic.
type tally struct {
	n, failed int
	first     string         // failure
	by        map[string]int // who answered
}

// sorts of traffic.
var sorts = []string{"page", "call", "talk", "line", "held"}

// startLoad sends requests for pages and calls that keep their connections, a
// conversation over HTTP/2 that never ends, lines over new connections, and
// lines over one that is held.
func startLoad(ctx context.Context, at netip.Addr) *load {
	l := &load{counts: map[string]*tally{}}
	ctx, l.stop = context.WithCancel(ctx)
	url := func(port uint16) string { return "http://" + netip.AddrPortFrom(at, port).String() + "/" }
	h1 := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: 10 * time.Second}
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	h2 := &http.Client{Transport: &http.Transport{Protocols: &p}, Timeout: 10 * time.Second}
	for range 3 {
		l.worker(ctx, "page", 4*time.Millisecond, func() (string, error) { return fetch(h1, url(pagePort)) })
		l.worker(ctx, "call", 4*time.Millisecond, func() (string, error) { return fetch(h2, url(callPort)) })
		l.worker(ctx, "line", 4*time.Millisecond, func() (string, error) {
			c, err := dialLines(netip.AddrPortFrom(at, linePort))
			if err != nil {
				return "", err
			}
			defer c.Close()
			return c.say()
		})
	}
	l.worker(ctx, "talk", 4*time.Millisecond, held(func() (conversation, error) {
		return openTalk(ctx, &http.Client{Transport: &http.Transport{Protocols: &p}}, url(callPort))
	}))
	l.worker(ctx, "held", 4*time.Millisecond, held(func() (conversation, error) { return dialLines(netip.AddrPortFrom(at, linePort)) }))
	return l
}

func (l *load) worker(ctx context.Context, sort string, pause time.Duration, do func() (string, error)) {
	l.working.Go(func() {
		for ctx.Err() == nil {
			name, err := do()
			if ctx.Err() != nil {
				return
			}
			l.mu.Lock()
			c := l.counts[sort]
			if c == nil {
				c = &tally{by: map[string]int{}}
				l.counts[sort] = c
			}
			c.n++
			if err == nil {
				c.by[name]++
			} else if c.failed++; c.first == "" {
				c.first = err.Error()
			}
			l.mu.Unlock()
			time.Sleep(pause)
		}
	})
}

// take returns what was counted since the last take.
func (l *load) take() map[string]*tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts
	l.counts = map[string]*tally{}
	return c
}

func fetch(c *http.Client, url string) (string, error) {
	r, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d: %s", r.StatusCode, b)
	}
	return string(b), err
}

// conversation is a connection or stream on which lines go to and fro.
type conversation interface {
	say() (string, error)
	io.Closer
}

// held keeps a conversation going; one that breaks is a failure, and another
// begins.
func held(open func() (conversation, error)) func() (string, error) {
	var c conversation
	return func() (string, error) {
		if c == nil {
			var err error
			if c, err = open(); err != nil {
				c = nil
				return "", err
			}
		}
		name, err := c.say()
		if err != nil {
			_ = c.Close()
			c = nil
		}
		return name, err
	}
}

type lineConn struct {
	net.Conn
	in *bufio.Scanner
}

func dialLines(at netip.AddrPort) (conversation, error) {
	c, err := net.DialTimeout("tcp4", at.String(), 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &lineConn{c, bufio.NewScanner(c)}, nil
}

func (c *lineConn) say() (string, error) {
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, "who\n"); err != nil {
		return "", err
	}
	return scan(c.in)
}

func scan(in *bufio.Scanner) (string, error) {
	if !in.Scan() {
		return "", errors.Join(in.Err(), errors.New("the conversation has ended"))
	}
	return in.Text(), nil
}

// talk is one request of HTTP/2 whose bodies are lines to and fro.
type talk struct {
	io.Writer
	in    *bufio.Scanner
	close context.CancelFunc
}

func openTalk(ctx context.Context, c *http.Client, url string) (conversation, error) {
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, r)
	if err != nil {
		cancel()
		return nil, err
	}
	resp, err := c.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return &talk{w, bufio.NewScanner(resp.Body), func() { cancel(); _ = resp.Body.Close() }}, nil
}

func (t *talk) Close() error { t.close(); return nil }

func (t *talk) say() (string, error) {
	var late atomic.Bool
	defer time.AfterFunc(5*time.Second, func() { late.Store(true); t.close() }).Stop()
	if _, err := io.WriteString(t, "who\n"); err != nil {
		return "", err
	}
	return scan(t.in)
}

// writeCertificate writes tls.crt and tls.key into a folder.
func writeCertificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"v1.shop.internal"}}
	cert, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "tls.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600),
		os.WriteFile(filepath.Join(dir, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}
