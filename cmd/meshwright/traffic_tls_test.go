package main

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"go.step.sm/crypto/keyutil"
	"go.step.sm/crypto/minica"
	"go.step.sm/crypto/x509util"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/certs"
)

// secrets are a case's certificates: of its certificates.settings, if it has
// that file, and those that it issues itself.
type secrets struct {
	settings *certs.Settings
	keeper   *certs.Keeper
	ca       *minica.CA
}

// mapping is that of the settings, which are read when it is first asked for.
func (s *secrets) mapping(dir string) (*xds.Mapping, error) {
	if s.keeper != nil {
		return s.settings.Mapping(), nil
	}
	var err error
	s.settings, err = certs.ReadSettings(filepath.Join(dir, "certificates.settings"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	s.keeper, err = certs.Open(certs.Config{Settings: s.settings, Dir: filepath.Join(dir, "authorities")})
	return s.settings.Mapping(), err
}

// of are the certificates for a spec, after mapping.
func (s *secrets) of(spec *schema.Spec) *xds.Certificates { return s.keeper.For(spec) }

// issue WHERE NAME... writes chain.pem, key.pem and ca.pem of an authority that
// the case has for itself, for names, into the folder in which a node's proxy
// runs, or (WHERE is daemon) beside the settings.
func issue(_ context.Context, w *mesh, args []string) error {
	if len(args) < 2 || w.built {
		return errors.New("usage, before anything else: issue NODE|daemon NAME...")
	}
	if w.secrets.ca == nil {
		ca, err := minica.New()
		if err != nil {
			return err
		}
		w.secrets.ca = ca
	}
	ca := w.secrets.ca
	key, err := keyutil.GenerateDefaultSigner()
	if err != nil {
		return err
	}
	dns, ips, _, uris := x509util.SplitSANs(args[1:])
	cert, err := ca.Sign(&x509.Certificate{PublicKey: key.Public(), DNSNames: dns, IPAddresses: ips, URIs: uris})
	if err != nil {
		return err
	}
	dir := w.dir
	if args[0] != "daemon" {
		dir = filepath.Join(w.lab.Dir, args[0]+".d")
	}
	return writePEM(dir, key, []*x509.Certificate{cert, ca.Intermediate}, ca.Root)
}

func writePEM(dir string, key crypto.Signer, chain []*x509.Certificate, root *x509.Certificate) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, c := range chain {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	for name, content := range map[string][]byte{
		"chain.pem": []byte(text.String()),
		"key.pem":   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"ca.pem":    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// peerQuestion asks a node's or gateway's own port from outside, with TLS or
// without, and takes any certificate; its names are headers of the reply.
func peerQuestion(w *mesh, args []string) (question, error) {
	secure := len(args) == 3 && args[2] == "-tls"
	if len(args) != 2 && !secure || len(w.called(args[0])) == 0 {
		return nil, errors.New("usage: peer NODE PORT [-tls]")
	}
	to := w.called(args[0])[0]
	scheme := "http"
	if secure {
		scheme = "https"
	}
	return func(ctx context.Context) (reply, error) {
		client := &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return w.ground.dial(ctx, &machine{index: to.index}, "", args[1]) // as to a gateway
			},
		}}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://peer/", nil)
		if err != nil {
			return reply{}, err
		}
		resp, err := client.Do(req)
		var alert tls.AlertError
		var record tls.RecordHeaderError
		switch {
		case errors.As(err, &alert), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch), errors.Is(err, syscall.EPIPE), err != nil && strings.Contains(err.Error(), "remote error: tls:"):
			return reply{status: "closed"}, nil
		case err != nil:
			return broken(err)
		}
		defer resp.Body.Close()
		r, err := seen(fmt.Sprint(resp.StatusCode), resp.Header.Get("x-sight"))
		r.header = resp.Header
		if secure {
			cert := resp.TLS.PeerCertificates[0]
			for _, u := range cert.URIs {
				r.header.Add("uri", u.String())
			}
			r.header["Dns"] = cert.DNSNames
		}
		return r, err
	}, nil
}
