package schema

import (
	"path"
	"sync"
)

// source is the text of a file of YAML or JSON in which no mistake was found.
// What it says with all places is ten times as large as the text, and of few
// files anything is asked for once they were read: a warning's place, the fields
// that a plan shows. Then it is read again, and kept.
type source struct {
	path, text string
	once       sync.Once
	roots      []*node // of the documents, in their order
}

// root returns the document at a place among those of the file.
func (s *source) root(at int) *node {
	s.once.Do(func() {
		p := &parsed{plain: true}
		p.read(s.path, s.text)
		for _, d := range p.docs {
			s.roots = append(s.roots, d.node)
		}
	})
	return s.roots[at]
}

// read takes in the documents of a file of YAML or JSON.
func (p *parsed) read(name, text string) {
	if path.Ext(name) == ".json" {
		parseJSON(name, text, p)
	} else {
		parseYAML(name, text, p)
	}
}

// letGo has the documents' values read again from the text where they are needed.
func (p *parsed) letGo(name, text string) {
	s := &source{path: name, text: text}
	for i, d := range p.docs {
		d.node, d.source, d.place = nil, s, i
	}
}

// root is what the document says, with the places.
func (d *document) root() *node {
	if d.node == nil {
		return d.source.root(d.place)
	}
	return d.node
}
