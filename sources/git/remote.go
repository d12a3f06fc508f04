package git

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// remote is where commits come from.
type remote interface {
	// connect looks at the remote's references as they are now.
	connect(context.Context) (conn, error)
}

// conn is one look at a remote.
type conn interface {
	// tip returns the commit that a reference names; false when there is none.
	tip(plumbing.ReferenceName) (plumbing.Hash, bool, error)
	// lean says whether the remote can leave objects out of a fetch, and gives them
	// out one by one.
	lean() bool
	// fetch brings a commit and all it reaches, or into a lean store all that it
	// needs of that; have is what is in the store already. A request brings at most
	// so many bytes (0: any), else nothing. Some servers refuse a commit that no
	// reference names.
	fetch(ctx context.Context, into *store, want plumbing.Hash, have point, most int64) error
	Close() error
}

// point is a commit that is in the store, with the tree of its spec path; zero is
// none.
type point struct{ commit, tree plumbing.Hash }

// maxHaves is how many commits the server is told of (as go-git does): after a
// force-push, the newest common one is nearly always among them.
const maxHaves = 100

// session speaks git's pack protocol; go-git's HTTP transport and our ssh do.
type session interface {
	AdvertisedReferencesContext(context.Context) (*packp.AdvRefs, error)
	UploadPack(context.Context, *packp.UploadPackRequest) (*packp.UploadPackResponse, error)
	Close() error
}

// httpRemote speaks git's smart protocol over HTTP.
type httpRemote struct {
	endpoint endpoint
	auth     Auth
	client   transport.Transport
}

func newHTTPRemote(e endpoint, auth Auth) *httpRemote {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 2
	t.IdleConnTimeout = 5 * time.Minute // polling goes on over one connection
	return &httpRemote{e, auth, githttp.NewClient(&http.Client{Transport: t})}
}

func (r *httpRemote) connect(ctx context.Context) (conn, error) {
	auth, err := r.auth.http(ctx)
	if err != nil {
		return nil, err
	}
	ep := *r.endpoint.Endpoint // a redirect changes it
	s, err := r.client.NewUploadPackSession(&ep, auth)
	if err != nil {
		return nil, err
	}
	return advertise(ctx, s)
}

// smartConn is a conn to a git server.
type smartConn struct {
	session session
	refs    map[string]plumbing.Hash
	caps    *capability.List
}

// advertise reads the references that the server offers.
func advertise(ctx context.Context, s session) (conn, error) {
	adv, err := s.AdvertisedReferencesContext(ctx)
	switch {
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return &smartConn{session: s, caps: capability.NewList()}, nil
	case err != nil:
		return nil, err
	}
	return &smartConn{s, adv.References, adv.Capabilities}, nil
}

func (c *smartConn) tip(name plumbing.ReferenceName) (plumbing.Hash, bool, error) {
	h, ok := c.refs[name.String()]
	return h, ok, nil
}

// lean needs two things of a server: filters, and that it gives out objects that
// no reference names. (Of files and folders, git asks no more than that they are
// there.)
func (c *smartConn) lean() bool {
	return c.caps.Supports(capability.Filter) && (c.caps.Supports(capability.AllowReachableSHA1InWant) || c.caps.Supports(allowAny))
}

// allowAny is a capability that go-git does not know.
const allowAny capability.Capability = "allow-any-sha1-in-want"

func (c *smartConn) fetch(ctx context.Context, into *store, want plumbing.Hash, have point, most int64) error {
	ok, err := into.has(want)
	if err != nil {
		return err
	}
	if !ok {
		var filter packp.Filter
		switch {
		case !into.lean() || !c.lean():
		case have.commit.IsZero():
			filter = packp.FilterTreeDepth(0) // of all of history, the commits
		default:
			filter = packp.FilterBlobNone() // of what is new, the folders too: they are few
		}
		req, err := c.request(filter, want)
		if err != nil {
			return err
		}
		if !have.commit.IsZero() {
			req.Haves = into.recent(have.commit, maxHaves)
		}
		if err := refused(c.receive(ctx, into, req, most), "filter '"); err != nil { // git's word for a filter that is switched off
			return err
		}
	}
	if !into.lean() {
		return nil
	}
	return c.complete(ctx, into, want, have.tree, most)
}

// request makes a request for objects and what they reach, as far as the filter
// lets it through; the empty one, or a server without filters, lets all.
func (c *smartConn) request(filter packp.Filter, wants ...plumbing.Hash) (*packp.UploadPackRequest, error) {
	req := packp.NewUploadPackRequestFromCapabilities(c.caps)
	req.Wants = wants
	var err error
	if filter != "" && c.caps.Supports(capability.Filter) {
		req.Filter, err = filter, req.Capabilities.Set(capability.Filter)
	}
	if c.caps.Supports(capability.NoProgress) {
		err = cmp.Or(err, req.Capabilities.Set(capability.NoProgress))
	}
	return req, err
}

// receive sends a request and puts the pack that answers it into the store.
func (c *smartConn) receive(ctx context.Context, into *store, req *packp.UploadPackRequest, most int64) error {
	resp, err := c.session.UploadPack(ctx, req)
	if err != nil {
		return err
	}
	defer resp.Close()
	err = into.addPack(c.demux(req, resp), most)
	// A cut connection is told apart from a bad pack by the context's error.
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// demux takes the pack out of the channels that the server multiplexes.
func (c *smartConn) demux(req *packp.UploadPackRequest, r io.Reader) io.Reader {
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		return sideband.NewDemuxer(sideband.Sideband64k, bufio.NewReaderSize(r, sideband.MaxPackedSize64k))
	case req.Capabilities.Supports(capability.Sideband):
		return sideband.NewDemuxer(sideband.Sideband, bufio.NewReader(r))
	}
	return r
}

func (c *smartConn) Close() error { return c.session.Close() }

// explain says in words what go-git's transport errors mean to the person who
// configured the remote. go-git adds the page that the server sent; that goes.
func explain(err error) error {
	for _, e := range []struct {
		is     error
		advice string
	}{
		{transport.ErrAuthenticationRequired, "give a token or a key that holds and may read the repository"},
		{transport.ErrAuthorizationFailed, "the token or key may not read the repository"},
		{transport.ErrRepositoryNotFound, "check the URL, and that the token or key may read it"},
	} {
		if errors.Is(err, e.is) {
			return fmt.Errorf("%w: %s", e.is, e.advice)
		}
	}
	return err
}

// oneLine is an error whose text is one line, whatever a server has put in it.
type oneLine struct{ error }

func (e oneLine) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }
func (e oneLine) Unwrap() error { return e.error }
