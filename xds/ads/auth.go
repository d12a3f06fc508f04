package ads

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/meshwright/meshwright/xds"
)

// auth decides which identity a proxy may claim. Without client certificates
// and tokens (possible on loopback only) that is any.
type auth struct {
	mtls   bool
	names  map[string]xds.Identity
	tokens []token
}

// token is a bearer token's digest, so that the token itself is not kept.
type token struct {
	sum      [sha256.Size]byte
	any      bool
	identity xds.Identity
}

// identify returns the profile that a node claims, if the credentials of its
// stream allow it.
func (a *auth) identify(ctx context.Context, node *corev3.Node) (xds.Profile, error) {
	id, err := xds.ParseIdentity(node.GetCluster())
	if err != nil {
		// Proxies of App Mesh carried their resource's ARN in node.id.
		var e error
		if id, e = xds.ParseIdentity(node.GetId()); e != nil {
			return xds.Profile{}, status.Errorf(codes.InvalidArgument, "node.cluster: %v", err)
		}
	}
	profile, err := xds.ProfileOf(id, node.GetMetadata())
	if err != nil {
		return xds.Profile{}, status.Errorf(codes.InvalidArgument, "node.%v", err)
	}
	// gRPC's libraries call themselves "gRPC Go", "gRPC C-core" and so on: a
	// bootstrap that is not ours need not say more.
	if profile.Capture == (xds.Capture{}) && strings.HasPrefix(node.GetUserAgentName(), "gRPC") {
		profile.Capture.Proxyless = true
	}
	if err := a.allow(ctx, id); err != nil {
		return xds.Profile{}, err
	}
	return profile, nil
}

// allow reports as a gRPC status why the credentials of a stream do not name
// the identity.
func (a *auth) allow(ctx context.Context, id xds.Identity) error {
	if !a.mtls && len(a.tokens) == 0 {
		return nil
	}
	var named []string // what the credentials do name, for the error
	if cert := clientCertificate(ctx); a.mtls && cert != nil {
		spiffe := false
		for _, uri := range cert.URIs {
			if uri.Scheme != "spiffe" {
				continue
			}
			spiffe = true
			got, ok := a.names[uri.String()]
			if !ok {
				var err error
				if got, err = xds.ParseIdentity(strings.TrimPrefix(uri.Path, "/")); err != nil {
					named = append(named, uri.String())
					continue
				}
			}
			if got == id {
				return nil
			}
			named = append(named, got.String())
		}
		for _, dns := range cert.DNSNames {
			got, ok := a.names[dns]
			// Where a SPIFFE ID says who it is, DNS names are what it is called:
			// one may be another node's name.
			if ok && got == id || !ok && !spiffe && dns == id.Name {
				return nil
			}
			named = append(named, dns)
		}
	}
	for _, given := range bearerTokens(ctx) {
		t, ok := a.token(given)
		switch {
		case !ok:
			return status.Error(codes.Unauthenticated, "the token is not known; check the proxy's authorization metadata and the server's token file")
		case t.any || t.identity == id:
			return nil
		}
		named = append(named, t.identity.String())
	}
	if len(named) == 0 {
		return status.Errorf(codes.Unauthenticated, "%s needs a credential: a client certificate that names it, or a bearer token", id)
	}
	slices.Sort(named)
	return status.Errorf(codes.PermissionDenied, "the proxy claims %s, but its credential names %s", id, strings.Join(slices.Compact(named), ", "))
}

// token finds a token in constant time for each entry.
func (a *auth) token(given string) (found token, ok bool) {
	sum := sha256.Sum256([]byte(given))
	for _, t := range a.tokens {
		if subtle.ConstantTimeCompare(sum[:], t.sum[:]) == 1 {
			found, ok = t, true
		}
	}
	return found, ok
}

func clientCertificate(ctx context.Context) *x509.Certificate {
	p, _ := peer.FromContext(ctx)
	if p == nil {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return nil
	}
	return info.State.VerifiedChains[0][0]
}

func bearerTokens(ctx context.Context) []string {
	md, _ := metadata.FromIncomingContext(ctx)
	var out []string
	for _, v := range md.Get("authorization") {
		if scheme, t, ok := strings.Cut(v, " "); ok && strings.EqualFold(scheme, "bearer") {
			out = append(out, strings.TrimSpace(t))
		}
	}
	return out
}

// readTokens reads a token file: one token and one identity (or *) a line,
// separated by space; empty lines and those that start with # are passed over.
// Errors name the line, never what is in it.
func readTokens(path string) ([]token, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []token
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("%s:%d: want a token and an identity (or *), separated by a space", path, n)
		}
		t := token{sum: sha256.Sum256([]byte(fields[0])), any: fields[1] == "*"}
		if !t.any {
			if t.identity, err = xds.ParseIdentity(fields[1]); err != nil {
				return nil, fmt.Errorf("%s:%d: the identity of the token is none; write mesh/MESH/virtualNode/NAME or *", path, n)
			}
		}
		out = append(out, t)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no token in it", path)
	}
	return out, nil
}

// certificates reads the TLS files anew for each handshake once they have
// changed, so that rotated certificates need no restart. Files that cannot be
// read (half written, say) leave the last good ones in use.
type certificates struct {
	cert, key, clientCA string
	optional            bool // a client without certificate may come with a token

	mu     sync.Mutex
	stamp  string
	config *tls.Config
}

// load returns the TLS configuration for the files as they are now.
func (c *certificates) load() (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamp := ""
	for _, f := range []string{c.cert, c.key, c.clientCA} {
		if f == "" {
			continue
		}
		fi, err := os.Stat(f)
		if err != nil {
			return c.config, keep(c.config, err)
		}
		stamp += fmt.Sprint(fi.ModTime().UnixNano(), fi.Size(), ";")
	}
	if c.config != nil && stamp == c.stamp {
		return c.config, nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return c.config, keep(c.config, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{pair}}
	if c.clientCA != "" {
		pem, err := os.ReadFile(c.clientCA)
		if err != nil {
			return c.config, keep(c.config, err)
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(pem) {
			return c.config, keep(c.config, fmt.Errorf("%s: no certificate in it", c.clientCA))
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
		if c.optional {
			config.ClientAuth = tls.VerifyClientCertIfGiven
		}
	}
	c.stamp, c.config = stamp, config
	return config, nil
}

// keep drops an error if there is a configuration to go on with.
func keep(config *tls.Config, err error) error {
	if config != nil {
		return nil
	}
	return err
}

func (c *certificates) credentials() credentials.TransportCredentials {
	return credentials.NewTLS(&tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.load() },
	})
}

// loopback reports whether only this machine can reach an address. An address
// without a host is reachable by all.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
