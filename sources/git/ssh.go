package git

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"golang.org/x/crypto/ssh"
)

// sshRemote speaks git's protocol over SSH. It dials by itself, for go-git's
// transport waits for ever for a host that accepts a connection and then says
// nothing.
type sshRemote struct {
	endpoint endpoint
	auth     Auth
}

func (r sshRemote) connect(ctx context.Context) (conn, error) {
	s, err := r.dial(ctx)
	if err != nil {
		return nil, err
	}
	c, err := advertise(ctx, s)
	if err != nil {
		err = cmp.Or(ctx.Err(), s.complaint(), err)
		s.Close()
		return nil, err
	}
	return c, nil
}

// dial logs in and starts git-upload-pack. The session ends with ctx.
func (r sshRemote) dial(ctx context.Context) (_ *sshSession, err error) {
	host := net.JoinHostPort(r.endpoint.Host, strconv.Itoa(cmp.Or(r.endpoint.Port, 22)))
	config, done, err := r.auth.ssh(host)
	if err != nil {
		return nil, err
	}
	defer done.Close() // of use for the log-in only
	tcp, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	// Closing the connection is what wakes every read and write on it.
	s := &sshSession{remote: r, conn: tcp, release: context.AfterFunc(ctx, func() { tcp.Close() }), stderr: new(bytes.Buffer)}
	defer func() {
		if err != nil {
			s.Close()
			err = cmp.Or(ctx.Err(), err)
		}
	}()
	c, channels, requests, err := ssh.NewClientConn(tcp, host, config)
	if err != nil {
		if strings.Contains(err.Error(), "unable to authenticate") {
			err = fmt.Errorf("%w: the host does not know the key; add the key there, with read access", err)
		}
		return nil, err
	}
	run, err := ssh.NewClient(c, channels, requests).NewSession()
	if err != nil {
		return nil, err
	}
	if s.in, err = run.StdinPipe(); err != nil {
		return nil, err
	}
	if s.out, err = run.StdoutPipe(); err != nil {
		return nil, err
	}
	run.Stderr = s.stderr
	s.wait = run.Wait
	return s, run.Start("git-upload-pack " + quote(r.endpoint.Path))
}

// quote makes one word of s for the shell at the other end, as git does.
func quote(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(s) + "'"
}

// sshSession is git-upload-pack at the other end of a connection. It takes one
// request; for the next, it connects again.
type sshSession struct {
	remote  sshRemote
	conn    net.Conn
	release func() bool
	in      io.WriteCloser
	out     io.Reader
	stderr  *bytes.Buffer
	wait    func() error
	spent   bool
}

func (s *sshSession) AdvertisedReferencesContext(context.Context) (*packp.AdvRefs, error) {
	adv := packp.NewAdvRefs()
	if err := adv.Decode(s.out); err != nil && !errors.Is(err, packp.ErrEmptyAdvRefs) {
		return nil, err
	}
	if adv.IsEmpty() {
		return nil, transport.ErrEmptyRemoteRepository
	}
	transport.FilterUnsupportedCapabilities(adv.Capabilities)
	return adv, nil
}

func (s *sshSession) UploadPack(ctx context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	if s.spent {
		if err := s.renew(ctx); err != nil {
			return nil, err
		}
	}
	s.spent = true
	var b bytes.Buffer
	if err := errors.Join(req.UploadRequest.Encode(&b), req.UploadHaves.Encode(&b, false), pktline.NewEncoder(&b).EncodeString("done\n")); err != nil {
		return nil, err
	}
	if _, err := s.in.Write(b.Bytes()); err != nil {
		return nil, err
	}
	resp := packp.NewUploadPackResponse(req)
	return resp, resp.Decode(io.NopCloser(s.out))
}

// renew connects again.
func (s *sshSession) renew(ctx context.Context) error {
	fresh, err := s.remote.dial(ctx)
	if err != nil {
		return err
	}
	s.Close()
	*s = *fresh
	_, err = s.AdvertisedReferencesContext(ctx) // the server says it first, whoever asks
	return err
}

// complaint waits for the server to hang up and returns what it said; nil when
// it said nothing.
func (s *sshSession) complaint() error {
	if s.wait == nil {
		return nil
	}
	s.wait() // for all of stderr
	text := strings.TrimSpace(s.stderr.String())
	if text == "" {
		return nil
	}
	line, _, _ := strings.Cut(text, "\n")
	return fmt.Errorf("the server says: %s", line)
}

func (s *sshSession) Close() error {
	s.release()
	return s.conn.Close()
}
