package lab

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Backend connects an application to a virtual service that its node may use,
// such as "yelb-db". It goes through the node's proxy.
type Backend func(ctx context.Context, service string) (net.Conn, error)

// ServeApp runs the stand-in of one of Yelb's applications on a listener, until
// the lab is closed. They do what the originals do to the network: the ui asks
// the appserver over HTTP, the appserver asks redis and the database over TCP
// for each page, and a page is there only when all of them have answered.
func (l *Lab) ServeApp(node string, at net.Listener, backend Backend) error {
	switch node {
	case "yelb-ui":
		l.serveHTTP(at, ui(backend))
	case "yelb-appserver":
		l.serveHTTP(at, l.Fault(node).before(appserver("v1", backend)))
	case "yelb-appserver-v2", YelbV3.Name:
		l.serveHTTP(at, l.Fault(node).before(appserver(node[len("yelb-appserver-"):], backend)))
	case "redis-server":
		var views atomic.Int64
		l.serveLines(at, func(line string) string {
			if line != "INCR pageviews" {
				return "-ERR unknown command"
			}
			return fmt.Sprintf(":%d", views.Add(1))
		})
	case "yelb-db":
		l.serveLines(at, func(line string) string {
			if line != "SELECT name, count FROM restaurants" {
				return "ERROR: syntax error"
			}
			return "outback 4, bucadibeppo 2, ihop 1, chipotle 7"
		})
	default:
		return fmt.Errorf("no stand-in for %s", node)
	}
	return nil
}

// ui passes a page on from the appserver.
func ui(backend Backend) http.Handler {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, host string) (net.Conn, error) {
			service, _, err := net.SplitHostPort(host)
			if err != nil {
				return nil, err
			}
			return backend(ctx, service)
		},
		MaxIdleConnsPerHost: 64,
	}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://yelb-appserver:4567/api/getvotes", nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		// An application has to pass on the trace that its request belongs to.
		if trace := r.Header.Get("Traceparent"); trace != "" {
			req.Header.Set("Traceparent", trace)
		}
		resp, err := client.Do(req)
		if err != nil {
			http.Error(w, "ui: "+err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body) // a cut page is the client's failure, and counted there
	})
}

// appserver answers with its version, then what its backends say.
func appserver(version string, backend Backend) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		views, err := ask(r.Context(), backend, "redis-server", "INCR pageviews")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		votes, err := ask(r.Context(), backend, "yelb-db", "SELECT name, count FROM restaurants")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%s views %s votes %s\n", version, strings.TrimPrefix(views, ":"), votes)
	})
}

// ask sends a line on a new connection and returns the line that comes back.
func ask(ctx context.Context, backend Backend, service, line string) (string, error) {
	conn, err := backend(ctx, service)
	if err != nil {
		return "", fmt.Errorf("connect to %s: %w", service, err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return "", fmt.Errorf("ask %s: %w", service, err)
	}
	reply, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("answer of %s: %w", service, err)
	}
	return strings.TrimSpace(reply), nil
}

func (l *Lab) serveHTTP(at net.Listener, h http.Handler) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(at) }) // ends with ErrServerClosed
	l.OnClose(func() { _ = s.Close(); serving.Wait() })
}

// serveLines answers each line of each connection with a line.
func (l *Lab) serveLines(at net.Listener, reply func(line string) string) {
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := at.Accept()
			if err != nil {
				return // closed
			}
			serving.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					if _, err := io.WriteString(conn, reply(lines.Text())+"\n"); err != nil {
						return
					}
				}
			})
		}
	})
	l.OnClose(func() { _ = at.Close(); cancel(); serving.Wait() })
}
