package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// reply is how a question of an application ended.
type reply struct {
	status string      // 200; OK, Unavailable; open, closed, refused
	sight              // of who answered; no node: no stand-in did
	header http.Header // of the response
	took   time.Duration
}

func (r reply) String() string {
	text := r.status
	if r.Node != "" {
		text = fmt.Sprintf("%s %s (%s %s, host %s)", r.Node, r.status, r.Method, r.Path, r.Host)
	}
	return fmt.Sprintf("%s after %v", text, r.took.Round(time.Millisecond))
}

// patience is how long a question may take.
const patience = 20 * time.Second

// question is what an application asks: a verb and its arguments, as a script
// has them before "->".
type question func(context.Context) (reply, error)

// questions are the verbs that ask.
var questions = map[string]func(*mesh, []string) (question, error){
	"request":   httpQuestion,
	"grpc":      grpcQuestion,
	"tcp":       tcpQuestion,
	"websocket": websocketQuestion,
	"peer":      peerQuestion,
}

// timed asks, within patience.
func (ask question) timed(ctx context.Context) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	r, err := ask(ctx)
	r.took = time.Since(began)
	return r, err
}

// arguments of a question, in the words of curl.
type arguments struct {
	from   *machine
	words  []string
	method string
	header http.Header
	body   string
	h2     bool
	hold   time.Duration
}

func (w *mesh) arguments(args []string, words int, usage string) (arguments, error) {
	a := arguments{method: http.MethodGet, header: http.Header{}}
	for i := 0; i < len(args); i++ {
		option, value := args[i], ""
		switch option {
		case "-X", "-H", "-d", "-hold":
			if i++; i == len(args) {
				return a, fmt.Errorf("%s needs a value", option)
			}
			value = args[i]
		}
		switch option {
		case "-X":
			a.method = value
		case "-H":
			name, v, ok := strings.Cut(value, ":")
			if !ok {
				return a, fmt.Errorf("-H %q: write 'NAME: VALUE'", value)
			}
			a.header.Add(strings.TrimSpace(name), strings.TrimSpace(v))
		case "-d":
			a.body = value
		case "-2":
			a.h2 = true
		case "-hold":
			d, err := time.ParseDuration(value)
			if err != nil {
				return a, err
			}
			a.hold = d
		default:
			a.words = append(a.words, option)
		}
	}
	if len(a.words) != words {
		return a, fmt.Errorf("usage: %s", usage)
	}
	from := w.called(a.words[0])
	if len(from) == 0 || from[0].identity.Name == "" {
		return a, fmt.Errorf("no virtual node or gateway %s", a.words[0])
	}
	a.from, a.words = from[0], a.words[1:]
	return a, nil
}

func (w *mesh) dialFrom(m *machine) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return w.ground.dial(ctx, m, host, port)
	}
}

func httpQuestion(w *mesh, args []string) (question, error) {
	a, err := w.arguments(args, 2, "request FROM URL [-X METHOD] [-H 'NAME: VALUE']... [-d BODY] [-2]")
	if err != nil {
		return nil, err
	}
	to, err := url.Parse(a.words[0])
	if err != nil || to.Scheme != "http" {
		return nil, fmt.Errorf("%s is no http URL (%v)", a.words[0], err)
	}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!a.h2)
	protocols.SetUnencryptedHTTP2(a.h2)
	client := &http.Client{
		Transport:     &http.Transport{DialContext: w.dialFrom(a.from), Protocols: protocols, MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	w.lab.OnClose(client.CloseIdleConnections)
	return func(ctx context.Context) (reply, error) {
		req, err := http.NewRequestWithContext(ctx, a.method, to.String(), strings.NewReader(a.body))
		if err != nil {
			return reply{}, err
		}
		req.Header = a.header.Clone()
		if host := req.Header.Get("Host"); host != "" {
			req.Host = host
		}
		resp, err := client.Do(req)
		if err != nil {
			return broken(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return broken(err)
		}
		r, err := seen(strconv.Itoa(resp.StatusCode), resp.Header.Get("x-sight"))
		r.header = resp.Header
		return r, err
	}, nil
}

func grpcQuestion(w *mesh, args []string) (question, error) {
	a, err := w.arguments(args, 3, "grpc FROM HOST:PORT /PACKAGE.SERVICE/METHOD [-H 'NAME: VALUE']...")
	if err != nil {
		return nil, err
	}
	dial := w.dialFrom(a.from)
	conn, err := grpc.NewClient("passthrough:///"+a.words[0], grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(), grpc.WithDisableRetry(),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return dial(ctx, "tcp", address) }))
	if err != nil {
		return nil, err
	}
	w.lab.OnClose(func() { _ = conn.Close() })
	return func(ctx context.Context) (reply, error) {
		var header, trailer metadata.MD
		err := conn.Invoke(metadata.NewOutgoingContext(ctx, metadata.MD(lower(a.header))), a.words[1], &emptypb.Empty{}, &emptypb.Empty{}, grpc.Header(&header), grpc.Trailer(&trailer))
		return seen(status.Code(err).String(), strings.Join(append(header.Get("x-sight"), trailer.Get("x-sight")...), ""))
	}, nil
}

func lower(h http.Header) http.Header {
	out := http.Header{}
	for k, v := range h {
		out[strings.ToLower(k)] = v
	}
	return out
}

func tcpQuestion(w *mesh, args []string) (question, error) {
	a, err := w.arguments(args, 2, "tcp FROM HOST:PORT [-hold DURATION]")
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		conn, err := w.dialFrom(a.from)(ctx, "tcp", a.words[0])
		if err != nil {
			return broken(err)
		}
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
		lines := bufio.NewReader(conn)
		name, err := lines.ReadString('\n')
		if err != nil {
			return broken(err)
		}
		r := reply{status: "open", sight: sight{Node: strings.TrimSpace(name)}}
		if _, err := io.WriteString(conn, "echo\n"); err != nil {
			return reply{}, err
		}
		if echo, err := lines.ReadString('\n'); err != nil || echo != "echo\n" {
			return reply{}, fmt.Errorf("%s answered %q, %v", r.Node, echo, err)
		}
		if a.hold > 0 {
			if err := conn.SetReadDeadline(time.Now().Add(a.hold)); err != nil {
				return reply{}, err
			}
			if _, err := lines.ReadString('\n'); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
				r.status = "closed"
			}
		}
		return r, nil
	}, nil
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func websocketQuestion(w *mesh, args []string) (question, error) {
	a, err := w.arguments(args, 2, "websocket FROM ws://HOST:PORT/PATH [-hold DURATION]")
	if err != nil {
		return nil, err
	}
	config, err := websocket.NewConfig(a.words[0], "http://localhost/")
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		conn, err := w.dialFrom(a.from)(ctx, "tcp", config.Location.Host)
		if err != nil {
			return broken(err)
		}
		defer conn.Close()
		socket, err := websocket.NewClient(config, conn)
		if errors.Is(err, websocket.ErrBadStatus) {
			return reply{status: "refused"}, nil
		} else if err != nil {
			return reply{}, err
		}
		var name, echo string
		if err := websocket.Message.Receive(socket, &name); err != nil {
			return reply{}, err
		}
		time.Sleep(a.hold)
		if err := websocket.Message.Send(socket, "echo"); err != nil {
			return reply{}, err
		}
		if err := websocket.Message.Receive(socket, &echo); err != nil || echo != "echo" {
			return reply{}, fmt.Errorf("%s answered %q, %v", name, echo, err)
		}
		return reply{status: "open", sight: sight{Node: name}}, nil
	}, nil
}

// broken is the reply where a connection was refused or ended early.
func broken(err error) (reply, error) {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH):
		return reply{status: "refused"}, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return reply{status: "closed"}, nil
	}
	return reply{}, err
}

// seen is the reply with what the stand-in saw, if one answered.
func seen(status, sights string) (reply, error) {
	r := reply{status: status}
	if sights == "" {
		return r, nil
	}
	if err := json.Unmarshal([]byte(sights), &r.sight); err != nil {
		return r, fmt.Errorf("x-sight %q: %w", sights, err)
	}
	return r, nil
}
