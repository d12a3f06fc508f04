package certs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A built-in authority keeps its roots in a file of its own, which only its
// owner may read: certificate and key of each, oldest first, in PEM.

// readRoots returns the roots in a file; none where there is no file.
func readRoots(file string) ([]*signer, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var roots []*signer
	for {
		var certificate, private *pem.Block
		if certificate, data = pem.Decode(data); certificate == nil {
			break
		}
		if private, data = pem.Decode(data); private == nil {
			return nil, fmt.Errorf("%s: a certificate without its key", file)
		}
		cert, err := x509.ParseCertificate(certificate.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		key, err := x509.ParsePKCS8PrivateKey(private.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: a key cannot be read: %w", file, err)
		}
		signing, ok := key.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("%s: a key cannot sign", file)
		}
		roots = append(roots, rootSigner(cert, signing))
	}
	if len(roots) == 0 {
		return nil, fmt.Errorf("%s: there is no root in it; restore it, or remove it to begin with a new one", file)
	}
	return roots, nil
}

// writeRoots replaces the file, or leaves it as it was.
func writeRoots(file string, roots []*signer) (err error) {
	var text bytes.Buffer
	for _, r := range roots {
		key, err := encodeKey(r.key)
		if err != nil {
			return err
		}
		text.WriteString(encode(r.cert()) + key.PEM())
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".new") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(text.Bytes())
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// succeeded returns the authority's roots with a new one, if one is due, in
// its file; else nil. Roots that have ended go.
func (a *authority) succeeded(file string, now time.Time) ([]*signer, error) {
	if now.Before(a.successionDue()) {
		return nil, nil
	}
	root, err := newRoot(a.name, a.RootLifetime, now)
	if err != nil {
		return nil, fmt.Errorf("make a root: %w", err)
	}
	var roots []*signer
	for _, r := range a.signers {
		if now.Before(r.cert().NotAfter) {
			roots = append(roots, r)
		}
	}
	roots = append(roots, root)
	if err := writeRoots(file, roots); err != nil {
		return nil, fmt.Errorf("keep a root: %w", err)
	}
	return roots, nil
}
