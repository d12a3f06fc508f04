package schema

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Validated is what files of YAML and JSON hold in which nothing was found, to be
// written for the next process: there they are not parsed and validated again.
// It may be written while the loader goes on.
type Validated struct{ files []keptFile }

// keptFile is what is known of one file. Its text is not: it is in git.
type keptFile struct {
	Path       string
	ID         BlobID
	Foreign    int
	Namespaces []keptNamespace
	Documents  []keptDocument

	resources []Resource // of Documents, not spelled yet
}

type keptNamespace struct {
	Name   string
	Labels map[string]string
	Pos    Pos
}

type keptDocument struct {
	Kind         Kind
	UID, Content string
	Resource     []byte // JSON
}

// Validated returns what the last tree held, nil when all of it is what was
// restored or returned before.
func (l *Loader) Validated() *Validated {
	if !l.unkept.Swap(false) {
		return nil
	}
	v := &Validated{}
	for _, f := range l.files {
		p := f.parsed
		if p == nil || len(p.diags) > 0 || p.settings != nil {
			continue
		}
		k := keptFile{Path: f.path, ID: f.id, Foreign: p.foreign}
		for _, ns := range p.namespaces {
			k.Namespaces = append(k.Namespaces, keptNamespace{ns.name, ns.labels, ns.pos})
		}
		for _, d := range p.docs {
			k.Documents = append(k.Documents, keptDocument{Kind: d.ref.Kind, UID: d.uid, Content: d.content})
			k.resources = append(k.resources, d.res)
		}
		v.files = append(v.files, k)
	}
	return v
}

// keptHead begins what is written: a name, the version of who wrote it, and the
// sum of what follows.
const keptHead = "meshwright-validated-1 %s %x\n"

// Write writes it for processes of the same version: others may find something
// in the files, or understand them otherwise.
func (v *Validated) Write(w io.Writer, version string) error {
	for i := range v.files {
		for j, r := range v.files[i].resources {
			spelled, err := json.Marshal(r)
			if err != nil {
				return err
			}
			v.files[i].Documents[j].Resource = spelled
		}
	}
	var body bytes.Buffer
	if err := gob.NewEncoder(&body).Encode(v.files); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, keptHead, version, sha256.Sum256(body.Bytes())); err != nil {
		return err
	}
	_, err := body.WriteTo(w)
	return err
}

// maxKept is how much is restored: more than a tree of the largest size is.
const maxKept = 4 * maxTreeBytes

// Restore reads what [Validated.Write] has written. What is of another version
// or damaged is an error, and nothing of it is used. The files are known by
// their path and [BlobID].
func (l *Loader) Restore(r io.Reader, version string) error {
	in := bufio.NewReader(io.LimitReader(r, maxKept))
	head, err := in.ReadString('\n')
	if err != nil {
		return errors.New("it does not begin as such")
	}
	body, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	switch {
	case !strings.HasPrefix(head, fmt.Sprintf("meshwright-validated-1 %s ", version)):
		return errors.New("another version wrote it")
	case head != fmt.Sprintf(keptHead, version, sha256.Sum256(body)):
		return errors.New("it is damaged")
	}
	var files []keptFile
	if err := gob.NewDecoder(bytes.NewReader(body)).Decode(&files); err != nil {
		return err
	}
	l.kept = make(map[string]*keptFile, len(files))
	for i := range files {
		l.kept[files[i].Path] = &files[i]
	}
	return nil
}

// restore takes in what is known of a file with this text; false: nothing is.
func (p *parsed) restore(k *keptFile, path, text string) bool {
	out := parsed{foreign: k.Foreign}
	for _, ns := range k.Namespaces {
		out.namespaces = append(out.namespaces, namespace{ns.Name, ns.Labels, ns.Pos})
	}
	for _, one := range k.Documents {
		row := rowOf(one.Kind)
		if row == nil {
			return false
		}
		res := row.new()
		if json.Unmarshal(one.Resource, res) != nil {
			return false
		}
		m := res.meta()
		d := &document{ref: m.Ref, uid: one.UID, res: res, content: one.Content}
		m.doc, m.Mesh, m.Digest = d, "", "" // it is not known where it belongs
		if route, ok := res.(*GatewayRoute); ok {
			route.Gateway = Key{}
		}
		out.take(d)
	}
	out.letGo(path, text)
	*p = out
	return true
}
