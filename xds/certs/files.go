package certs

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/meshwright/meshwright/xds"
)

// watched is what some files mean together. They are read at each look, rather
// than watched by the kernel: they are few and small, and this way it does not
// matter whether they are replaced, renamed, linked or on a network's disk.
type watched[T any] struct {
	files []string
	parse func(contents [][]byte) (T, error)

	contents [][]byte // that value was made from; nil: never
	value    T
	trouble  string // what was wrong at the last look
	looks    int    // at which it was
}

// look reads the files. What is not whole leaves the value as it was; tell says
// why, once, when that stands for two looks: files may just be being written.
func (w *watched[T]) look() (changed bool, tell error) {
	contents := make([][]byte, len(w.files))
	for i, name := range w.files {
		var err error
		if contents[i], err = os.ReadFile(name); err != nil {
			return false, w.failed(err)
		}
	}
	if w.contents != nil && slices.EqualFunc(contents, w.contents, bytes.Equal) {
		w.trouble = ""
		return false, nil
	}
	value, err := w.parse(contents)
	if err != nil {
		return false, w.failed(fmt.Errorf("%s: %w", w.files[0], err))
	}
	w.contents, w.value, w.trouble = contents, value, ""
	return true, nil
}

func (w *watched[T]) failed(err error) (tell error) {
	if w.trouble != err.Error() {
		w.trouble, w.looks = err.Error(), 0
	}
	if w.looks++; w.looks == 2 {
		return err
	}
	return nil
}

// pair is a certificate on disk.
type pair struct {
	*xds.Certificate
	chain []*x509.Certificate
	key   crypto.Signer
}

// parsePair reads a chain and its key, which must belong together. One that
// has ended is no better than none.
func parsePair(contents [][]byte) (p pair, err error) {
	c, err := tls.X509KeyPair(contents[0], contents[1])
	if err != nil {
		return p, err
	}
	if p.chain, err = parseChain(contents[0]); err != nil {
		return p, err
	}
	if end := p.chain[0].NotAfter; time.Now().After(end) {
		return p, fmt.Errorf("the certificate ended on %s", end.UTC().Format(time.RFC3339))
	}
	p.key, _ = c.PrivateKey.(crypto.Signer) // X509KeyPair knows no others
	p.Certificate = &xds.Certificate{Chain: encode(p.chain...), Key: xds.NewPrivateKey(string(contents[1]))}
	return p, nil
}

// parseSigner reads the certificate and key of an authority.
func parseSigner(contents [][]byte) (*signer, error) {
	p, err := parsePair(contents)
	if err != nil {
		return nil, err
	}
	if !p.chain[0].IsCA {
		return nil, errors.New("the certificate is no authority's: it may not sign others")
	}
	return newSigner(p.chain, p.key, time.Time{}), nil
}

// parseTrust reads certificates of authorities.
func parseTrust(contents [][]byte) (string, error) {
	chain, err := parseChain(contents[0])
	return encode(chain...), err
}

// parseChain reads certificates in PEM, all of them: a file that ends within
// one is not whole yet.
func parseChain(text []byte) (chain []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	switch {
	case bytes.Contains(text, []byte("-----BEGIN")):
		return nil, errors.New("the last certificate in it is cut off")
	case len(chain) == 0:
		return nil, errors.New("there is no certificate in it")
	}
	return chain, nil
}
