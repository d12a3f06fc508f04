package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"
)

// decode makes the Go model of a validated document. An error means that the
// schema lets something through that the model cannot hold.
func decode(kind Kind, n *node) (Resource, error) {
	res := rowOf(kind).new()
	res.meta().Labels = labelsOf(n)
	spec := n.get("spec")
	if spec == nil || spec.kind == nullNode {
		return res, nil
	}
	return res, fill(reflect.ValueOf(res).Elem().FieldByName("Spec"), spec)
}

// fill sets a Go value from a node; null leaves it as it is, and so do fields
// that the model does not have (the schema names those that nothing reads).
// What does not fit is passed over, and the first of it is the error.
func fill(v reflect.Value, n *node) (failed error) {
	if n.kind == nullNode {
		return nil
	}
	misfit := func() error { return fmt.Errorf("%s does not fit (%s)", n.kind, v.Type()) }
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return fill(v.Elem(), n)
	case reflect.Struct:
		if n.kind != mapNode {
			return misfit()
		}
		index := fieldsOf(v.Type())
		for _, f := range n.fields {
			if i, ok := index[f.name]; ok {
				if err := fill(v.FieldByIndex(i), f.value); err != nil && failed == nil {
					failed = fmt.Errorf("%s: %w", f.name, err)
				}
			}
		}
	case reflect.Slice:
		if n.kind != listNode {
			return misfit()
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
		for i, item := range n.items {
			if err := fill(v.Index(i), item); err != nil && failed == nil {
				failed = fmt.Errorf("[%d]: %w", i, err)
			}
		}
	case reflect.Map:
		if n.kind != mapNode {
			return misfit()
		}
		v.Set(reflect.MakeMapWithSize(v.Type(), len(n.fields)))
		for _, f := range n.fields {
			item := reflect.New(v.Type().Elem()).Elem()
			if err := fill(item, f.value); err != nil && failed == nil {
				failed = fmt.Errorf("%s: %w", f.name, err)
			}
			v.SetMapIndex(reflect.ValueOf(f.name), item)
		}
	case reflect.String:
		if n.kind != stringNode {
			return misfit()
		}
		v.SetString(n.text)
	case reflect.Bool:
		if n.kind != boolNode {
			return misfit()
		}
		switch strings.ToLower(n.text) {
		case "true", "yes", "on":
			v.SetBool(true)
		}
	case reflect.Int64, reflect.Uint32:
		switch v := v.Addr().Interface().(type) {
		case *time.Duration:
			d, err := time.ParseDuration(n.text)
			*v = d
			return err
		case *Percent:
			p, ok := parsePercent(n.text)
			if !ok {
				return misfit()
			}
			*v = p
			return nil
		}
		i, ok := parseInt(n.text)
		if n.kind != intNode || !ok {
			return misfit()
		}
		if v.Kind() == reflect.Int64 {
			v.SetInt(i)
		} else if i < 0 || v.OverflowUint(uint64(i)) {
			return misfit()
		} else {
			v.SetUint(uint64(i))
		}
	case reflect.Float64:
		f, ok := parseFloat(n.text)
		if !ok {
			return misfit()
		}
		v.SetFloat(f)
	default:
		return misfit()
	}
	return failed
}

var fieldIndexes sync.Map // reflect.Type → map[string][]int

// fieldsOf returns a struct's fields, those of embedded structs too, by their
// names in JSON.
func fieldsOf(t reflect.Type) map[string][]int {
	if index, ok := fieldIndexes.Load(t); ok {
		return index.(map[string][]int)
	}
	index := map[string][]int{}
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			index[name] = f.Index
		}
	}
	fieldIndexes.Store(t, index)
	return index
}

// contentHash hashes what a document says: labels and spec, wherever and in
// whatever format it is written.
func contentHash(res Resource) string {
	spec := reflect.ValueOf(res).Elem().FieldByName("Spec")
	data, err := json.Marshal(struct{ Labels, Spec any }{res.meta().Labels, spec.Interface()})
	if err != nil {
		panic("schema: " + err.Error()) // plain structs: cannot happen
	}
	return hash(data)
}

// Digest returns the digest of a resource with its labels, spec, mesh and
// gateway as they are: what is made from another resource has to have it in
// [Meta].Digest before it becomes part of a spec.
func Digest(r Resource) string { return digest(r, contentHash(r)) }

func digest(r Resource, content string) string {
	var gateway Key
	if route, ok := r.(*GatewayRoute); ok {
		gateway = route.Gateway
	}
	return hash([]byte(content), []byte{0}, []byte(r.meta().Mesh), []byte{0}, []byte(gateway.Namespace), []byte{0}, []byte(gateway.Name))
}

// hash is the first 128 bits of a SHA-256, in hexadecimal.
func hash(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// awsName returns spec.awsName, empty where none is written.
func awsName(res Resource) string {
	switch r := res.(type) {
	case *Mesh:
		return r.Spec.AWSName
	case *VirtualNode:
		return r.Spec.AWSName
	case *VirtualService:
		return r.Spec.AWSName
	case *VirtualRouter:
		return r.Spec.AWSName
	case *VirtualGateway:
		return r.Spec.AWSName
	case *GatewayRoute:
		return r.Spec.AWSName
	}
	return ""
}

// defaultAWSName is the App Mesh name of a resource that gives none (the
// controller's mutators).
func defaultAWSName(ref Ref) string {
	switch ref.Kind {
	case KindMesh:
		return ref.Name
	case KindVirtualService:
		return ref.Name + "." + ref.Namespace
	}
	return ref.Name + "_" + ref.Namespace
}
