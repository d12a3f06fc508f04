package awsapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Limits of one file, so that a hostile one costs seconds and no more.
const (
	maxNodes = 200_000 // values of a YAML document, with its aliases written out
	maxDepth = 100
)

// values reads all values of a text: JSON values one after another, or YAML
// documents.
func values(text []byte) ([]*yaml.Node, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if !utf8.Valid(text) {
		return nil, errors.New("it is no UTF-8 text")
	}
	var asJSON error
	if start := bytes.TrimLeft(text, " \t\r\n"); len(start) > 0 && (start[0] == '{' || start[0] == '[') {
		var all []*yaml.Node
		if all, asJSON = jsonValues(text); asJSON == nil {
			return all, nil
		}
	}
	all, err := yamlValues(text)
	if err != nil && asJSON != nil {
		err = asJSON // what starts like JSON most likely is
	}
	return all, err
}

func jsonValues(text []byte) ([]*yaml.Node, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var all []*yaml.Node
	for {
		n, err := jsonValue(d, 0)
		if errors.Is(err, io.EOF) && n == nil {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("byte %d: %w", d.InputOffset(), err)
		}
		all = append(all, n)
	}
}

// jsonValue reads the next value. The end of the text before it is io.EOF,
// within it another error.
func jsonValue(d *json.Decoder, depth int) (*yaml.Node, error) {
	token, err := d.Token()
	if err != nil {
		if errors.Is(err, io.EOF) && depth > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if depth > maxDepth {
		return nil, errTooLarge
	}
	switch t := token.(type) {
	case string:
		return textNode(t), nil
	case json.Number:
		tag := "!!int"
		if bytes.ContainsAny([]byte(t), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: t.String()}, nil
	case bool:
		return boolNode(t), nil
	case json.Delim:
		n := listNode()
		if t == '{' {
			n = mapNode()
		}
		for d.More() {
			item, err := jsonValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, item)
		}
		if _, err := d.Token(); err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		return n, nil
	}
	return nullNode(), nil
}

func yamlValues(text []byte) ([]*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var all []*yaml.Node
	for {
		var doc yaml.Node
		switch err := d.Decode(&doc); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		}
		if len(doc.Content) == 0 {
			continue // nothing but comments
		}
		budget := maxNodes
		n, err := written(doc.Content[0], 0, &budget)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
}

var errTooLarge = fmt.Errorf("it holds more than %d values, or nests them deeper than %d", maxNodes, maxDepth)

// written returns a copy in which aliases and merged maps are written out, and
// every implicit tag is the one that it stands for.
func written(n *yaml.Node, depth int, budget *int) (*yaml.Node, error) {
	if *budget--; *budget < 0 || depth > maxDepth {
		return nil, errTooLarge
	}
	if n.Kind == yaml.AliasNode {
		return written(n.Alias, depth+1, budget)
	}
	out := &yaml.Node{Kind: n.Kind, Tag: n.ShortTag(), Value: n.Value}
	for i, item := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].ShortTag() == "!!merge" {
			from, err := written(item, depth+1, budget)
			if err != nil {
				return nil, err
			}
			for _, m := range append(itemsOf(from), from) {
				for key, value := range fieldsOf(m) {
					if get(n, key) == nil && get(out, key) == nil {
						put(out, key, value)
					}
				}
			}
			continue
		}
		if n.Kind == yaml.MappingNode && i%2 == 0 && item.ShortTag() == "!!merge" {
			continue
		}
		c, err := written(item, depth+1, budget)
		if err != nil {
			return nil, err
		}
		out.Content = append(out.Content, c)
	}
	return out, nil
}
